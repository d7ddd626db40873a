"""Reads a data file of each kind into records, and names what is wrong with it by its line.

A reader yields the rows of a file, each with its line and, where it is none, why. Text has no
rows: it is cut into records. No reader holds more of a file than the row that it is at.
"""

import csv
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from .arrays import array_rows
from .findings import Findings
from .opening import FileFault, open_text
from .rows import (
    COLUMNS,
    LISTS,
    MOST_ROW,
    Record,
    Row,
    RowFault,
    check_characters,
    form_of,
    json_row,
    record_of,
)

SOFT_CUT: Final = 1_000
HARD_CUT: Final = 10_000
LINE_CUT: Final = 100_000
ROWS_AT_ONCE: Final = 1000

Rows = Iterator[tuple[int, Row | RowFault]]


class Source(NamedTuple):
    """A file being read, where its faults go, and the column that groups its rows."""

    path: Path
    findings: Findings
    group_by: str | None = None

    def records(self, rows: Rows) -> Iterator[Record]:
        """Yield the rows that are records; note the others, pass over blank ones."""
        path = str(self.path)
        for line, row in rows:
            try:
                if isinstance(row, RowFault):
                    raise row
                record = record_of(row, path=path, line=line, group_by=self.group_by)
            except RowFault as fault:
                self.findings.bad_row(path, line, fault)
            else:
                if record:
                    yield record

    def check_columns(self, columns: list[str]) -> None:
        """Raise FileFault unless a table of these columns holds records."""
        twin = next((name for name in columns if columns.count(name) > 1), None)
        if twin is not None:
            raise FileFault(f"the column {twin!a} stands twice", "rename one of them", line=1)
        try:
            form_of(tuple(columns))
        except RowFault as fault:
            raise FileFault(fault.reason, fault.hint, line=1) from None
        if self.group_by and self.group_by not in columns:
            reason = f"no column {self.group_by} to split by; columns present: {', '.join(columns)}"
            raise FileFault(reason, "add the column, or leave out group_by", line=1)


def _read_text(source: Source) -> Iterator[Record]:
    if source.group_by:
        raise FileFault(
            f"text has no column {source.group_by} to split by", "leave out group_by, or give rows"
        )
    path = str(source.path)
    piece: list[str] = []
    size, first = 0, 1
    with open_text(source.path) as file:
        for number, line in _text_lines(file):
            if fault := _bad_characters(line, number):
                source.findings.bad_row(path, number, fault)
                continue
            if not piece:
                size, first = 0, number
            piece.append(line)
            size += len(line)
            if size >= HARD_CUT or (size >= SOFT_CUT and not line.strip()):
                yield from _text_record(path, first, piece)
                piece = []
    yield from _text_record(path, first, piece)


def _bad_characters(line: str, number: int) -> RowFault | None:
    """Return why a line of text is none; raise FileFault where the whole file is none."""
    try:
        check_characters(line)
    except RowFault as fault:
        if "\0" in line:
            raise FileFault(fault.reason, fault.hint, line=number) from None
        return fault
    return None


def _text_lines(file: TextIO) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of each line; a very long one comes in parts, cut at a space."""
    number, kept = 1, ""
    for part in iter(partial(file.readline, LINE_CUT), ""):
        line, kept = kept + part, ""
        ends = line.endswith("\n")
        if not ends and len(part) == LINE_CUT:
            cut = line.rfind(" ") + 1 or len(line)
            line, kept = line[:cut], line[cut:]
        yield number, line
        number += ends
    if kept:
        yield number, kept


def _text_record(path: str, line: int, piece: list[str]) -> Iterator[Record]:
    text = "".join(piece).strip("\n")
    if text.strip():
        yield Record(path, line, "text", text)


def _read_jsonl(source: Source) -> Iterator[Record]:
    with open_text(source.path) as file:
        yield from source.records(_json_lines(file))


def _lines(file: TextIO) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(iter(partial(file.readline, MOST_ROW), ""), start=1):
        if len(line) >= MOST_ROW:
            reason = f"a row of more than {MOST_ROW:,} characters"
            raise FileFault(reason, "write each row on a line of its own", line=number)
        yield number, line


def _json_lines(file: TextIO) -> Rows:
    for number, line in _lines(file):
        text = line.strip()
        if text:
            try:
                check_characters(line)
                yield number, json_row(text)
            except RowFault as fault:
                yield number, fault


def _read_json(source: Source) -> Iterator[Record]:
    """Read an array of rows; JSON lines where the file begins otherwise."""
    with open_text(source.path) as file:
        parts = iter(partial(file.read, HARD_CUT), "")
        first = next((part.strip()[0] for part in parts if part.strip()), "")
    if first != "[":
        yield from _read_jsonl(source)
        return
    with open_text(source.path) as file:
        yield from source.records(array_rows(file))


def _read_csv(source: Source, delimiter: str = ",") -> Iterator[Record]:
    csv.field_size_limit(MOST_ROW)
    with open_text(source.path) as file:
        table = _table(_Feed(file), delimiter)
        line, header = next(table, (1, []))
        if isinstance(header, RowFault):
            raise FileFault(header.reason, header.hint, line=line)
        if header:
            source.check_columns(header)
            yield from source.records(_csv_rows(header, table))


class _Feed:
    """Gives the csv reader its lines, and gives them again where a row turns out to be none.

    `first` is the line that the row begins on.
    """

    def __init__(self, file: TextIO) -> None:
        self._lines = _lines(file)
        self._again: deque[str] = deque()
        self._row: list[str] = []
        self.first = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)[1]
        self._row.append(line)
        return line

    def next_row(self) -> None:
        """Go on behind the row."""
        self.first += len(self._row)
        self._row.clear()

    def next_line(self) -> None:
        """Go on behind the row's first line: what follows may be whole rows."""
        self._again.extendleft(reversed(self._row[1:]))
        del self._row[1:]
        self.next_row()


def _table(feed: _Feed, delimiter: str) -> Iterator[tuple[int, list[str] | RowFault]]:
    """Yield the cells of each row with the line it begins on."""
    rows = csv.reader(feed, strict=True, delimiter=delimiter)
    while True:
        try:
            cells = next(rows, None)
        except csv.Error as error:
            hint = "check the quotes in this row"
            yield feed.first, RowFault(f"not CSV: {error}", hint)
            feed.next_line()
            continue
        if cells is None:
            return
        if cells:
            yield feed.first, cells
        feed.next_row()


def _csv_rows(header: list[str], table: Iterator[tuple[int, list[str] | RowFault]]) -> Rows:
    lists = LISTS.intersection(header)
    for line, cells in table:
        if isinstance(cells, RowFault):
            yield line, cells
            continue
        try:
            yield line, _csv_row(header, cells, lists)
        except RowFault as fault:
            yield line, fault


def _csv_row(header: list[str], cells: list[str], lists: frozenset[str]) -> Row:
    check_characters("".join(cells))
    if len(cells) != len(header):
        reason = f"{len(cells)} cells under {len(header)} columns"
        raise RowFault(reason, "check commas and quotes in this row")
    row: dict[str, Any] = dict(zip(header, cells, strict=True))
    for name in lists:
        row[name] = json_row(f'{{"list": {row[name]}}}')["list"]
    return row


def _read_parquet(source: Source) -> Iterator[Record]:
    import pyarrow as pa  # noqa: PLC0415 - only Parquet needs it
    from pyarrow import parquet  # noqa: PLC0415

    try:
        with parquet.ParquetFile(source.path) as file:
            columns = file.schema_arrow.names
            source.check_columns(columns)
            wanted = [name for name in columns if name in COLUMNS or name == source.group_by]
            yield from source.records(_parquet_rows(file, wanted))
    except pa.ArrowException as error:
        reason = f"not Parquet: {str(error).splitlines()[0]}"
        raise FileFault(reason, "write the file again") from None


def _parquet_rows(file: Any, columns: list[str]) -> Rows:  # noqa: ANN401
    number = 0
    for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns):
        try:
            rows = batch.to_pylist()
        except UnicodeDecodeError:
            rows = [_parquet_row(batch.slice(at, 1)) for at in range(batch.num_rows)]
        for row in rows:
            number += 1
            yield number, row


def _parquet_row(batch: Any) -> Row | RowFault:  # noqa: ANN401
    try:
        return batch.to_pylist()[0]
    except UnicodeDecodeError as error:
        return RowFault(f"not UTF-8: {error.reason}", "write the file again")


READERS: Final[Mapping[str, Callable[[Source], Iterator[Record]]]] = {
    ".txt": _read_text,
    ".md": _read_text,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": partial(_read_csv, delimiter="\t"),
    ".parquet": _read_parquet,
}
