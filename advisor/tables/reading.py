"""Reading: a CSV file line by line; what is wrong is gathered with its place, all of it."""

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from advisor.errors import Fault
from advisor.tables.conditions import CellError

T = TypeVar("T")
Place = tuple[Path, int]


class RowError(Exception):
    """All the cells of a row that cannot be used."""

    def __init__(self, cells: Iterable[CellError]) -> None:
        super().__init__()
        self.cells = tuple(cells)


class Reading(Generic[T]):
    """The rows that can be used, the file and line of each, and what is wrong with the others."""

    def __init__(self) -> None:
        self.rows: list[T] = []
        self.places: list[Place] = []
        self.faults: list[Fault] = []

    def add(self, other: "Reading[T]") -> None:
        """Take in what was read of another file."""
        self.rows += other.rows
        self.places += other.places
        self.faults += other.faults


def read_rows(
    path: Path,
    build: Callable[[Mapping[str, str]], T],
    *,
    required: Iterable[str] = (),
    allowed: frozenset[str] | None = None,
) -> Reading[T]:
    """Build every row of a CSV file that has the `required` columns, and no others if `allowed`."""
    read: Reading[T] = Reading()
    line = 0
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, strict=True)
            header = next(lines, [""])
            header[0] = header[0].removeprefix("\ufeff")
            line = 1
            read.faults += [wrong.at(path, 1) for wrong in _wrong_header(header, required, allowed)]
            if any(name not in header for name in required):
                return read
            for cells in lines:
                place, line = (path, line + 1), lines.line_num
                if len(cells) == len(header):
                    _take(read, place, build, dict(zip(header, cells, strict=True)))
                elif cells:
                    read.faults.append(_wrong_length(header, cells).at(*place))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        read.faults.append(_unreadable(path, line, error))
    return read


def empty_cells(cells: Mapping[str, str], names: Iterable[str]) -> list[CellError]:
    """Return the cells that must say something and do not; a column may be left out."""
    return [
        CellError(name, "text", "an empty cell", f"fill in {name}")
        for name in names
        if not cells.get(name, "left out")
    ]


def unknown_column(name: str, allowed: Iterable[str]) -> CellError:
    """Return the fault of a column that the table may not have."""
    expected = "a column of such a table, or one named after an answer"
    found = f"the unknown column {name or '(no name)'}"
    return CellError(name, expected, found, near(name, allowed))


def near(name: str, known: Iterable[str]) -> str:
    """Return the hint that names what is nearest."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a fault needs it

    found = get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(found)}?" if found else "rules/README.md lists what there is"


def _take(
    read: Reading[T],
    place: Place,
    build: Callable[[Mapping[str, str]], T],
    cells: Mapping[str, str],
) -> None:
    try:
        read.rows.append(build(cells))
        read.places.append(place)
    except RowError as error:
        read.faults += [wrong.at(*place) for wrong in error.cells]


def _wrong_header(
    header: list[str], required: Iterable[str], allowed: frozenset[str] | None
) -> list[CellError]:
    wrong = [
        CellError(name, f"a column {name}", "none", "add the column")
        for name in required
        if name not in header
    ]
    if len(set(header)) < len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        hint = "take one of them away"
        wrong += [CellError(name, "each column once", f"{name} twice", hint) for name in twice]
    if allowed is not None:
        wrong += [unknown_column(name, allowed) for name in header if name not in allowed]
    return wrong


def _wrong_length(header: list[str], cells: list[str]) -> CellError:
    expected = f"{len(header)} cells, as the first line has"
    hint = "put quotes around a cell that holds a comma"
    column = header[min(len(cells), len(header)) - 1]
    return CellError(column, expected, f"{len(cells)} cells", hint)


def _unreadable(path: Path, line: int, error: Exception) -> Fault:
    return Fault(
        path=str(path),
        line=line + 1 if line else None,
        expected="a readable CSV table",
        found=str(getattr(error, "strerror", None) or error),
        hint="add it" if isinstance(error, FileNotFoundError) else "save it as CSV in UTF-8",
    )
