"""Fits the rates of the time model on published runs; every group of publications has one vote.

The fit is a maximum a posteriori estimate: what published kernel measurements suggest (priors.csv)
is moved as far as the runs ask. `python benchmarks/fit_utilisation.py` prints what it finds;
`--write` puts it into profiles/utilisation.csv.
"""

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from published import RUNS, Run, read_runs
from scipy.optimize import least_squares

from advisor.catalog import Utilisation, load_catalog
from advisor.estimation.compute import Table, availability, rates_of, step_seconds
from advisor.estimation.demand import Demand, demand_of

PRIORS = Path(__file__).parent / "priors.csv"
TABLE = Path(__file__).parents[1] / "profiles" / "utilisation.csv"
DATE = "2026-11"
# Votes further off than this (as a log) count by their distance alone, as in a median.
NOISE = 0.05

Key = tuple[str, str]


class Prior(NamedTuple):
    """What is known of a rate before any run is looked at; `give` is the spread of its log."""

    value: float
    give: float


class Timed(NamedTuple):
    """A run whose speed was measured, with what it asks of its GPU."""

    run: Run
    demand: Demand


class Recording(dict[Key, Utilisation]):
    """A table that remembers which rows were asked for."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.asked: set[Key] = set()

    def __getitem__(self, key: Key) -> Utilisation:
        self.asked.add(key)
        return super().__getitem__(key)

    def get(self, key: Key, default: Utilisation | None = None) -> Utilisation | None:
        """Return the row of `key`, and remember it where there is one."""
        try:
            return self[key]
        except KeyError:
            return default


def read_priors() -> dict[Key, Prior]:
    """Return the priors of every rate that is fitted."""
    with PRIORS.open(encoding="utf-8", newline="") as lines:
        return {
            (row["what"], row["case"]): Prior(float(row["prior"]), float(row["give"]))
            for row in csv.DictReader(lines)
        }


def timed(runs: Sequence[Run]) -> list[Timed]:
    """Return the runs whose speed was measured."""
    return [Timed(run, demand_of(run.job)) for run in runs if not run.question.startswith("memory")]


def predicted(one: Timed, table: Table) -> float:
    """Return the tokens per second of one GPU that `table` makes of a run."""
    seconds = step_seconds(one.demand, rates_of(one.run.job, table))
    return one.demand.step_tokens / seconds / one.demand.gpus * availability(one.run.job, table)


def fit(runs: Sequence[Timed], table: Table, start: Table | None = None) -> Table:
    """Return `table` with the rates that fit `runs` best; doubtful runs have no say."""
    priors = read_priors()
    keys, votes = list(priors), [one for one in runs if not (one.run.other_card or one.run.doubt)]
    weights, measured = _weights(votes), np.log([one.run.rate for one in votes])
    centre = np.log([priors[key].value for key in keys])
    give = np.array([priors[key].give for key in keys])

    def residuals(logs: np.ndarray) -> np.ndarray:
        guess = _with_values(table, keys, logs)
        errors = (np.log([predicted(one, guess) for one in votes]) - measured) / NOISE
        # A vote far off counts by its distance, not by the square: a pseudo-Huber loss.
        mild = np.sign(errors) * np.sqrt(2 * (np.sqrt(1 + errors**2) - 1))
        return np.concatenate([weights * mild, (logs - centre) / give])

    first = centre if start is None else np.log([start[key].value for key in keys])
    found = least_squares(residuals, first, diff_step=1e-3, max_nfev=40)
    return _with_evidence(_with_values(table, keys, found.x), votes)


def _weights(votes: Sequence[Timed]) -> np.ndarray:
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for one in votes:
        counts[one.run.group, one.run.question] += 1
    return np.array([counts[one.run.group, one.run.question] ** -0.5 for one in votes])


def _with_values(table: Table, keys: Sequence[Key], logs: np.ndarray) -> dict[Key, Utilisation]:
    fitted = dict(table)
    for key, log in zip(keys, logs, strict=True):
        fitted[key] = Utilisation(key[0], key[1], math.exp(log), 0, 0, "", DATE)
    return fitted


def _with_evidence(table: Table, runs: Sequence[Timed]) -> dict[Key, Utilisation]:
    rests_on = evidence(runs, table)
    return {
        key: row._replace(groups=rests_on[key][0], rows=rests_on[key][1])
        if key in rests_on
        else row
        for key, row in table.items()
    }


def evidence(runs: Sequence[Timed], table: Table) -> dict[Key, tuple[int, int, str]]:
    """Return how many (groups, runs) each rate rests on, and which groups."""
    seen: dict[Key, list[str]] = defaultdict(list)
    for one in runs:
        recording = Recording(table)
        rates_of(one.run.job, recording)
        availability(one.run.job, recording)
        for key in recording.asked:
            seen[key].append(one.run.group)
    return {
        key: (len(set(groups)), len(groups), ", ".join(sorted(set(groups))))
        for key, groups in seen.items()
    }


def fitted_rows(runs: Sequence[Timed], table: Table) -> Iterator[dict[str, object]]:
    """Yield the fitted rates as rows of utilisation.csv."""
    found = evidence(runs, table)
    for key in read_priors():
        groups, count, names = found.get(key, (0, 0, "no published run"))
        yield {
            "what": key[0],
            "case": key[1],
            "value": f"{table[key].value:.4g}",
            "groups": groups,
            "rows": count,
            "source": f"fitted on published runs: {names}" if groups else "benchmarks/priors.csv",
            "date": DATE,
        }


def write(rows: Sequence[Mapping[str, object]], *, first: bool = True) -> None:
    """Put `rows` in front of the other rows of utilisation.csv, or behind them."""
    with TABLE.open(encoding="utf-8", newline="") as lines:
        old = list(csv.DictReader(lines))
    known = {(row["what"], row["case"]) for row in rows}
    kept = [row for row in old if (row["what"], row["case"]) not in known]
    with TABLE.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(old[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, *kept] if first else [*kept, *rows])


def main() -> None:
    """Fit on every run, print the rates and, where asked, write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--write", action="store_true", help="into profiles/utilisation.csv")
    options = parser.parse_args()
    catalog = load_catalog()
    runs = timed([run for run in read_runs(options.runs, catalog)[0] if not run.kept_back])
    fitted = list(fitted_rows(runs, fit(runs, catalog.utilisation)))
    for row in fitted:
        print(f"{row['what']:11s} {row['case']:15s} {row['value']:>9s}  {row['source']}")
    if options.write:
        write(fitted)


if __name__ == "__main__":
    main()
