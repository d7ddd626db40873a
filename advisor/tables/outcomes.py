"""Outcomes: what the choice tables may decide, checked against the catalogue and the questions."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from advisor.catalog import Catalog
from advisor.errors import AdvisorError
from advisor.tables.conditions import APPROACHES, choice_facts
from advisor.tables.reading import near
from advisor.tables.rows import Choice
from advisor.units import parse_count, parse_data_size

NEEDS = ("variant", "context")
SETTING_WORDS = ("full_rate", "adapter_params")
UNTRAINED_METHODS = ("zero_shot", "few_shot", "rag")
ANY_SIZE = 1e9
# What every choice table may have beside conditions and outcomes.
NOTES = ("id", "why", "source", "date")


class Wrong(NamedTuple):
    """What is wrong with a cell."""

    expected: str
    found: str
    hint: str


Check = Callable[[str, Choice, Catalog], Iterator[Wrong]]


class ChoiceTable(NamedTuple):
    """How a choice table is read.

    Where it `decides` the first row that fits is taken, for each value of the column `each` where
    that is named; where it `serves_all` there must be one for every project. `outcomes` are its
    columns with the check of each; those in `optional` may be left empty.
    """

    outcomes: Mapping[str, Check]
    decides: bool = False
    each: str = ""
    serves_all: bool = False
    optional: frozenset[str] = frozenset()


def _models(cell: str, _row: Choice, catalog: Catalog) -> Iterator[Wrong]:
    for name in cell.split():
        yield from _unknown(catalog.model, name)


def _gpus(cell: str, _row: Choice, catalog: Catalog) -> Iterator[Wrong]:
    for rung in cell.split():
        gpu, _, count = rung.partition(":")
        if not count.isdecimal() or int(count) == 0:
            yield Wrong("a GPU and how many, such as l4:1", rung, "write the number after a colon")
        else:
            yield from _unknown(catalog.gpu, gpu)


def _methods(cell: str, row: Choice, catalog: Catalog) -> Iterator[Wrong]:
    """Yield the methods that some approach of the row does not know."""
    for approach in _approaches_of(row):
        for method in cell.split():
            if approach == "no_training":
                yield from _not_one_of(method, UNTRAINED_METHODS)
            else:
                yield from _unknown(partial(catalog.recipe, approach, params=ANY_SIZE), method)


def _approaches_of(row: Choice) -> Iterator[str]:
    asked = [condition for condition in row.conditions if condition.fact == "approach"]
    return (one for one in APPROACHES if all(condition.test(one) for condition in asked))


def _approaches(cell: str, _row: Choice, _catalog: Catalog) -> Iterator[Wrong]:
    for name in cell.split():
        yield from _not_one_of(name, APPROACHES)


def _kind(cell: str, _row: Choice, _catalog: Catalog) -> Iterator[Wrong]:
    yield from _not_one_of(cell, choice_facts()["model_kind"].choices)


def _rule_set(cell: str, _row: Choice, _catalog: Catalog) -> Iterator[Wrong]:
    yield from _not_one_of(cell, ("all", "documents"))


def _number(cell: str, _row: Choice, _catalog: Catalog) -> Iterator[Wrong]:
    try:
        float(cell)
    except ValueError:
        yield Wrong("a number", cell, "write a plain number")


def _whole(cell: str, _row: Choice, _catalog: Catalog) -> Iterator[Wrong]:
    if not cell.isdecimal():
        yield Wrong("a whole number", cell, "write a plain number")


def _size(cell: str, row: Choice, _catalog: Catalog) -> Iterator[Wrong]:
    """Yield what is no amount of what some approach of the row learns from."""
    for approach in _approaches_of(row):
        parse = parse_count if approach in ("full_finetune", "lora") else parse_data_size
        try:
            parse(cell)
        except ValueError as error:
            yield Wrong(f"{error}, for {approach}", cell, "give each approach a row of its own")


def _need(cell: str, row: Choice, catalog: Catalog) -> Iterator[Wrong]:
    yield from _not_one_of(cell, NEEDS)
    if cell == "context":
        yield from _whole(row.outcome.get("value", ""), row, catalog)


def _setting_why(cell: str, _row: Choice, _catalog: Catalog) -> Iterator[Wrong]:
    yield from _wrong_places(cell, SETTING_WORDS)


def _step(cell: str, row: Choice, _catalog: Catalog) -> Iterator[Wrong]:
    yield from _wrong_places(cell, ("short",) if row.outcome.get("short_of") else ())


def _wrong_places(cell: str, names: tuple[str, ...]) -> Iterator[Wrong]:
    """Yield a text with places in braces that nothing fills."""
    rest = cell
    for name in names:
        rest = rest.replace(f"{{{name}}}", "")
    if set(rest) & set("{}"):
        expected = f"no braces but {', '.join(f'{{{name}}}' for name in names) or 'none'}"
        yield Wrong(expected, cell, "take the braces away, or fill in what they count on")


def _any_text(_cell: str, _row: Choice, _catalog: Catalog) -> Iterator[Wrong]:
    yield from ()


def _not_one_of(name: str, allowed: tuple[str, ...]) -> Iterator[Wrong]:
    if name not in allowed:
        yield Wrong(f"one of {', '.join(allowed)}", name, near(name, allowed))


def _unknown(look_up: Callable[[str], object], name: str) -> Iterator[Wrong]:
    try:
        look_up(name)
    except AdvisorError as error:
        for fault in error.faults:
            yield Wrong(fault.expected or "", fault.found or "", fault.hint or "")


CHOICE_TABLES: Mapping[str, ChoiceTable] = {
    "model_kind": ChoiceTable(
        {"kind": _kind}, decides=True, serves_all=True, optional=frozenset({"kind"})
    ),
    "methods": ChoiceTable({"methods": _methods}, decides=True, serves_all=True),
    "base_models": ChoiceTable({"candidates": _models}, decides=True, serves_all=True),
    "base_needs": ChoiceTable({"need": _need, "value": _any_text}, decides=True, each="need"),
    "data_needs": ChoiceTable({"at_least": _size, "worth_from": _size}, decides=True),
    "hardware": ChoiceTable({"gpus_tried": _gpus}, decides=True, serves_all=True),
    "stages": ChoiceTable({"stages": _approaches}, decides=True),
    "next_steps": ChoiceTable(
        {"step": _step, "short_of": _whole}, decides=True, optional=frozenset({"short_of"})
    ),
    "settings": ChoiceTable(
        {"setting": _any_text, "value": _any_text, "why": _setting_why},
        decides=True,
        each="setting",
        optional=frozenset({"value"}),
    ),
    "confidence": ChoiceTable(
        {"rule_set": _rule_set, "known_from": _whole, "share_right": _number, "projects": _whole}
    ),
    "checklist": ChoiceTable({"item": _any_text, "kind": _any_text}),
    "warnings": ChoiceTable({"warning": _any_text}),
}
