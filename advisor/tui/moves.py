"""What moved between two recommendations: the approach, the ranges, the reasons."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from advisor.estimation.documents import Estimate, Range
from advisor.recommendation import Recommendation
from advisor.report.drawing import Show, span
from advisor.units import show_gb, show_hours, show_usd

Measure = Literal["time", "cost", "memory"]
MEASURES: tuple[Measure, ...] = ("time", "cost", "memory")
SHOWS: Mapping[Measure, Show] = {"time": show_hours, "cost": show_usd, "memory": show_gb}


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """One thing that moved: a mark for its direction, and what it was."""

    mark: str
    was: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Moves:
    """All that the last change moved; nothing of it is set where nothing did."""

    verdict: Move | None = None
    ranges: Mapping[Measure, Move] = field(default_factory=dict)
    reasons: frozenset[str] = frozenset()

    @property
    def any(self) -> bool:
        """Tell whether anything moved."""
        return bool(self.verdict or self.ranges or self.reasons)


def moves_between(before: Recommendation, after: Recommendation) -> Moves:
    """Return what moved from one recommendation to the next; `reasons` are the ids of new rows."""
    was, now = verdict_of(before), verdict_of(after)
    ranges = {
        name: move
        for name in MEASURES
        if (move := _range_move(name, measured(before, name), measured(after, name)))
    }
    known = {reason.rule for reason in before.reasons}
    return Moves(
        verdict=Move(mark="◆", was=was) if was != now else None,
        ranges=ranges,
        reasons=frozenset(reason.rule for reason in after.reasons) - known,
    )


def verdict_of(found: Recommendation) -> str:
    """Return the recommended approach and method in a few words."""
    best = found.recommended
    if best is None:
        return "nothing is feasible"
    approach, method = best.approach.replace("_", " "), best.method.replace("_", " ")
    return approach if method in (approach, "full") else f"{approach} ({method})"


def measured(found: Recommendation, name: Measure) -> Range | None:
    """Return one range of the recommended option, None where there is nothing to price."""
    return range_of(found.estimate, name) if found.estimate else None


def range_of(estimate: Estimate, name: Measure) -> Range | None:
    """Return one range of an estimate."""
    ranges: dict[Measure, Range | None] = {
        "time": estimate.wall_hours,
        "cost": estimate.cost_usd,
        "memory": estimate.memory_gb_per_gpu,
    }
    return ranges[name]


def _range_move(name: Measure, before: Range | None, after: Range | None) -> Move | None:
    was, now = span(before, SHOWS[name]), span(after, SHOWS[name])
    if was == now:
        return None
    if before is None or after is None:
        return Move(mark="◆", was=was)
    return Move(mark="▲" if after.mid > before.mid else "▼", was=was)
