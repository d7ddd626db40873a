"""Reads the user's data: text, prompts and completions, or dialogues; hashes and counts it.

Files are .txt .md .jsonl .csv .parquet; a folder stands for its own files of these kinds, sorted.
A row is a dialogue (`messages`), a pair (`prompt`, `completion`) or plain text (`text`), in this
order where it has more than one. A text file is cut into records at the first blank line after
1,000 characters, or at any line end after 10,000. Blank records are passed over.
"""

import hashlib
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .faults import DataError, Fault
from .reading.readers import READERS, Source
from .reading.rows import NEEDED, Record, RowFault

__all__ = ["FileFacts", "Record", "Survey", "data_files", "file_sha256", "read_records", "survey"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFacts:
    """One data file: its size, how many records it holds, and its content's hash."""

    path: str
    bytes: int
    records: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What the data holds. `form` is text, prompt_completion, messages or mixed.

    `characters` is the sum over all records, `longest` that of the longest one.
    """

    files: tuple[FileFacts, ...]
    records: int
    form: str
    characters: int
    longest: int


def read_records(paths: Iterable[str | Path]) -> Iterator[Record]:
    """Yield the records of `paths` in order; raise DataError at the end, with every fault found.

    Stops early after 20 faults. Raises DataError also where nothing usable was found.
    """
    faults: list[Fault] = []
    for path in data_files(paths):
        yield from _read_file(path, faults)
    if faults:
        raise DataError(faults)


def survey(paths: Iterable[str | Path]) -> Survey:
    """Return what `paths` hold; raise DataError with every fault of every file."""
    faults: list[Fault] = []
    files, kinds, lengths = [], set(), []
    for path in data_files(paths):
        before = len(lengths)
        for record in _read_file(path, faults):
            kinds.add(record.kind)
            lengths.append(sum(map(len, record.content[1:])))
        size = path.stat().st_size
        records = len(lengths) - before
        files.append(
            FileFacts(path=str(path), bytes=size, records=records, sha256=file_sha256(path))
        )
    if faults:
        raise DataError(faults)
    return Survey(
        files=tuple(files),
        records=len(lengths),
        form=kinds.pop() if len(kinds) == 1 else "mixed",
        characters=sum(lengths),
        longest=max(lengths),
    )


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of the file's bytes, in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_files(paths: Iterable[str | Path]) -> list[Path]:
    """Return the data files that `paths` stand for; raise DataError for what is none."""
    faults: list[Fault] = []
    found = [file for path in paths for file in _files_of(Path(path), faults)]
    if faults:
        raise DataError(faults)
    return found


def _files_of(path: Path, faults: list[Fault]) -> list[Path]:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _files_in(path, faults)
    except (OSError, ValueError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else _cause(error)
        faults.append(Fault(path=str(path), reason=reason, hint="check the path"))
        return []
    if not stat.S_ISREG(mode):
        faults.append(Fault(path=str(path), reason="not a file", hint="give a file or a folder"))
    elif path.suffix.lower() not in READERS:
        kinds = " ".join(READERS)
        faults.append(Fault(path=str(path), reason="unknown kind of file", hint=f"one of: {kinds}"))
    else:
        return [path]
    return []


def _files_in(folder: Path, faults: list[Fault]) -> list[Path]:
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and path.suffix.lower() in READERS and not path.name.startswith(".")
    ]
    if not found:
        hint = f"put files of these kinds in it: {' '.join(READERS)}"
        faults.append(Fault(path=str(folder), reason="a folder without data", hint=hint))
    return found


def _cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _read_file(path: Path, faults: list[Fault]) -> Iterator[Record]:
    """Yield the usable records of one file; put what is wrong with it into `faults`."""
    before, usable = len(faults), 0
    source = Source(path=path, faults=faults)
    try:
        for record in READERS[path.suffix.lower()](source):
            if any(part.strip() for part in record.content[1:]):
                usable += 1
                yield record
    except OSError as error:
        source.fault(None, RowFault(_cause(error), "check the file"))
    if not usable and len(faults) == before:
        source.fault(None, RowFault("no usable rows", f"each row needs {NEEDED}"))
