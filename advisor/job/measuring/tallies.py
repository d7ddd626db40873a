"""Scores as sums over examples, and how certain a difference between two of them is."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

RESAMPLES: Final = 1000
PERCENTILES: Final = (2.5, 97.5)
# With fewer examples the percentiles of a bootstrap say more than the examples do.
LEAST_EXAMPLES: Final = 10


class Tally(NamedTuple):
    """A score that follows from sums over examples.

    `parts` has a row for each example; `score` turns summed rows, (…, parts), into scores (…).
    """

    parts: Numbers
    score: Callable[[Numbers], Numbers]

    @property
    def examples(self) -> int:
        """Return how many examples there are."""
        return len(self.parts)

    @property
    def value(self) -> float | None:
        """Return the score of all examples; None where nothing was counted."""
        return _number(self.score(self.parts.sum(axis=0)))


class Difference(NamedTuple):
    """A difference of two scores, with its 95 % interval where there are examples enough."""

    value: float
    low: float | None
    high: float | None

    @property
    def certain(self) -> bool:
        """Return whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def mean_of(values: Sequence[float] | Numbers) -> Tally:
    """Return the mean over the examples."""
    column = np.asarray(values, dtype=np.float64)
    return ratio_of(column, np.ones_like(column))


def ratio_of(above: Sequence[float] | Numbers, below: Sequence[float] | Numbers) -> Tally:
    """Return the sum of `above` over the sum of `below`, such as nats per token."""
    parts = np.stack([np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)], 1)
    return Tally(parts, _ratio)


def f1_of(right: Numbers, found: Numbers, wanted: Numbers) -> Tally:
    """Return the F1 of summed counts; with (examples, classes) counts its mean over the classes.

    A class that is neither found nor wanted in the examples at hand takes no part in the mean.
    """
    columns = [np.asarray(part, dtype=np.float64) for part in (right, found, wanted)]
    parts = np.concatenate([part.reshape(len(part), -1) for part in columns], axis=1)
    return Tally(parts, _macro_f1)


def difference(after: Tally, before: Tally, *, seed: int, paired: bool = True) -> Difference | None:
    """Return `after` - `before` with its 95 % interval: percentiles of a bootstrap over examples.

    `paired` means that row n of both is the same example. None where one of them has no value.
    """
    if after.value is None or before.value is None:
        return None
    value = after.value - before.value
    if min(after.examples, before.examples) < LEAST_EXAMPLES:
        return Difference(value, None, None)
    if paired and after.examples != before.examples:
        raise ValueError("paired scores are over the same examples")
    first = _resampled(after, seed)
    second = _resampled(before, seed if paired else seed + 1)
    low, high = np.nanpercentile(first - second, PERCENTILES)
    return Difference(value, float(low), float(high))


def spread(tally: Tally, *, seed: int) -> tuple[float, float] | None:
    """Return the 95 % interval of a score itself; None with too few examples."""
    if tally.value is None or tally.examples < LEAST_EXAMPLES:
        return None
    low, high = np.nanpercentile(_resampled(tally, seed), PERCENTILES)
    return float(low), float(high)


def _resampled(tally: Tally, seed: int) -> Numbers:
    """Return the scores of as many examples drawn with replacement, again and again."""
    draws = np.random.default_rng(seed)
    count = tally.examples
    sums = np.empty((RESAMPLES, tally.parts.shape[1]))
    for one in range(RESAMPLES):
        times = np.bincount(draws.integers(0, count, count), minlength=count)
        sums[one] = times @ tally.parts
    return tally.score(sums)


def _ratio(sums: Numbers) -> Numbers:
    with np.errstate(divide="ignore", invalid="ignore"):
        return sums[..., 0] / sums[..., 1]


def _macro_f1(sums: Numbers) -> Numbers:
    right, found, wanted = np.split(sums, 3, axis=-1)
    seen = found + wanted > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(seen, 2 * right / np.maximum(found + wanted, 1), 0.0)
        return each.sum(axis=-1) / seen.sum(axis=-1)


def _number(score: Numbers) -> float | None:
    return float(score) if np.isfinite(score) else None
