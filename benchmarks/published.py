"""Published training runs: read, asked of the estimator, and compared with what was measured."""

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from advisor.catalog import Catalog
from advisor.estimation import read_request
from advisor.estimation.compute import Table, speed
from advisor.estimation.interval import memory_bounds, speed_factors
from advisor.estimation.memory import beyond_allocator_gb, peak_memory
from advisor.estimation.training_job import TrainingJob
from advisor.estimation.work import operations
from advisor.options.layout import complete_request

RUNS = Path(__file__).parents[1] / "tests" / "anchors" / "runs.jsonl"
MEMORY = "peak_mem_gb_per_gpu"
SECONDS_PER_HOUR = 3600
# Of groups with as many runs as this every fifth is kept back.
LARGE_GROUP = 9


class Run(NamedTuple):
    """One published figure, and the job that it was measured on.

    `counted` says what the figure counts: of memory `allocated`, `reserved` or the `driver`'s; of
    operations the `model`'s or the `hardware`'s. Rates are not fitted on `other_card`s than the
    catalogue's, and neither rates nor intervals on a figure in `doubt`; each says why. What is
    `kept_back` tells how well the shipped tables do on runs that they never saw.
    """

    id: str
    group: str
    grade: str
    quantity: str
    measured: float
    counted: str
    other_card: str | None
    doubt: str | None
    kept_back: bool
    job: TrainingJob

    @property
    def question(self) -> str:
        """Which of the estimator's answers it tests."""
        if self.quantity == MEMORY:
            return "memory of adapters" if self.job.adapts else "memory of whole models"
        return "throughput" if self.job.scope == "steady" else "whole-run hours"

    @property
    def rate(self) -> float:
        """Tokens per second of one GPU, whatever figure was published."""
        if self.quantity == "tokens_per_sec_per_gpu":
            return self.measured
        if self.quantity == "tflops_per_gpu":
            each = operations(self.job)
            counted = each.model + (each.again if self.counted == "hardware" else 0.0)
            return self.measured * 1e12 / counted
        hours = self.measured * (self.job.gpus if self.quantity == "wall_hours" else 1)
        return self.job.tokens / (hours * SECONDS_PER_HOUR)


class Left(NamedTuple):
    """A run that is not scored, and why."""

    id: str
    why: str


def read_runs(path: Path, catalog: Catalog) -> tuple[list[Run], list[Left]]:
    """Return the runs of `path`, and those that no estimate is asked of."""
    runs, left = [], []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    sizes = Counter(row["group"] for row in rows)
    for row in rows:
        if row["quantity"] == "usd":
            left.append(Left(row["id"], "money: hours times a price that the publication states"))
            continue
        # What a publication states of its layout beside the request is part of the job.
        request = read_request({**row["request"], **row.get("stated", {})})
        runs.append(
            Run(
                id=row["id"],
                group=row["group"],
                grade=row["grade"],
                quantity=row["quantity"],
                measured=row["measured"],
                counted=row.get("measured_as", "driver"),
                other_card=row.get("other_card"),
                doubt=row.get("doubt"),
                kept_back=sizes[row["group"]] >= LARGE_GROUP and _every_fifth(row["id"]),
                job=complete_request(request, catalog=catalog),
            )
        )
    return runs, left


def _every_fifth(name: str) -> bool:
    return zlib.crc32(name.encode()) % 5 == 0


class Score(NamedTuple):
    """A measured figure beside its estimate; `low` and `high` are the ends of the interval."""

    run: Run
    mid: float
    measured: float
    low: float = 0.0
    high: float = 0.0

    @property
    def error(self) -> float:
        """The relative error of the estimate."""
        return self.mid / self.measured - 1

    @property
    def inside(self) -> bool:
        """Whether the interval covers the measurement."""
        return self.low <= self.measured <= self.high


def comparable_memory(run: Run) -> float:
    """Return the estimated peak in GB of what the published figure counts."""
    memory = peak_memory(run.job)
    if run.counted == "allocated":
        return memory.total - memory.framework
    return memory.total - (beyond_allocator_gb(run.job) if run.counted == "reserved" else 0.0)


def shipped_score(run: Run, table: Table) -> Score:
    """Return a run beside what an estimate states of it today."""
    if "memory" in run.question:
        memory = peak_memory(run.job)
        mid, (low, high) = comparable_memory(run), memory_bounds(run.job, memory, table)
        ends = mid * low / memory.total, mid * high / memory.total
        return Score(run, mid, run.measured, *ends)
    faster, slower = speed_factors(run.job, table)
    rate = speed(run.job, table).tokens_per_second
    if run.question == "throughput":
        return Score(run, rate, run.rate, rate / slower, rate * faster)
    return Score(run, 1 / rate, 1 / run.rate, 1 / (rate * faster), slower / rate)


def by_group(scores: Iterable[Score]) -> dict[str, list[Score]]:
    """Return the scores of each group."""
    groups: dict[str, list[Score]] = defaultdict(list)
    for score in scores:
        groups[score.run.group].append(score)
    return dict(sorted(groups.items()))
