"""How often the advice is what real projects showed best, against the best constant answers.

Prints, for the articles' tables alone and for all rules, the share of cases in which the first
feasible approach is one that an expert accepts (with today's base models, and with those of the
case's year), and the share in which the approach that the publication showed best ranks first
among those that it compared. With `--confidence` it prints the rows of the confidence table.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from advisor.recommendation import Recommendation, recommend
from advisor.tables import APPROACHES, RuleBook

CASES = Path(__file__).parent.parent / "rules" / "cases" / "projects.jsonl"
LEADS = (8.0, 3.0, 0.0)

Case = dict[str, Any]


def main() -> None:
    """Score both rule sets on the cases and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=Path, default=CASES)
    parser.add_argument("--confidence", action="store_true")
    chosen = parser.parse_args()
    cases = [json.loads(line) for line in chosen.cases.read_text().splitlines()]
    rules = RuleBook()
    for rule_set in ("documents", "all"):
        advice = [recommend(case["answers"], rule_set=rule_set, rules=rules) for case in cases]
        print(f"{rule_set:10s} {scores(cases, [ranking(one) for one in advice])}")
        if chosen.confidence:
            print_confidence(rule_set, cases, advice)
    for approach in APPROACHES:
        constant = [approach, *(name for name in APPROACHES if name != approach)]
        print(f"always {approach:20s} {scores(cases, [constant] * len(cases))}")


def ranking(advice: Recommendation) -> list[str]:
    """Return the approaches as recommended, best first."""
    return [option.approach for option in advice.options]


def scores(cases: Sequence[Case], rankings: Sequence[Sequence[str]]) -> str:
    """Return the three scores as text."""
    pairs = list(zip(cases, rankings, strict=True))
    today = share(pairs, lambda case, ranked: ranked[0] in case["ideal_today"])
    then = share(pairs, lambda case, ranked: ranked[0] in case["ideal_then"])
    usable = [(case, ranked) for case, ranked in pairs if case["shown_best"]]
    shown = share(usable, shows_best)
    return f"accepted today {today} · accepted then {then} · shown best {shown}"


def shows_best(case: Case, ranked: Sequence[str]) -> bool:
    """Tell whether the first of the compared arms is one that was shown best."""
    arms = [name for name in ranked if name in case["arms_compared"]]
    return bool(arms) and arms[0] in case["shown_best"]


def share(
    pairs: Iterable[tuple[Case, Sequence[str]]], right: Callable[[Case, Sequence[str]], bool]
) -> str:
    """Return `right of all`."""
    verdicts = [right(case, ranked) for case, ranked in pairs]
    return f"{sum(verdicts)}/{len(verdicts)}"


def print_confidence(
    rule_set: str, cases: Sequence[Case], advice: Sequence[Recommendation]
) -> None:
    """Print for each lead how many cases had it, and the smoothed share that was right."""
    above = float("inf")
    for lead_from in LEADS:
        found = [
            one.recommended.approach in case["ideal_today"]
            for case, one in zip(cases, advice, strict=True)
            if one.recommended and lead_from <= lead_of(one) < above
        ]
        # Laplace's rule of succession: a bin of few cases claims little.
        print(f"{rule_set},{lead_from:g},{(sum(found) + 1) / (len(found) + 2):.2f},{len(found)}")
        above = lead_from


def lead_of(advice: Recommendation) -> float:
    """Return by how much the first feasible option leads the second."""
    feasible = [option.score for option in advice.options if option.feasible]
    return feasible[0] - feasible[1] if len(feasible) > 1 else float("inf")


if __name__ == "__main__":
    main()
