"""The grid of answers: for every fact the values that the tables can tell apart.

Two values that pass the same cells are one to the tables, so a handful of values stand for all:
each choice, each name that a cell holds and one that none does, each limit of a comparison and a
value on either side of it, and unknown. A row is a box on this grid: for each fact that it tests
the values that pass. Whether boxes cover one another is then decided exactly, without walking the
grid.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise

from advisor.tables.conditions import Bound, Condition, Fact, bounds_of, choice_facts
from advisor.units import BYTES_PER_TOKEN, DataSize

OTHER_NAME = "any other"
# Known before any table is asked for it, so that no row need serve its absence.
ALWAYS_KNOWN = frozenset({"approach", "model_kind"})

Box = Mapping[str, int]  # for each fact the values that pass, as bits; a fact left out is free


class Grid:
    """The values of every fact that some condition tests."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        cells: dict[str, set[str]] = {}
        for condition in conditions:
            cells.setdefault(condition.fact, set()).add(condition.cell)
        facts = choice_facts()
        self.values = {
            name: (*_known_values(name, facts[name], found), None)
            for name, found in sorted(cells.items())
        }

    def passing(self, condition: Condition) -> int:
        """Return the values that pass a condition, as bits."""
        values = enumerate(self.values[condition.fact])
        return sum(1 << place for place, value in values if condition.test(value))

    def box(self, conditions: Iterable[Condition]) -> Box:
        """Return the values that pass the conditions of a row."""
        return {one.fact: self.passing(one) for one in conditions}

    def whole(self, *, known: Iterable[str] = ()) -> Box:
        """Return the box of all values; the facts that are `known` are never unknown."""
        never = set(known)
        return {
            name: (1 << (len(values) - (name in never))) - 1 for name, values in self.values.items()
        }

    def point(self, box: Box) -> dict[str, object]:
        """Return one point of a box, as answers; a fact that is free is left out."""
        whole = self.whole()
        return {
            name: self.values[name][mask.bit_length() - 1]
            for name, mask in box.items()
            if mask != whole[name]
        }

    def points(self, facts: Sequence[str], *, most: int) -> Iterator[dict[str, object]]:
        """Yield every pair of values of two facts, then `most` points drawn by a fixed seed.

        A fact that is not named in a point is unknown.
        """
        yield {}
        for one, other in combinations(facts, 2):
            for value in self.values[one]:
                yield from ({one: value, other: second} for second in self.values[other])
        chance = random.Random(0)  # noqa: S311 - the same points every time
        for _ in range(most):
            yield {name: chance.choice(self.values[name]) for name in facts}


def uncovered(space: Box, boxes: Sequence[Box]) -> Box | None:
    """Return a part of `space` that no box covers, or None where they cover all of it."""
    for place, box in enumerate(boxes):
        if any(not space[name] & mask for name, mask in box.items()):
            continue
        rest = boxes[place + 1 :]
        inside = dict(space)
        for name, mask in box.items():
            if outside := inside[name] & ~mask:
                part = uncovered({**inside, name: outside}, rest)
                if part is not None:
                    return part
            inside[name] &= mask
        return None
    return space


def _known_values(name: str, fact: Fact, cells: Iterable[str]) -> Iterable[object]:
    if fact.kind == "truth":
        return (True, False)
    if fact.kind == "choice":
        return fact.choices
    asked = [cell for cell in cells if cell not in ("known", "unknown")]
    if fact.parse is not None:
        bounds = [bound for cell in asked for bound in bounds_of(name, cell, fact.parse)]
        return _amounts(bounds, whole=fact.whole)
    names = {one for cell in asked for one in cell.removeprefix("!").split("|")}
    return (*sorted(names), OTHER_NAME)


def _amounts(bounds: Sequence[Bound], *, whole: bool) -> Iterable[object]:
    """Return every limit, and an amount between each two, below the lowest, above the highest."""
    in_bytes = any(unit for _, _, unit in bounds)
    limits = sorted({0.0, *(_plain(bound) for bound in bounds)})
    between = [(low + high) // 2 if whole else (low + high) / 2 for low, high in pairwise(limits)]
    amounts = sorted({*limits, *between, limits[-1] * 2 + 1})
    if in_bytes:
        return [DataSize(amount, "bytes") for amount in amounts]
    return [int(amount) for amount in amounts] if whole else amounts


def _plain(bound: Bound) -> float:
    _, limit, unit = bound
    return limit * (BYTES_PER_TOKEN if unit == "tokens" else 1)
