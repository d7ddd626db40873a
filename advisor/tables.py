"""Decision tables: read from rules/, checked, and asked which of their rows fit the facts.

A table is a CSV file. A column named after a fact (an answer, see `Answers.facts`) holds a
condition; the others hold the outcome. Every condition of a row must hold, and an empty cell
asks nothing. What a condition can say:

    legal|medical    one of these            !general          known, and none of these
    yes, no          a truth                 known, unknown    whether it was answered at all
    >=100 GB         a comparison, in any unit that the questionnaire reads; two joined by " & "
"""

import csv
import operator
import re
from collections.abc import Callable, Mapping
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar, get_args

from advisor.answers import questions
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.places import shipped
from advisor.units import (
    DataSize,
    parse_count,
    parse_data_size,
    parse_hours,
)

Approach = Literal["pretrain", "continued_pretrain", "full_finetune", "lora", "no_training"]
APPROACHES: tuple[Approach, ...] = get_args(Approach)
RuleSet = Literal["all", "documents"]
EVIDENCE = ("supported", "conditional", "contradicted", "untested")
# What is known once an approach is chosen; choice tables may test it beside the answers.
CHOICE_FACTS = frozenset({"approach", "method"})

T = TypeVar("T")
Test = Callable[[object], bool]

_COMPARISON = re.compile(r"^(>=|<=|>|<)\s*(.+)$")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_PARSERS: dict[str, Callable[[object], float | DataSize]] = {
    "raw_text": parse_data_size,
    "deadline": parse_hours,
}
_RULE_COLUMNS = frozenset(
    {*APPROACHES, "id", "because", "says", "reading", "evidence", "publication"}
)


class Condition(NamedTuple):
    """One cell: a fact and the test that it must pass."""

    fact: str
    cell: str
    test: Test

    def holds(self, facts: Mapping[str, object]) -> bool:
        """Tell whether the facts pass; what is unknown passes no test but `unknown`."""
        return self.test(facts.get(self.fact))


class Source(NamedTuple):
    """Where a row comes from."""

    article: str
    publisher: str
    title: str
    section: str
    date: str


class Rule(NamedTuple):
    """A row that speaks for and against approaches when its conditions hold.

    `tested` names the facts that the conditions ask for.
    """

    id: str
    set: str
    conditions: tuple[Condition, ...]
    weights: Mapping[Approach, float]
    because: str
    says: str
    reading: str
    evidence: str
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


class RuleBook:
    """All decision tables of one folder, each read when it is first asked for."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or shipped("rules")
        self._choices: dict[str, tuple[Choice, ...]] = {}

    @cached_property
    def documents(self) -> tuple[Rule, ...]:
        """Return the rows of the articles' own tables."""
        return self._rules("documents")

    @cached_property
    def evidence(self) -> tuple[Rule, ...]:
        """Return the rows that real projects support."""
        return self._rules("evidence")

    @cached_property
    def overrides(self) -> tuple[Override, ...]:
        """Return how teams resolved the conflicts between rows."""
        return _read(self.folder / "evidence" / "conflicts.csv", _override)

    def of(self, rule_set: RuleSet) -> tuple[Rule, ...]:
        """Return the rows that speak: all of them, or the articles' alone."""
        return self.documents + (self.evidence if rule_set == "all" else ())

    def choices(self, name: str) -> tuple[Choice, ...]:
        """Return the rows of the choice table `rules/choices/<name>.csv`, in their order."""
        if name not in self._choices:
            self._choices[name] = _read(self.folder / "choices" / f"{name}.csv", _choice)
        return self._choices[name]

    def first(self, name: str, facts: Mapping[str, object]) -> Choice | None:
        """Return the first row of a choice table that fits, or None."""
        return next((row for row in self.choices(name) if row.fits(facts)), None)

    def _rules(self, set_name: str) -> tuple[Rule, ...]:
        folder = self.folder / set_name
        rules: list[Rule] = []
        for table in _read(folder / "tables.csv", dict):
            rules += _read(folder / table["table"], partial(_rule, set_name=set_name, table=table))
        return tuple(rules)


def _read(path: Path, build: Callable[[Mapping[str, str]], T]) -> tuple[T, ...]:
    """Build every row of a CSV file; all faults of the file are raised together."""
    built, faults = [], []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval="")
            for row in reader:
                try:
                    built.append(build(row))
                except (ValueError, KeyError) as error:
                    faults.append(_fault(path, reader.line_num, error))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        faults.append(Fault(path=str(path), expected="a readable CSV table", found=str(error)))
    if faults:
        raise AdvisorError(ErrorName.RULES_INVALID, "a decision table cannot be used", faults)
    return tuple(built)


def _fault(path: Path, line: int, error: Exception) -> Fault:
    if isinstance(error, KeyError):
        return Fault(path=str(path), line=line, expected=f"a column {error}", found="none")
    column, expected, found = error.args
    return Fault(path=str(path), line=line, field=column, expected=expected, found=found)


def _rule(row: Mapping[str, str], *, set_name: str, table: Mapping[str, str]) -> Rule:
    weights = {name: _weight(name, row[name]) for name in APPROACHES if row.get(name)}
    if not weights or max(weights.values()) <= 0:
        raise ValueError("weights", "at least one approach that the row favours", "none")
    conditions = _conditions(row, _RULE_COLUMNS)
    return Rule(
        id=row["id"],
        set=set_name,
        conditions=conditions,
        tested=frozenset(condition.fact for condition in conditions),
        weights=weights,
        because=row["because"],
        says=row["says"],
        reading=row.get("reading", ""),
        evidence=_one_of("evidence", row["evidence"], EVIDENCE),
        source=Source(
            article=table["article"],
            publisher=row.get("publication") or table["publisher"],
            title=table["title"],
            section=table["section"],
            date=table["date"],
        ),
    )


def _override(row: Mapping[str, str]) -> Override:
    return Override(
        id=row["id"],
        loses=frozenset(row["loses"].split("|")),
        wins=frozenset(row["wins"].split("|")),
        why=row["why"],
        source=row["source"],
    )


def _choice(row: Mapping[str, str]) -> Choice:
    facts = _fact_names()
    outcome = {name: cell for name, cell in row.items() if name not in facts}
    conditions = tuple(_condition(name, row[name]) for name in row if name in facts and row[name])
    return Choice(id=row["id"], conditions=conditions, outcome=outcome)


def _conditions(row: Mapping[str, str], others: frozenset[str]) -> tuple[Condition, ...]:
    facts = _fact_names()
    conditions = []
    for name, cell in row.items():
        if name in others or not cell:
            continue
        if name not in facts:
            raise ValueError(name, "a column named after an answer", f"the unknown name {name}")
        conditions.append(_condition(name, cell))
    return tuple(conditions)


@cache
def _fact_names() -> frozenset[str]:
    return frozenset(question.name for question in questions()) | CHOICE_FACTS


@cache
def _allowed(fact: str) -> tuple[str, ...]:
    return next((item.choices for item in questions() if item.name == fact), ())


def _condition(fact: str, cell: str) -> Condition:
    return Condition(fact=fact, cell=cell, test=_test(fact, cell))


def _test(fact: str, cell: str) -> Test:
    if cell in ("known", "unknown"):
        return _is_known if cell == "known" else _is_unknown
    if cell in ("yes", "no"):
        return partial(operator.is_, cell == "yes")
    if cell[0] in "<>":
        bounds = [_bound(fact, part) for part in cell.split(" & ")]
        return lambda value: value is not None and all(bound(value) for bound in bounds)
    names = frozenset(cell.removeprefix("!").split("|"))
    if (allowed := _allowed(fact)) and not names <= set(allowed):
        raise ValueError(fact, ", ".join(allowed), cell)
    if cell.startswith("!"):
        return lambda value: value is not None and value not in names
    return lambda value: value in names


def _is_known(value: object) -> bool:
    return value is not None


def _is_unknown(value: object) -> bool:
    return value is None


def _bound(fact: str, cell: str) -> Test:
    match = _COMPARISON.match(cell)
    if not match:
        raise ValueError(fact, "a comparison such as >=100 GB", cell)
    compare = _OPERATORS[match[1]]
    try:
        limit = _PARSERS.get(fact, parse_count)(match[2])
    except ValueError as error:
        raise ValueError(fact, str(error), cell) from None
    unit = limit.unit if isinstance(limit, DataSize) else None
    return lambda value: compare(_amount(value, unit), _amount(limit, unit))


def _amount(value: object, unit: str | None) -> float:
    """Return a number to compare; text is measured in the unit of the limit."""
    return float(str(getattr(value, unit) if unit else value))


def _weight(name: str, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise ValueError(name, "a weight such as 2 or -1.5", cell) from None


def _one_of(name: str, cell: str, allowed: tuple[str, ...]) -> str:
    if cell not in allowed:
        raise ValueError(name, ", ".join(allowed), cell)
    return cell
