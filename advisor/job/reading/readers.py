"""Reads a data file of each kind into records, and names what is wrong with it by its line."""

import csv
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..faults import MOST_FAULTS, DataError, Fault
from .rows import Record, RowFault, json_row, record_of

SOFT_CUT: Final = 1_000
HARD_CUT: Final = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A file being read, and where its faults go."""

    path: Path
    faults: list[Fault]

    def fault(self, line: int | None, fault: RowFault) -> None:
        """Note a fault; raise DataError once there are 20."""
        self.faults.append(
            Fault(path=str(self.path), line=line, reason=fault.reason, hint=fault.hint)
        )
        if len(self.faults) >= MOST_FAULTS:
            raise DataError(self.faults)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield (number, text) of each line, decoded; a line that cannot be is a fault."""
        with self.path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                if number == 1 and raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
                    self.fault(1, RowFault("UTF-16 text", "save the file as UTF-8"))
                    return
                try:
                    yield number, _decoded(raw.removeprefix(BOM_UTF8) if number == 1 else raw)
                except RowFault as fault:
                    self.fault(number, fault)


def _decoded(raw: bytes) -> str:
    if b"\0" in raw:
        raise RowFault("a NUL byte", "the file is binary, damaged or UTF-16: save it as UTF-8")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        reason = f"not UTF-8: byte 0x{raw[error.start]:02x} at position {error.start + 1}"
        raise RowFault(reason, "save the file as UTF-8") from None
    return text[:-2] + "\n" if text.endswith("\r\n") else text


def _read_text(source: Source) -> Iterator[Record]:
    piece: list[str] = []
    size, first = 0, 1
    for number, line in source.lines():
        if not piece:
            size, first = 0, number
        piece.append(line)
        size += len(line)
        if size >= HARD_CUT or (size >= SOFT_CUT and not line.strip()):
            yield _text_record(source, first, piece)
            piece = []
    if piece:
        yield _text_record(source, first, piece)


def _text_record(source: Source, line: int, piece: list[str]) -> Record:
    return Record(path=str(source.path), line=line, kind="text", text="".join(piece).strip("\n"))


def _read_jsonl(source: Source) -> Iterator[Record]:
    for number, line in source.lines():
        if not line.strip():
            continue
        try:
            yield record_of(json_row(line), path=str(source.path), line=number)
        except RowFault as fault:
            source.fault(number, fault)


def _read_csv(source: Source) -> Iterator[Record]:
    last = 0

    def texts() -> Iterator[str]:
        nonlocal last
        for last, line in source.lines():  # noqa: B007 - read below: where the reader stands
            yield line

    csv.field_size_limit(2**31 - 1)
    rows = csv.reader(texts(), strict=True)
    try:
        header = next(rows, [])
        start = last + 1
        for cells in rows:
            if cells:
                yield from _csv_record(source, start, header, cells)
            start = last + 1
    except csv.Error as error:
        source.fault(last, RowFault(f"not CSV: {error}", "check the quotes in this row"))


def _csv_record(source: Source, line: int, header: list[str], cells: list[str]) -> Iterator[Record]:
    try:
        row = _csv_row(header, cells)
        yield record_of(row, path=str(source.path), line=line)
    except RowFault as fault:
        source.fault(line, fault)


def _csv_row(header: list[str], cells: list[str]) -> dict[str, Any]:
    if len(cells) != len(header):
        reason = f"{len(cells)} cells under {len(header)} columns"
        raise RowFault(reason, "check commas and quotes in this row")
    row: dict[str, Any] = dict(zip(header, cells, strict=True))
    if "messages" in row:
        row["messages"] = json_row(f'{{"messages": {row["messages"]}}}')["messages"]
    return row


def _read_parquet(source: Source) -> Iterator[Record]:
    import pyarrow as pa  # noqa: PLC0415 - only Parquet needs it
    from pyarrow import parquet  # noqa: PLC0415

    try:
        with parquet.ParquetFile(source.path) as file:
            for number, row in _parquet_rows(file):
                try:
                    yield record_of(row, path=str(source.path), line=number)
                except RowFault as fault:
                    source.fault(number, fault)
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        source.fault(None, RowFault(f"not Parquet: {reason}", "write the file again"))


def _parquet_rows(file: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:  # noqa: ANN401
    wanted = {"text", "prompt", "completion", "messages"}
    columns = [name for name in file.schema_arrow.names if name in wanted]
    number = 0
    for batch in file.iter_batches(batch_size=1000, columns=columns or None):
        for row in batch.to_pylist():
            number += 1
            yield number, row


READERS: Final[Mapping[str, Callable[[Source], Iterator[Record]]]] = {
    ".txt": _read_text,
    ".md": _read_text,
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
