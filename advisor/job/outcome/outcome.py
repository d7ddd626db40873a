"""All that is known at the end of a run, from which its result, verdict and card are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..measuring.assessing import Assessment, Exam
from ..measuring.headline import METRICS, Metric
from ..measuring.tallies import Difference, Tally, difference
from ..plan import Plan, Stage
from ..settings import HEADS
from ..training.progress import Progress

PREDICTED: Final = ("wall_hours", "memory_gb_per_gpu", "tokens_per_second_per_gpu", "cost_usd")


class Prediction(NamedTuple):
    """A predicted figure, 80 % interval, beside what was measured."""

    name: str
    interval: Mapping[str, float] | None
    measured: float | None

    @property
    def ratio(self) -> float | None:
        """Return what was measured over the middle of what was predicted."""
        if not self.interval or self.measured is None or not self.interval["mid"]:
            return None
        return self.measured / self.interval["mid"]

    @property
    def place(self) -> str | None:
        """Return where the measured figure lies: inside the interval, below or above it."""
        if not self.interval or self.measured is None:
            return None
        if self.measured < self.interval["low"]:
            return "below"
        return "above" if self.measured > self.interval["high"] else "inside"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One stage of a run at its end.

    Args:
        folder: Where the stage leaves what it makes.
        plan: The plan of the run; its predictions hold for the last stage.
        stage: The stage.
        exam: What all were asked.
        tuned: What the trained model made of it; None where nothing was trained.
        base: The same of the model before training: of a head, what the majority label reaches.
        prompted: The same of the base, shown examples; None where that was not asked for.
        paired: Whether base and tuned model read the very same rows. A vocabulary of its own
            gives a model rows of its own.
        progress: The accounts of the training; None where nothing was trained.
        hours: The wall time of all sessions, until the trained model was saved.
        measuring_hours: The wall time of measuring it and its base, after that.
        device: What it ran on, and `devices` how many.
        devices: See there.
        skipped: How many bad records of each file were passed over.
        ladder: What gave way to memory, in order.
        profile: What the run was bound by, in a sentence.
    """

    folder: Path
    plan: Plan
    stage: Stage
    exam: Exam
    tuned: Assessment | None
    base: Assessment | None
    hours: float
    device: str
    measuring_hours: float = 0.0
    progress: Progress | None = None
    prompted: Assessment | None = None
    paired: bool = True
    devices: int = 1
    skipped: Mapping[str, int] = field(default_factory=dict)
    ladder: Sequence[Mapping[str, Any]] = ()
    profile: str | None = None

    @cached_property
    def metric(self) -> tuple[str, Metric]:
        """Return the score that the run is judged by: its name, and what is known of it."""
        name = self.exam.headline
        return name, METRICS[name]

    def tally(self, one: Assessment | None) -> Tally | None:
        """Return the headline score of an assessment; None where it was not measured."""
        found = one.tallies.get(self.metric[0]) if one else None
        return found if found and found.value is not None else None

    def gain(self, after: Assessment | None, before: Assessment | None) -> Difference | None:
        """Return by how much the headline score differs; None where one was not measured."""
        return self.moved(self.tally(after), self.tally(before))

    def moved(self, after: Tally | None, before: Tally | None) -> Difference | None:
        """Return `after` - `before` with its interval; None where one is missing."""
        if after is None or before is None:
            return None
        paired = self.paired and after.examples == before.examples
        return difference(after, before, seed=self.stage.settings.seed, paired=paired)

    @property
    def base_title(self) -> str:
        """Return what the tuned model is compared with, in words."""
        if self.stage.settings.objective in HEADS and self.base:
            return self.base.name
        return "the base" if self.stage.settings.base_model else "the model before training"

    @cached_property
    def predictions(self) -> list[Prediction]:
        """Return what was predicted beside what was measured."""
        known, measured = self.plan.predictions, self.measured
        return [Prediction(name, known.get(name), measured[name]) for name in PREDICTED]

    @cached_property
    def measured(self) -> dict[str, float | None]:
        """Return what the run took."""
        price = self.plan.predictions.get("price_per_gpu_hour_usd")
        progress = self.progress
        trained = progress and progress.all.seconds
        return {
            "wall_hours": self.hours,
            "measuring_hours": self.measuring_hours,
            "memory_gb_per_gpu": progress.memory_gb if progress else None,
            "tokens_per_second_per_gpu": (
                progress.tokens_per_second / self.devices if progress and trained else None
            ),
            "cost_usd": None if price is None else self.hours * price * self.devices,
        }
