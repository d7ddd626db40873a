"""Reads tables of facts; a row that does not fit its class is a fault with its place."""

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from advisor.errors import AdvisorError, ErrorName, Fault

Fact = TypeVar("Fact", bound=NamedTuple)


class Row(NamedTuple):
    """One row as it stands in the file."""

    line: int
    cells: list[str]


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or value < 0:
        raise ValueError(text)
    return value


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _flag(text: str) -> bool:
    return ("no", "yes").index(text) == 1


_READERS: dict[object, tuple[Callable[[str], object], str]] = {
    str: (str, "text"),
    float: (_number, "a number of at least 0"),
    int: (_whole, "a whole number of at least 0"),
    bool: (_flag, "yes or no"),
    float | None: (lambda text: _number(text) if text else None, "a number, or nothing"),
    int | None: (lambda text: _whole(text) if text else None, "a whole number, or nothing"),
}


class Table(Generic[Fact]):
    """The rows of one file; a row becomes a fact when it is first asked for.

    The columns must be the fields of `kind`. Raises PROFILES_INVALID with every faulty cell of
    the rows that are asked for, or FILE_UNREADABLE.
    """

    def __init__(self, file: Path, kind: type[Fact]) -> None:
        self._file = file
        self._kind = kind
        self._columns = list(kind.__annotations__)
        self._readers = [_READERS[of] for of in kind.__annotations__.values()]
        self._rows = _cells(file, self._columns)

    def all(self) -> tuple[Fact, ...]:
        """Return every fact, in the order of the file."""
        return self._read(self._rows)

    def where(self, column: str, text: str) -> tuple[Fact, ...]:
        """Return the facts whose cell in `column` is `text`, in any case."""
        place, wanted = self._columns.index(column), text.lower()
        return self._read(row for row in self._rows if row.cells[place].lower() == wanted)

    def column(self, name: str) -> list[Any]:
        """Return the cells of one column, read as what its class says."""
        place = self._columns.index(name)
        read, _ = self._readers[place]
        try:
            return [read(row.cells[place]) for row in self._rows]
        except ValueError:
            faults = [fault for row in self._rows for fault in self._faults_of(row)]
            raise _invalid(self._file, faults) from None

    def one(self, number: int) -> Fact:
        """Return the fact in row `number`, counted from 0."""
        return self._read([self._rows[number]])[0]

    def _read(self, rows: Iterable[Row]) -> tuple[Fact, ...]:
        facts: list[Fact] = []
        faults: list[Fault] = []
        for row in rows:
            try:
                values = [
                    read(cell) for (read, _), cell in zip(self._readers, row.cells, strict=True)
                ]
                facts.append(self._kind._make(values))
            except ValueError:
                faults += self._faults_of(row)
        if faults:
            raise _invalid(self._file, faults)
        return tuple(facts)

    def _faults_of(self, row: Row) -> Iterator[Fault]:
        where = zip(self._columns, self._readers, row.cells, strict=True)
        for name, (read, expected), cell in where:
            try:
                read(cell)
            except ValueError:
                path = str(self._file)
                yield Fault(path=path, line=row.line, field=name, expected=expected, found=cell)


class ById(Mapping[str, Fact]):
    """The rows of a table by their id, which must come but once."""

    def __init__(self, file: Path, kind: type[Fact]) -> None:
        self._table = Table(file, kind)
        ids = self._table.column("id")
        self._numbers = {id_: number for number, id_ in enumerate(ids)}
        self._facts: dict[str, Fact] = {}
        if len(self._numbers) < len(ids):
            twice = sorted({id_ for id_ in ids if ids.count(id_) > 1})
            raise _invalid(
                file,
                [
                    Fault(path=str(file), field="id", expected="each id once", found=id_)
                    for id_ in twice
                ],
            )

    def all(self) -> tuple[Fact, ...]:
        """Return every fact, in the order of the file; every faulty cell is told at once."""
        return self._table.all()

    def column(self, name: str) -> list[Any]:
        """Return what one column holds, in the order of the file."""
        return self._table.column(name)

    def __getitem__(self, id_: str) -> Fact:
        if id_ not in self._facts:
            self._facts[id_] = self._table.one(self._numbers[id_])
        return self._facts[id_]

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


def _cells(file: Path, columns: list[str]) -> list[Row]:
    """Return the rows as text; their header and widths are checked."""
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            table = csv.reader(stream)
            header = next(table, [])
            rows = [Row(table.line_num, cells) for cells in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AdvisorError(
            ErrorName.FILE_UNREADABLE,
            f"cannot read the table {file.name}",
            [Fault(path=str(file), expected="a readable UTF-8 CSV file", found=str(error))],
        ) from error
    if header != columns:
        expected, found = ",".join(columns), ",".join(header)
        raise _invalid(file, [Fault(path=str(file), line=1, expected=expected, found=found)])
    wide = f"{len(columns)} cells"
    faults = [
        Fault(path=str(file), line=row.line, expected=wide, found=f"{len(row.cells)} cells")
        for row in rows
        if len(row.cells) != len(columns)
    ]
    if faults:
        raise _invalid(file, faults)
    return rows


def _invalid(file: Path, faults: list[Fault]) -> AdvisorError:
    return AdvisorError(ErrorName.PROFILES_INVALID, f"{file.name} has faulty rows", faults)
