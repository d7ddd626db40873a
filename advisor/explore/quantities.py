"""Other values that a quantity could have: where rules turn, and a ladder between."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from advisor.answers import Question
from advisor.tables import Rule
from advisor.tables.conditions import answer_facts
from advisor.units import (
    BYTES_PER_TOKEN,
    DataSize,
    parse_data_size,
    write_data_size,
    write_hours,
)

# Two values closer than this are one: the edge between two answers is not searched finer.
STEP = 0.01
DIGITS = 3


class Quantity(NamedTuple):
    """How the values of one question are read and told apart; `rungs` are some of them."""

    rungs: tuple[str, ...]
    parse: Callable[[object], object]
    whole: bool

    def amount(self, value: object) -> float:
        """Return a value as a number; text counts in bytes."""
        return value.bytes if isinstance(value, DataSize) else float(str(value))

    def value(self, amount: float, like: object) -> object:
        """Return the value of an amount, in the unit of `like`."""
        if self.parse is parse_data_size:
            if isinstance(like, DataSize) and like.unit == "bytes":
                return DataSize(amount, "bytes")
            return DataSize(amount / BYTES_PER_TOKEN, "tokens")
        return int(amount) if self.whole else amount

    def between(self, low: float, high: float) -> float | None:
        """Return a value between two, or None where they are too close to tell apart."""
        if self.whole and high <= 1 / STEP:
            middle = float((low + high) // 2)
        else:
            middle = _rounded(math.sqrt(max(low, 1.0) * high), whole=self.whole)
        near = high - low <= STEP * high if not self.whole else high - low <= max(1, STEP * high)
        return None if near or middle in (low, high) else middle

    def below(self, amount: float) -> float:
        """Return the value just below an amount."""
        if self.whole and amount <= 1 / STEP:
            return amount - 1
        return _rounded(amount * (1 - STEP), whole=self.whole)


def _rounded(amount: float, *, whole: bool) -> float:
    short = float(f"{amount:.{DIGITS}g}")
    return float(round(short)) if whole else short


# Values that could plausibly be answered, from little to much: about a factor of ten apart.
RUNGS: Mapping[str, tuple[str, ...]] = {
    "raw_text": (
        *("10M tokens", "100M tokens", "1B tokens"),
        *("10B tokens", "100B tokens", "1T tokens"),
    ),
    "labelled_examples": ("50", "500", "5000", "50000", "500000"),
    "gpus": ("1", "2", "8", "64", "512"),
    "deadline": ("1 day", "7 days", "30 days", "90 days", "365 days"),
    "budget_usd": ("100", "1000", "10000", "100000", "1000000"),
    "variants": ("1", "3", "10"),
    "latency_ms": ("100", "1000", "10000"),
    "calls_per_day": ("1000", "10000", "100000", "1000000"),
}
QUANTITIES: Mapping[str, Quantity] = {
    name: Quantity(RUNGS[name], fact.parse, whole=fact.whole)
    for name, fact in answer_facts().items()
    if fact.parse is not None
}


def written(value: object, question: Question) -> str:
    """Return a value as a person would answer it; it reads back as the same value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, DataSize):
        return write_data_size(value)
    if question.name == "deadline" and isinstance(value, float):
        return write_hours(value)
    return f"{value:.12g}" if isinstance(value, (int, float)) else str(value)


def roads(name: str, now: object, waiting: Iterable[Rule]) -> Iterator[tuple[float, ...]]:
    """Yield the amounts to try: upwards, then downwards, the nearest first.

    They are the rungs and where one of the `waiting` rows turns. Where nothing was answered, all
    of them upwards.
    """
    quantity = QUANTITIES[name]
    edges = _edges(name, quantity, waiting)
    rungs = [quantity.amount(quantity.parse(rung)) for rung in quantity.rungs]
    up = sorted({*edges, *rungs})
    if now is None:
        yield tuple(up)
        return
    here = quantity.amount(now)
    yield tuple(amount for amount in up if amount > here)
    down = sorted({*(quantity.below(edge) for edge in edges), *rungs}, reverse=True)
    yield tuple(amount for amount in down if 0 < amount < here)


def _edges(name: str, quantity: Quantity, waiting: Iterable[Rule]) -> list[float]:
    """Return the amounts at which some row begins or ceases to apply."""
    cells = {
        condition.cell
        for rule in waiting
        for condition in rule.conditions
        if condition.fact == name and condition.cell[0] in "<>"
    }
    return [
        quantity.amount(quantity.parse(part.lstrip("<>= ")))
        for cell in cells
        for part in cell.split(" & ")
    ]
