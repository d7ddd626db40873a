"""Rows: what a line of each kind of table becomes, and all that is wrong with it at once."""

import math
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from advisor.tables.conditions import (
    APPROACHES,
    Approach,
    CellError,
    Condition,
    Fact,
    answer_facts,
    choice_facts,
    condition_of,
)
from advisor.tables.reading import Reading, RowError, empty_cells, read_rows

EVIDENCE = ("supported", "conditional", "contradicted", "untested")
STRENGTHS = ("high", "medium", "low")
RULE_TEXTS = ("id", "because", "says")
RULE_COLUMNS = frozenset(
    {*APPROACHES, *RULE_TEXTS, "evidence", "reading", "strength", "publication"}
)
TABLE_COLUMNS = ("table", "article", "publisher", "title", "section", "date")
NEEDED = (*RULE_TEXTS, "evidence")
OVERRIDE_COLUMNS = ("id", "loses", "wins", "why", "source")

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class Source(NamedTuple):
    """Where a row comes from."""

    article: str
    publisher: str
    title: str
    section: str
    date: str


class Rule(NamedTuple):
    """A row that speaks for and against approaches when its conditions hold.

    `tested` names the facts that the conditions ask for; `strength` tells how strong the evidence
    is, and is empty where the table does not say.
    """

    id: str
    set: str
    conditions: tuple[Condition, ...]
    weights: Mapping[Approach, float]
    because: str
    says: str
    reading: str
    evidence: str
    strength: str
    source: Source
    tested: frozenset[str]

    @property
    def favours(self) -> Approach:
        """Return the approach that gains most; the first named wins a tie."""
        return max(self.weights, key=lambda name: self.weights[name])

    def fits(self, facts: Mapping[str, object]) -> bool:
        """Tell whether every condition holds."""
        return all(condition.holds(facts) for condition in self.conditions)


class Override(NamedTuple):
    """What resolves a conflict: where rows of both sides fire, the losing rows count no more."""

    id: str
    loses: frozenset[str]
    wins: frozenset[str]
    why: str
    source: str


class Choice(NamedTuple):
    """A row of a table whose first fitting row decides, or all of whose fitting rows apply."""

    id: str
    conditions: tuple[Condition, ...]
    outcome: Mapping[str, str]

    def fits(self, facts: Mapping[str, object]) -> bool:
        """Tell whether every condition holds."""
        return all(condition.holds(facts) for condition in self.conditions)


def read_rules(folder: Path, set_name: str) -> Reading[Rule]:
    """Read the tables that `tables.csv` lists, as rules of one set."""
    listed = read_rows(folder / "tables.csv", _table, required=TABLE_COLUMNS)
    read: Reading[Rule] = Reading()
    read.faults += listed.faults
    allowed = RULE_COLUMNS | answer_facts().keys()
    for (path, line), table in zip(listed.places, listed.rows, strict=True):
        file = folder / table["table"]
        if file.exists():
            build = partial(_rule, set_name=set_name, table=table)
            read.add(read_rows(file, build, required=NEEDED, allowed=allowed))
        else:
            hint = "add the file, or take the line away"
            wrong = CellError("table", "a file beside it", f"no file {file.name}", hint)
            read.faults.append(wrong.at(path, line))
    return read


def read_overrides(path: Path) -> Reading[Override]:
    """Read how conflicts between rules are resolved."""
    return read_rows(path, _override, required=OVERRIDE_COLUMNS)


def read_choices(path: Path) -> Reading[Choice]:
    """Read a choice table."""
    return read_rows(path, _choice, required=("id",))


def _table(cells: Mapping[str, str]) -> Mapping[str, str]:
    if wrong := empty_cells(cells, TABLE_COLUMNS):
        raise RowError(wrong)
    return cells


def _rule(cells: Mapping[str, str], *, set_name: str, table: Mapping[str, str]) -> Rule:
    wrong = empty_cells(cells, (*RULE_TEXTS, "publication"))
    conditions = _conditions(cells, answer_facts(), wrong)
    weights = _weights(cells, wrong)
    tested = frozenset([condition.fact for condition in conditions])
    wrong += _wrong_names(cells)
    if "{" in cells["because"] or "}" in cells["because"]:
        wrong += _wrong_places(cells["because"], tested.union(one.column for one in wrong))
    if wrong:
        raise RowError(wrong)
    return Rule(
        id=cells["id"],
        set=set_name,
        conditions=conditions,
        tested=tested,
        weights=weights,
        because=cells["because"],
        says=cells["says"],
        reading=cells.get("reading", ""),
        evidence=cells["evidence"],
        strength=cells.get("strength", ""),
        source=Source(
            article=table["article"],
            publisher=cells.get("publication") or table["publisher"],
            title=table["title"],
            section=table["section"],
            date=table["date"],
        ),
    )


def _conditions(
    cells: Mapping[str, str], facts: Mapping[str, Fact], wrong: list[CellError]
) -> tuple[Condition, ...]:
    """Return the conditions of a row; what cannot be read is added to `wrong`."""
    conditions = []
    for name, cell in [(name, cell) for name, cell in cells.items() if cell and name in facts]:
        try:
            conditions.append(condition_of(name, cell))
        except CellError as error:
            wrong.append(error)
    return tuple(conditions)


def _weights(cells: Mapping[str, str], wrong: list[CellError]) -> Mapping[Approach, float]:
    """Return what a row weighs; what cannot be read is added to `wrong`."""
    weights: dict[Approach, float] = {}
    unread = False
    for name in APPROACHES:
        if cell := cells.get(name):
            try:
                weights[name] = _weight(name, cell)
            except CellError as error:
                wrong.append(error)
                unread = True
    if not unread and max(weights.values(), default=0.0) <= 0:
        column = next((name for name in APPROACHES if name in cells), "weights")
        hint = "give the approach that the row speaks for a weight above zero"
        wrong.append(CellError(column, "an approach that the row favours", "none", hint))
    return weights


def _weight(name: str, cell: str) -> float:
    try:
        weight = float(cell)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise CellError(name, "a weight such as 2 or -1.5", cell, "write a plain number")
    return weight


def _wrong_names(cells: Mapping[str, str]) -> list[CellError]:
    return [
        CellError(name, ", ".join(allowed), cells[name] or "an empty cell", "write one of them")
        for name, allowed in (("evidence", EVIDENCE), ("strength", STRENGTHS))
        if name in cells and cells[name] not in allowed
    ]


def _wrong_places(because: str, tested: frozenset[str]) -> list[CellError]:
    """Tell of places for answers in a reason that the row cannot fill."""
    hint = "name a fact that this row tests"
    expected = f"one of {', '.join(sorted(tested))}" if tested else "no placeholder"
    names = set(_PLACEHOLDER.findall(because)) - tested
    wrong = [CellError("because", expected, f"{{{name}}}", hint) for name in sorted(names)]
    if set(_PLACEHOLDER.sub("", because)) & set("{}"):
        wrong.append(CellError("because", "braces in pairs", because, hint))
    return wrong


def _override(cells: Mapping[str, str]) -> Override:
    if wrong := empty_cells(cells, OVERRIDE_COLUMNS):
        raise RowError(wrong)
    return Override(
        id=cells["id"],
        loses=frozenset(cells["loses"].split("|")),
        wins=frozenset(cells["wins"].split("|")),
        why=cells["why"],
        source=cells["source"],
    )


def _choice(cells: Mapping[str, str]) -> Choice:
    wrong = empty_cells(cells, ("id", "source", "date"))
    facts = choice_facts()
    conditions = _conditions(cells, facts, wrong)
    if wrong:
        raise RowError(wrong)
    outcome = {name: cell for name, cell in cells.items() if name not in facts}
    return Choice(id=cells["id"], conditions=conditions, outcome=outcome)
