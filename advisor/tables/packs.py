"""Packs: every table of a folder read at once, with the place of every row.

A whole pack has the folders of `rules/`. An organisation's own pack lies flat: its `tables.csv`
with the tables that it lists, and `conflicts.csv` and `choices/` where it has them.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from advisor.errors import Fault
from advisor.tables.book import SHIPPED_SETS, own_set
from advisor.tables.conditions import CellError
from advisor.tables.reading import Reading, RowError, empty_cells, read_rows
from advisor.tables.rows import (
    Choice,
    Override,
    Rule,
    read_choices,
    read_overrides,
    read_rules,
)

T = TypeVar("T")

STATEMENT_COLUMNS = ("id", "article", "section", "says", "home", "refers", "why")
# Files beside the tables of rules that hold no rules.
BESIDE = frozenset({"tables.csv", "conflicts.csv", "statements.csv"})


class Placed(NamedTuple, Generic[T]):
    """A row and its place."""

    path: Path
    line: int
    row: T


class Statement(NamedTuple):
    """What an article says, where it is at home here, and the ids of the rows that carry it."""

    id: str
    article: str
    section: str
    says: str
    home: str
    refers: tuple[str, ...]
    why: str


class Pack(NamedTuple):
    """The tables of a folder, with all that cannot be read of them.

    `unread` are the choice tables of which some row cannot be read.
    """

    folder: Path
    rules: tuple[Placed[Rule], ...]
    overrides: tuple[Placed[Override], ...]
    choices: Mapping[str, tuple[Placed[Choice], ...]]
    statements: tuple[Placed[Statement], ...]
    faults: tuple[Fault, ...]
    unread: frozenset[str]

    @property
    def choice_rows(self) -> tuple[Placed[Choice], ...]:
        """Return the rows of every choice table."""
        return tuple(place for rows in self.choices.values() for place in rows)

    @property
    def rows(self) -> tuple[Placed[Any], ...]:
        """Return every row, of whatever kind; each has an id."""
        return (*self.rules, *self.overrides, *self.choice_rows, *self.statements)


def is_whole(folder: Path) -> bool:
    """Tell whether a folder is laid out as `rules/` is."""
    return not (folder / "tables.csv").exists() and any(
        (folder / name).is_dir() for name in (*SHIPPED_SETS, "choices")
    )


def read_pack(folder: Path, *, whole: bool) -> Pack:
    """Read every table of a folder, laid out as a whole pack or as an own one."""
    homes = {folder / name: name for name in SHIPPED_SETS} if whole else {folder: own_set(folder)}
    rules: Reading[Rule] = Reading()
    for home, set_name in homes.items():
        rules.add(read_rules(home, set_name))
        rules.faults += _unlisted(home)
    conflicts = folder / "evidence" / "conflicts.csv" if whole else folder / "conflicts.csv"
    overrides = read_overrides(conflicts) if whole else _if_there(conflicts, read_overrides)
    files = sorted((folder / "choices").glob("*.csv"))
    choices = {file.stem: read_choices(file) for file in files}
    statements = _if_there(folder / "documents" / "statements.csv", _read_statements)
    readings: tuple[Reading[Any], ...] = (rules, overrides, *choices.values(), statements)
    return Pack(
        folder=folder,
        rules=_placed(rules),
        overrides=_placed(overrides),
        choices={name: _placed(reading) for name, reading in choices.items()},
        statements=_placed(statements),
        faults=tuple(fault for reading in readings for fault in reading.faults),
        unread=frozenset(name for name, reading in choices.items() if reading.faults),
    )


def _placed(reading: Reading[T]) -> tuple[Placed[T], ...]:
    rows = zip(reading.places, reading.rows, strict=True)
    return tuple(Placed(path, line, row) for (path, line), row in rows)


def ids_in(folder: Path) -> frozenset[str]:
    """Return every id in the tables of a folder, those of rows that cannot be used too."""
    return frozenset(
        row.get("id", "") for file in folder.rglob("*.csv") for row in read_rows(file, dict).rows
    )


def _if_there(path: Path, read: Callable[[Path], Reading[T]]) -> Reading[T]:
    return read(path) if path.exists() else Reading()


def _unlisted(home: Path) -> Iterator[Fault]:
    """Yield the tables that nobody would read."""
    tables = home / "tables.csv"
    listed = {row.get("table") for row in read_rows(tables, dict).rows}
    for file in sorted(home.glob("*.csv")):
        if tables.exists() and file.name not in listed | BESIDE:
            expected = f"a line for {file.name}, which lies beside it"
            hint = "list the table with its article, or take the file away"
            yield CellError("table", expected, "none", hint).at(tables, 1)


def _read_statements(path: Path) -> Reading[Statement]:
    return read_rows(path, _statement, required=STATEMENT_COLUMNS)


def _statement(cells: Mapping[str, str]) -> Statement:
    if wrong := empty_cells(cells, ("id", "article", "section", "says", "home")):
        raise RowError(wrong)
    refers = tuple(one for one in cells["refers"].split("|") if one)
    return Statement(
        id=cells["id"],
        article=cells["article"],
        section=cells["section"],
        says=cells["says"],
        home=cells["home"],
        refers=refers,
        why=cells["why"],
    )
