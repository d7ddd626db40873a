"""Reads the user's data, checks, counts and hashes it.

Files are .txt .md .jsonl .json .csv .tsv .parquet, all but the last also compressed (.gz .bz2 .xz
.zst); a folder stands for its own files of these kinds, sorted. A .json file is an array of rows,
or JSON lines. A text file is cut into records at the first blank line after 1,000 characters, or
at any line end after 10,000; a line of more than 100,000 at a space.

A row is the first of these that its columns make it, other columns are passed over:

1. a dialogue: `messages`, or `conversations` as ShareGPT writes them;
2. a pair: `prompt` and `completion`, or `instruction`, perhaps `input`, and `output` (Alpaca), or
   `question` and `answer`;
3. tags: `tokens` and `tags` (or `ner_tags`), lists of equal length;
4. a label: `text` and `label`, a name or a whole number;
5. text: `text`.

Blank records are passed over.
"""

import hashlib
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .faults import DataError, Fault
from .reading.findings import Findings
from .reading.opening import PACKED, FileFault, is_packed, kind_of
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
    """What the data holds. `form` is text, prompt_completion, messages, label, tags or mixed.

    `characters` is the sum over all records, `longest` that of the longest one. `forms` counts the
    records of each form, `labels` are the classes or tags found, sorted; `skipped` counts the bad
    rows that were passed over in a file.
    """

    files: tuple[FileFacts, ...]
    records: int
    form: str
    characters: int
    longest: int
    forms: Mapping[str, int] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)


def read_records(
    paths: Iterable[str | Path], *, skip_bad: bool = False, group_by: str | None = None
) -> Iterator[Record]:
    """Yield the records of `paths` in order; raise DataError at the end, with every fault found.

    With `skip_bad` a bad row is passed over; a file that cannot be read is a fault all the same.
    """
    findings = Findings(skip_bad=skip_bad)
    for path in data_files(paths):
        yield from read_file(path, findings, group_by=group_by)
    findings.tell()


def survey(
    paths: Iterable[str | Path], *, skip_bad: bool = False, group_by: str | None = None
) -> Survey:
    """Return what `paths` hold; raise DataError with every fault of every file."""
    findings = Findings(skip_bad=skip_bad)
    files: list[FileFacts] = []
    forms: Counter[str] = Counter()
    labels: set[str] = set()
    characters = longest = 0
    for path in data_files(paths):
        before = forms.total()
        for record in read_file(path, findings, group_by=group_by):
            length = sum(map(len, record.content)) - len(record.kind)
            characters += length
            longest = max(longest, length)
            forms[record.kind] += 1
            labels.update(record.labels)
        size, records = path.stat().st_size, forms.total() - before
        sha256 = file_sha256(path)
        files.append(FileFacts(path=str(path), bytes=size, records=records, sha256=sha256))
    findings.tell()
    return Survey(
        files=tuple(files),
        records=forms.total(),
        form="mixed" if len(forms) > 1 else next(iter(forms)),
        characters=characters,
        longest=longest,
        forms=dict(forms),
        labels=tuple(sorted(labels)),
        skipped=dict(findings.skipped),
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
    elif not _is_data(path):
        hint = "unpack it: Parquet is compressed as it is"
        if kind_of(path) != ".parquet":
            hint = f"one of: {' '.join(READERS)}; but the last also {' '.join(PACKED)}"
        faults.append(Fault(path=str(path), reason="unknown kind of file", hint=hint))
    else:
        return [path]
    return []


def _is_data(path: Path) -> bool:
    kind = kind_of(path)
    return kind in READERS and not (kind == ".parquet" and is_packed(path))


def _files_in(folder: Path, faults: list[Fault]) -> list[Path]:
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and _is_data(path) and not path.name.startswith(".")
    ]
    if not found:
        hint = f"put files of these kinds in it: {' '.join(READERS)}"
        faults.append(Fault(path=str(folder), reason="a folder without data", hint=hint))
    return found


def _cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def read_file(
    path: Path,
    findings: Findings,
    *,
    group_by: str | None = None,
    misfit: Callable[[Record], RowFault | None] | None = None,
) -> Iterator[Record]:
    """Yield the usable records of one file; put what is wrong with it into `findings`.

    A record for which `misfit` returns a fault is not usable.
    """
    name, before, usable = str(path), len(findings.faults), 0
    try:
        for record in READERS[kind_of(path)](Source(path, findings, group_by)):
            if misfit and (fault := misfit(record)):
                findings.bad_row(name, record.line, fault)
            else:
                usable += 1
                yield record
    except FileFault as fault:
        findings.bad_file(name, fault)
    except OSError as error:
        findings.bad_file(name, FileFault(_cause(error), "check the file"))
    if not usable and len(findings.faults) == before:
        skipped = findings.first_skipped.get(name)
        why = f": the first was skipped, line {skipped.line}, {skipped.reason}" if skipped else ""
        findings.bad_file(name, FileFault(f"no usable rows{why}", f"each row needs {NEEDED}"))
