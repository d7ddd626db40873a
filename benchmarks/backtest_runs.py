"""Scores the estimator on published runs: one vote for each group of publications."""

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from advisor.catalog import load_catalog
from advisor.estimation import Estimate, estimate_job, read_request
from advisor.options.layout import complete_request

DEFAULT_RUNS = Path(__file__).parents[1] / "tests" / "anchors" / "runs.jsonl"
# With fewer groups nothing can be learnt from the others.
SMALLEST_SET = 3
ALLOCATED = ("max_memory_allocated", "allocated")


class Score(NamedTuple):
    """One published figure against its estimate."""

    id: str
    group: str
    quantity: str
    measured: float
    mid: float
    inside: bool

    @property
    def error(self) -> float:
        """The relative error of the median estimate."""
        return self.mid / self.measured - 1


def predicted(quantity: str, estimate: Estimate, row: dict[str, Any]) -> tuple[float, float, float]:
    """Return (low, mid, high) of the figure that the row measured."""
    if quantity == "peak_mem_gb_per_gpu":
        memory = estimate.memory_gb_per_gpu
        # A figure of the allocator knows neither the context nor what the allocator keeps.
        less = memory.parts.framework if any(word in row["notes"] for word in ALLOCATED) else 0.0
        return memory.low - less, memory.mid - less, memory.high - less
    if quantity == "tflops_per_gpu":
        rate = estimate.tokens_per_second_per_gpu
        each = estimate.flops / estimate.tokens / 1e12
        return rate.low * each, rate.mid * each, rate.high * each
    ranges = {
        "gpu_hours": estimate.gpu_hours,
        "wall_hours": estimate.wall_hours,
        "tokens_per_sec_per_gpu": estimate.tokens_per_second_per_gpu,
        "usd": estimate.cost_usd,
    }
    found = ranges[quantity]
    return (found.low, found.mid, found.high) if found else (0.0, 0.0, 0.0)


def scores(path: Path) -> Iterator[Score]:
    """Yield the score of every row of `path`, money left out: it is hours times a given price."""
    catalog = load_catalog()
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["quantity"] == "usd":
            continue
        request = read_request(row["request"])
        estimate = estimate_job(complete_request(request, catalog=catalog), catalog)
        low, mid, high = predicted(row["quantity"], estimate, row)
        yield Score(
            row["id"],
            row["group"],
            _question(row),
            row["measured"],
            mid,
            inside=low <= row["measured"] <= high,
        )


def _question(row: dict[str, Any]) -> str:
    hours = row["quantity"] in {"gpu_hours", "wall_hours"}
    names = {"peak_mem_gb_per_gpu": "memory", "tflops_per_gpu": "throughput"}
    name = "hours" if hours else names.get(row["quantity"], "throughput")
    scope = row["request"].get("scope", "steady")
    return name if name != "hours" else f"hours {scope}"


def by_question(found: list[Score]) -> dict[str, dict[str, list[Score]]]:
    """Return the scores of each question and group."""
    groups: dict[str, dict[str, list[Score]]] = defaultdict(lambda: defaultdict(list))
    for score in found:
        groups[score.quantity][score.group].append(score)
    return groups


def table(found: list[Score]) -> Iterator[str]:
    """Yield the lines of the report: each group, then every group with one vote."""
    for question, groups in sorted(by_question(found).items()):
        yield question
        errors, covered = [], []
        for group, members in sorted(groups.items()):
            error = median(abs(one.error) for one in members)
            bias = math.exp(sum(math.log(one.mid / one.measured) for one in members) / len(members))
            inside = sum(one.inside for one in members) / len(members)
            errors.append(error)
            covered.append(inside)
            yield (
                f"  {group:14s} {len(members):3d} rows  error {error:6.1%}"
                f"  bias x{bias:4.2f}  covered {inside:4.0%}"
            )
        yield (
            f"  {'ONE VOTE EACH':14s} {len(groups):3d} groups  median error {median(errors):.1%}"
            f"  mean coverage {sum(covered) / len(covered):.0%}"
        )
        if len(groups) > SMALLEST_SET:
            yield f"  {'LEFT OUT':14s} {left_out(groups)}"


def left_out(groups: dict[str, list[Score]]) -> str:
    """Return error and coverage of each group under a shift and an interval of the others."""
    errors, covered = [], []
    for group, members in groups.items():
        others = [
            (math.log(one.measured / one.mid), 1 / len(rest))
            for name, rest in groups.items()
            if name != group
            for one in rest
        ]
        low, mid, high = (quantile(others, share) for share in (0.1, 0.5, 0.9))
        logs = [math.log(one.measured / one.mid) for one in members]
        errors.append(median(abs(math.exp(mid - log) - 1) for log in logs))
        covered.append(sum(low <= log <= high for log in logs) / len(logs))
    return (
        f"{len(groups):3d} groups  median error {median(errors):.1%}"
        f"  mean coverage {sum(covered) / len(covered):.0%}"
    )


def quantile(weighted: list[tuple[float, float]], share: float) -> float:
    """Return the value below which `share` of the weight lies."""
    ordered = sorted(weighted)
    wanted = share * sum(weight for _, weight in ordered)
    for value, weight in ordered:
        wanted -= weight
        if wanted <= 0:
            return value
    return ordered[-1][0]


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=DEFAULT_RUNS)
    parser.add_argument("--rows", action="store_true", help="every row too")
    options = parser.parse_args()
    found = list(scores(options.runs))
    for one in found if options.rows else []:
        mark = "" if one.inside else "OUT"
        print(
            f"{one.quantity:16s} {one.group:13s} {one.id:48s}"
            f" {one.measured:10.4g} {one.mid:10.4g} {one.error:+7.1%} {mark}"
        )
    for line in table(found):
        print(line)


if __name__ == "__main__":
    main()
