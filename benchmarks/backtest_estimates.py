"""Scores the estimator on published runs, each group left out of what its estimates rest on.

Every group of publications has one vote. For each group the rates are fitted on the others, and
its intervals are made of the others' errors, found in the same way: nothing that a group has
published says anything about its own score.
"""

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

from fit_utilisation import DATE, Timed, fit, predicted, timed, write
from published import RUNS, Left, Run, Score, by_group, comparable_memory, read_runs, shipped_score
from states_only import accelerate_gb

from advisor.catalog import load_catalog
from advisor.estimation.compute import Table, peak_flops
from advisor.estimation.interval import memory_case, speed_case

# The part of a card within which a verdict on fitting may be either.
UNCERTAIN = 0.10
# A case of its own needs this many groups; where there are fewer, the interval is this much wider
# on each side (as a log), and never narrower than the smallest.
ENOUGH_GROUPS = 4
WIDER = 0.15
SMALLEST = 0.03
# Beyond this a single run decides.
NO_FURTHER = 0.06
HEADER = f"  {'group':14s} {'runs':>4s} {'error':>7s} {'bias':>6s} {'inside':>7s} {'width':>6s}"
EVIDENCE = ("dense", "thin", "none")
CASES: dict[str, tuple[tuple[str, ...], tuple[str, str]]] = {
    "memory of adapters": (("memory adapters",), ("below", "above")),
    "memory of whole models": (("memory full",), ("below", "above")),
    "throughput": (tuple(f"steady {each}" for each in EVIDENCE), ("faster", "slower")),
    "whole-run hours": (tuple(f"whole_run {each}" for each in EVIDENCE), ("faster", "slower")),
}
TARGETS = {
    "memory of adapters": "error <= 6 %, bias within 3 %, 80 % interval <= 1.35 wide",
    "memory of whole models": "error <= 8 %, bias within 3 %, 80 % interval <= 1.35 wide",
    "throughput": "error <= 12 %, 80 % interval <= 1.6 wide",
    "whole-run hours": "error <= 15 %, 80 % interval <= 2.0 wide",
}


class Residual(NamedTuple):
    """What a run measured over what is estimated without its group, as a log; by interval case."""

    run: Run
    case: str
    mid: float
    measured: float

    @property
    def log(self) -> float:
        """The log of measured over estimated."""
        return math.log(self.measured / self.mid)


def fitted_without(group: str, runs: Sequence[Timed], table: Table, full: Table) -> Table:
    """Return the rates that the other groups ask for."""
    return fit([one for one in runs if one.run.group != group], table, full)


def residuals(runs: Sequence[Run], table: Table) -> tuple[list[Residual], dict[str, Table]]:
    """Return the residual of each run, and the rates that were fitted without each group."""
    clocked = timed(runs)
    groups = sorted({one.run.group for one in clocked})
    full = fit(clocked, table)
    work = partial(fitted_without, runs=clocked, table=table, full=full)
    with ProcessPoolExecutor() as pool:
        tables = dict(zip(groups, pool.map(work, groups), strict=True))
    found = [_timed_residual(one, tables[one.run.group]) for one in clocked]
    found += [_memory_residual(run) for run in runs if "memory" in run.question]
    return found, tables


def _timed_residual(one: Timed, table: Table) -> Residual:
    mid, measured = predicted(one, table), one.run.rate
    if one.run.question == "whole-run hours":
        # Hours, not rates: a run that is twice as fast takes half as long.
        mid, measured = 1 / mid, 1 / measured
    return Residual(one.run, speed_case(one.run.job, table), mid, measured)


def _memory_residual(run: Run) -> Residual:
    return Residual(run, memory_case(run.job), comparable_memory(run), run.measured)


def quantile(logs: Mapping[str, Sequence[float]], share: float) -> float:
    """Return the quantile of logs where every group has one vote, spread over its runs."""
    weighted = sorted((log, 1 / len(each)) for each in logs.values() for log in each)
    half = [weight / 2 for _, weight in weighted]
    total, done = sum(2 * part for part in half), 0.0
    before = None
    for (log, weight), part in zip(weighted, half, strict=True):
        # Each value stands in the middle of its weight; in between they are joined by lines.
        place = (done + part) / total
        if place >= share:
            if before is None:
                return log
            low, at = before
            return low + (log - low) * (share - at) / (place - at)
        before, done = (log, place), done + weight
    return weighted[-1][0]


def grouped(found: Sequence[Residual]) -> dict[str, list[float]]:
    """Return the logs of each group."""
    logs: dict[str, list[float]] = {}
    for one in found:
        logs.setdefault(one.run.group, []).append(one.log)
    return logs


def interval(case: str, question: str, found: Sequence[Residual]) -> tuple[float, float]:
    """Return the (10th, 90th) percentile of the log errors on a question, in a case of it.

    A case that few groups speak of takes those of the whole question, and some more.
    """
    alike = [one for one in found if one.run.question == question and one.run.doubt is None]
    same = grouped([one for one in alike if one.case == case])
    if len(same) >= ENOUGH_GROUPS:
        return tails(same)
    low, high = tails(grouped(alike))
    return low - WIDER, high + WIDER


def tails(logs: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """Return the outer tenths, further out the fewer the groups are: 0.9 (n + 1) / n to a side.

    Source: split conformal prediction (Lei et al. 2018, arXiv 1604.04173), section 2.2.
    """
    outside = max(1 - 0.9 * (len(logs) + 1) / len(logs), NO_FURTHER)
    return quantile(logs, outside), quantile(logs, 1 - outside)


def spread_rows(found: Sequence[Residual]) -> Iterator[dict[str, object]]:
    """Yield the intervals that an estimate states as rows of utilisation.csv."""
    for question, (cases, names) in CASES.items():
        for case in cases:
            low, high = interval(case, question, found)
            # Rates and hours turn round: what is faster takes less time.
            ends = (high, -low) if question == "throughput" else (-low, high)
            same = [one for one in found if one.run.question == question and one.case == case]
            for name, end in zip(names, ends, strict=True):
                yield {
                    "what": "spread",
                    "case": f"{case} {name}",
                    "value": f"{math.exp(max(end, SMALLEST)):.3g}",
                    "groups": len(grouped(same)),
                    "rows": len(same),
                    "source": "errors on groups of published runs that were left out of the fit",
                    "date": DATE,
                }


def scored(found: Sequence[Residual]) -> list[Score]:
    """Return every run beside its estimate with an interval of the other groups' errors."""
    scores = []
    for one in found:
        others = [other for other in found if other.run.group != one.run.group]
        low, high = interval(one.case, one.run.question, others)
        ends = one.mid * math.exp(low), one.mid * math.exp(high)
        scores.append(Score(one.run, one.mid, one.measured, *ends))
    return scores


def report(scores: Sequence[Score], *, each_run: bool) -> Iterator[str]:
    """Yield the lines on every question: its groups, then all with one vote each."""
    for question, target in TARGETS.items():
        asked = [score for score in scores if score.run.question == question]
        if not asked:
            continue
        yield f"\n{question} (wanted: {target})"
        yield HEADER
        for group, members in by_group(asked).items():
            yield f"  {group:14s} {_line(members)}"
            yield from (_run_line(one) for one in members if each_run)
        for name, grades in (("grade A", "A"), ("grade B", "B"), ("ALL", "AB")):
            some = [score for score in asked if score.run.grade in grades]
            if some:
                yield f"  {name:14s} {_votes(some)}"


def _line(members: Sequence[Score]) -> str:
    error = median(abs(one.error) for one in members)
    return (
        f"{len(members):4d} {error:7.1%} x{_bias(members):5.2f}"
        f" {mean(one.inside for one in members):7.0%} {_width(members):6.2f}"
    )


def _run_line(one: Score) -> str:
    mark = "" if one.inside else "  outside"
    return f"    {one.run.id:44s} {one.measured:10.4g} {one.mid:10.4g} {one.error:+7.1%}{mark}"


def _votes(scores: Sequence[Score]) -> str:
    groups = by_group(scores).values()
    errors = median(median(abs(one.error) for one in each) for each in groups)
    inside = mean(mean(one.inside for one in each) for each in groups)
    bias = math.exp(median(math.log(_bias(each)) for each in groups))
    width = median(_width(each) for each in groups)
    return f"{len(groups):4d} {errors:7.1%} x{bias:5.2f} {inside:7.0%} {width:6.2f}  (groups)"


def _bias(members: Sequence[Score]) -> float:
    return math.exp(median(math.log(one.mid / one.measured) for one in members))


def _width(members: Sequence[Score]) -> float:
    return median(one.high / one.low for one in members)


def verdicts(scores: Sequence[Score]) -> Iterator[str]:
    """Yield how often the estimate says rightly whether a run fits its card."""
    clear, wrong = 0, []
    for one in scores:
        if "memory" not in one.run.question:
            continue
        card = one.run.job.device.memory_gb
        if abs(one.mid / card - 1) <= UNCERTAIN:
            continue
        clear += 1
        # Every published run did run, so every one of them fits.
        if one.mid > card:
            wrong.append(one.run.id)
    yield f"\nfit verdicts outside ±{UNCERTAIN:.0%} of the card: {clear - len(wrong)}/{clear} right"
    yield from (f"  wrong: {name}" for name in wrong)


def references(scores: Sequence[Score]) -> Iterator[str]:
    """Yield what simple rules make of the same runs, one vote a group."""
    yield "\nthe same runs by simple rules (median error, groups with one vote)"
    for question in TARGETS:
        asked = [score for score in scores if score.run.question == question]
        for name, rule in RULES[question.startswith("memory")].items():
            answered = [
                score._replace(mid=value)
                for score in asked
                if (value := rule(score.run)) is not None
            ]
            if answered:
                share = f"answers {len(answered)}/{len(asked)}"
                yield f"  {question:24s} {name:32s} {_votes(answered)[4:20]}  {share}"


def forty_percent(run: Run) -> float | None:
    """Return tokens per second at 40 % of the peak and six operations a parameter and token."""
    rate = 0.40 * peak_flops(run.job) / (6 * run.job.shape.params_active)
    return 1 / rate if run.question == "whole-run hours" else rate


def sixteen_bytes(run: Run) -> float | None:
    """Return 16 bytes for every parameter, spread over the GPUs that share them."""
    shared = run.job.gpus if run.job.sharding not in {"single", "ddp"} else 1
    return 16 * run.job.shape.params / shared / 1e9


def accelerate_estimate(run: Run) -> float | None:
    """Return what `accelerate estimate-memory` says of training with Adam, where it answers."""
    return accelerate_gb(run.job)


RULES = {
    False: {"40 % MFU, 6 N a token": forty_percent},
    True: {
        "16 bytes a parameter": sixteen_bytes,
        "accelerate estimate-memory": accelerate_estimate,
    },
}


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=RUNS, help="published runs to fit and score")
    parser.add_argument(
        "--write", action="store_true", help="the intervals into profiles/utilisation.csv"
    )
    parser.add_argument("--each", action="store_true", help="every run too")
    options = parser.parse_args()
    catalog = load_catalog()
    every, left = read_runs(options.runs, catalog)
    runs = [run for run in every if not run.kept_back]
    found, _ = residuals(runs, catalog.utilisation)
    scores = scored(found)
    print(f"{len(scores)} figures of {len(by_group(scores))} groups scored, {len(left)} not")
    for line in (*left_lines(left), *report(scores, each_run=options.each)):
        print(line)
    for line in (*verdicts(scores), *references(scores)):
        print(line)
    kept = [shipped_score(run, catalog.utilisation) for run in every if run.kept_back]
    print(f"\nkept back: {len(kept)} figures that no table was made with, by the shipped tables")
    for line in report(kept, each_run=options.each):
        print(line)
    if options.write:
        write(list(spread_rows(found)), first=False)
    print("\nscored, but with no say in the rates:")
    for why in sorted({run.other_card or run.doubt or "" for run in runs} - {""}):
        print(f"  {sum(why in (run.other_card, run.doubt) for run in runs)}: {why}")


def left_lines(left: Sequence[Left]) -> Iterator[str]:
    """Yield each reason for not scoring, and how many runs it concerns."""
    for why in sorted({one.why for one in left}):
        names = [one.id for one in left if one.why == why]
        yield f"  not scored: {', '.join(names)}: {why}"


if __name__ == "__main__":
    main()
