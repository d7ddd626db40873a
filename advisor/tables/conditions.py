"""Conditions: one cell of a table, read as a test of one fact.

    legal|medical    one of these            !general          known, and none of these
    yes, no          a truth                 known, unknown    whether it was answered at all
    >=100 GB         a comparison, in any unit that the questionnaire reads; several are joined
                     by " & "

Which of them a fact takes follows from its kind: a truth, a choice, an amount or a text.
"""

import operator
import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

from advisor.answers import Parser, Question, questions
from advisor.errors import Fault
from advisor.units import DataSize

Approach = Literal["pretrain", "continued_pretrain", "full_finetune", "lora", "no_training"]
APPROACHES: tuple[Approach, ...] = get_args(Approach)
Kind = Literal["truth", "choice", "amount", "text"]
Test = Callable[[object], bool]
Compare = Callable[[float, float], bool]
# A comparison, its limit, and the unit in which text is measured for it.
Bound = tuple[Compare, float, str | None]

_COMPARISON = re.compile(r"^(>=|<=|>|<)\s*(.+)$")
_OPERATORS: dict[str, Compare] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_WORDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}


class CellError(ValueError):
    """A cell that cannot be read: its column, what was expected, what was found, what to do."""

    def __init__(self, column: str, expected: str, found: str, hint: str) -> None:
        super().__init__(f"{column}: expected {expected}, found {found}")
        self.column = column
        self.expected = expected
        self.found = found
        self.hint = hint

    def at(self, path: Path, line: int) -> Fault:
        """Return the fault that tells of it, with its place."""
        return Fault(str(path), line, self.column, self.expected, self.found, self.hint)


class Fact(NamedTuple):
    """What a table may ask about: its kind, the values of a choice, the reader of an amount."""

    kind: Kind
    choices: tuple[str, ...] = ()
    parse: Parser | None = None
    whole: bool = False


class Condition(NamedTuple):
    """One cell: a fact and the test that it must pass."""

    fact: str
    cell: str
    test: Test

    def holds(self, facts: Mapping[str, object]) -> bool:
        """Tell whether the facts pass; what is unknown passes no test but `unknown`."""
        return self.test(facts.get(self.fact))

    @property
    def in_words(self) -> str:
        """Return the condition as a person would say it."""
        name = self.fact.replace("_", " ")
        if self.cell[0] in "<>":
            return f"{name} {' and '.join(map(_in_words, self.cell.split(' & ')))}"
        negated = "not " if self.cell.startswith("!") else ""
        values = self.cell.removeprefix("!").replace("_", " ").split("|")
        return f"{name} is {negated}{' or '.join(values)}"


@cache
def answer_facts() -> Mapping[str, Fact]:
    """Return every answer that a table may test, by its name."""
    return {question.name: _fact(question) for question in questions()}


@cache
def choice_facts() -> Mapping[str, Fact]:
    """Return what a choice table may test: the answers, and what an approach has settled."""
    approach = Fact("choice", APPROACHES)
    return {**answer_facts(), "approach": approach, "method": Fact("text")}


@cache
def condition_of(name: str, cell: str) -> Condition:
    """Read one cell of the column `name`; tables repeat many of them.

    Raises:
        CellError: where the fact takes no such condition.
    """
    return Condition(fact=name, cell=cell, test=_test(name, cell, choice_facts()[name]))


def bounds_of(name: str, cell: str, parse: Parser) -> tuple[Bound, ...]:
    """Return the comparisons of a cell; `parse` reads their limits."""
    return tuple(_bound(name, part, parse) for part in cell.split(" & "))


def _fact(question: Question) -> Fact:
    if question.parse is not None:
        whole = question.expected.startswith("a whole number")
        return Fact("amount", parse=question.parse, whole=whole)
    if question.choices == ("true", "false"):
        return Fact("truth")
    return Fact("choice", question.choices) if question.choices else Fact("text")


def _test(name: str, cell: str, fact: Fact) -> Test:
    if cell in ("known", "unknown"):
        return _is_known if cell == "known" else _is_unknown
    if fact.kind == "truth":
        if cell not in ("yes", "no"):
            raise CellError(name, "yes, no, known or unknown", cell, "write one of them")
        return partial(operator.is_, cell == "yes")
    if fact.parse is not None:
        return partial(_is_within, bounds_of(name, cell, fact.parse))
    if cell[0] in "<>":
        raise CellError(name, "names joined by |", cell, "only an amount can be compared")
    names = frozenset(cell.removeprefix("!").split("|"))
    if fact.choices and not names <= set(fact.choices):
        wrong = ", ".join(sorted(names - set(fact.choices)))
        raise CellError(name, ", ".join(fact.choices), wrong, "join several by |")
    return partial(_is_other if cell.startswith("!") else _is_one, names)


def _is_known(value: object) -> bool:
    return value is not None


def _is_unknown(value: object) -> bool:
    return value is None


def _is_one(names: frozenset[str], value: object) -> bool:
    return value in names


def _is_other(names: frozenset[str], value: object) -> bool:
    return value is not None and value not in names


def _is_within(bounds: tuple[Bound, ...], value: object) -> bool:
    if value is None:
        return False
    return all(
        compare(cast("float", getattr(value, unit) if unit else value), limit)
        for compare, limit, unit in bounds
    )


def _bound(name: str, cell: str, parse: Parser) -> Bound:
    match = _COMPARISON.match(cell)
    hint = 'write >=, <=, > or < and an amount; join two by " & "'
    if not match:
        raise CellError(name, "a comparison such as >=100", cell, hint)
    try:
        limit = parse(match[2])
    except ValueError as error:
        raise CellError(name, str(error), cell, hint) from None
    if isinstance(limit, DataSize):
        return _OPERATORS[match[1]], limit.amount, limit.unit
    return _OPERATORS[match[1]], limit, None


def _in_words(comparison: str) -> str:
    match = _COMPARISON.match(comparison)
    return f"{_WORDS[match[1]]} {match[2]}" if match else comparison
