"""Reads one table of facts; a row that does not fit its class is a fault with its place."""

import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO, TypeVar

from advisor.errors import AdvisorError, ErrorName, Fault

Fact = TypeVar("Fact", bound=NamedTuple)


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


def read_facts(file: Path, kind: type[Fact]) -> tuple[Fact, ...]:
    """Return the rows of `file` as `kind`.

    The columns must be the fields of `kind`. Raises PROFILES_INVALID with every faulty cell, or
    FILE_UNREADABLE.
    """
    faults: list[Fault] = []
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            facts = tuple(_rows(stream, file, kind, faults))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AdvisorError(
            ErrorName.FILE_UNREADABLE,
            f"cannot read the table {file.name}",
            [Fault(path=str(file), expected="a readable UTF-8 CSV file", found=str(error))],
        ) from error
    if faults:
        raise AdvisorError(ErrorName.PROFILES_INVALID, f"{file.name} has faulty rows", faults)
    return facts


def _rows(stream: TextIO, file: Path, kind: type[Fact], faults: list[Fault]) -> Iterator[Fact]:
    columns: dict[str, Any] = kind.__annotations__
    readers = [(name, *_READERS[of]) for name, of in columns.items()]
    table = csv.reader(stream)
    header = next(table, [])
    if header != list(columns):
        found, expected = ",".join(header), ",".join(columns)
        faults.append(Fault(path=str(file), line=1, expected=expected, found=found))
        return
    for cells in table:
        values = _values(cells, readers, file=file, line=table.line_num, faults=faults)
        if values is not None:
            yield kind._make(values)


def _values(
    cells: list[str],
    readers: list[tuple[str, Callable[[str], object], str]],
    *,
    file: Path,
    line: int,
    faults: list[Fault],
) -> list[object] | None:
    if len(cells) != len(readers):
        expected, found = f"{len(readers)} cells", f"{len(cells)} cells"
        faults.append(Fault(path=str(file), line=line, expected=expected, found=found))
        return None
    try:
        return [read(cell) for (_, read, _), cell in zip(readers, cells, strict=True)]
    except ValueError:
        faults.extend(_faulty_cells(cells, readers, file=file, line=line))
        return None


def _faulty_cells(
    cells: list[str],
    readers: list[tuple[str, Callable[[str], object], str]],
    *,
    file: Path,
    line: int,
) -> Iterator[Fault]:
    for (name, read, expected), cell in zip(readers, cells, strict=True):
        try:
            read(cell)
        except ValueError:
            yield Fault(path=str(file), line=line, field=name, expected=expected, found=cell)
