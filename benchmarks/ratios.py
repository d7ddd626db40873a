"""Ratios of two things measured in turn, with an interval that says how sure they are."""

import random
import statistics
from collections.abc import Sequence

RESAMPLES = 2000


def told(
    name: str, pairs: Sequence[tuple[float, float]], *, limit: float, unit: str, least: bool = False
) -> str:
    """Return a line: both medians, the median ratio of the pairs, its 95 % interval, the limit.

    The interval is a percentile bootstrap over the pairs (Efron and Tibshirani 1993).
    """
    ratios = [ours / other for ours, other in pairs]
    low, high = interval(ratios)
    ours, other = (statistics.median(values) for values in zip(*pairs, strict=True))
    middle = statistics.median(ratios)
    met = middle >= limit if least else middle <= limit
    return (
        f"{name:<28} {ours:9.4g} / {other:9.4g} {unit:<9} ratio {middle:.3f}"
        f" ({low:.3f} to {high:.3f}, {len(pairs)} pairs;"
        f" {'at least' if least else 'at most'} {limit:g}: {'met' if met else 'MISSED'})"
    )


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the median."""
    rng = random.Random(0)  # noqa: S311 - no secret
    medians = sorted(
        statistics.median(rng.choices(values, k=len(values))) for _ in range(RESAMPLES)
    )
    return medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES) - 1]
