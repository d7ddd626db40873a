"""How often the advice is what real projects showed best, beside the answers it must beat.

On the case base (or `--cases FILE` of the same form) it prints, for the articles' tables alone and
for all rules: rows where something was shown best, ranking only the arms that were compared; the
rows whose evidence is controlled or of one team; what an expert accepted with the base models of
the year, and accepts today; and how often each approach is met where it is right. Beside them the
constant answers, the best constant ranking and the best ranking for each kind of model, chosen on
the very rows that they are scored on. Each half of the cases is scored alone, and rows that call
for caution apart. `--confidence` writes rules/choices/confidence.csv anew instead.
"""

import argparse
import csv
import itertools
import math
import random
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, get_args

from advisor.cases import Case, load_cases
from advisor.recommendation import recommend
from advisor.recommendation.confidence import DECIDING, known_of
from advisor.tables import APPROACHES, RuleBook, RuleSet

CASES = Path(__file__).parent.parent / "rules" / "cases" / "projects.jsonl"
CONFIDENCE = CASES.parent.parent / "choices" / "confidence.csv"
COLUMNS = ["id", "rule_set", "approach", "known_from", "share_right", "projects", "source", "date"]
SOURCE = (
    "share of rules/cases/projects.jsonl accepted today where this much is known, answers left out"
    " at random; a project has one vote; drawn towards the share of all advice, which counts as 10"
)
TRUSTED = ("controlled", "same_team")
Z_90 = 1.645
TODAY = datetime.now(UTC).date()
KNOWN = (7, 4, 0)
# How many projects the share of all advice counts for beside those of one bin.
PRIOR_PROJECTS = 10.0
MASKS = 12

Ranking = Sequence[str]
Right = Callable[[Case, Ranking], bool]


class Advice(NamedTuple):
    """What was recommended for a case with some of its answers left out."""

    case: Case
    ranking: Ranking
    approach: str | None
    known: int

    @property
    def right(self) -> bool:
        """Tell whether an expert accepts it today."""
        return self.approach in self.case.ideal_today


def main() -> None:
    """Score the rules and the baselines, and print all figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=Path, default=CASES)
    parser.add_argument("--confidence", action="store_true")
    chosen = parser.parse_args()
    cases = load_cases(chosen.cases)
    rules = RuleBook()
    if chosen.confidence:
        write_confidence(cases, rules)
        return
    advice = [advise(case, rules) for case in cases]
    alone = [advise(case, rules, rule_set="documents") for case in cases]
    print_scores(cases, advice, alone)
    print_recall(advice)
    print_missed(advice)
    print_reliability(cases, advice, rules)


def advise(
    case: Case, rules: RuleBook, *, rule_set: RuleSet = "all", without: Iterable[str] = ()
) -> Advice:
    """Return the advice for a case, some of its answers left out."""
    answers = {name: value for name, value in case.answers.items() if name not in without}
    for group in ("data", "gpu_budget"):
        kept = case.answers.get(group, {})
        answers[group] = {name: value for name, value in kept.items() if name not in without}
    found = recommend(answers, rule_set=rule_set, rules=rules, explore=False)
    return Advice(
        case=case,
        ranking=[option.approach for option in found.options],
        approach=found.recommended.approach if found.recommended else None,
        known=known_of(found.answers.facts()),
    )


def shows_best(case: Case, ranking: Ranking) -> bool:
    """Tell whether the first of the compared arms is one that was shown best."""
    arms = [name for name in ranking if name in case.arms_compared]
    return bool(arms) and arms[0] in case.shown_best


def accepted_then(case: Case, ranking: Ranking) -> bool:
    """Tell whether an expert of that year accepts it."""
    return ranking[0] in case.ideal_then


def accepted_today(case: Case, ranking: Ranking) -> bool:
    """Tell whether an expert of today accepts it."""
    return ranking[0] in case.ideal_today


MEASURES: Mapping[str, tuple[Callable[[Case], bool], Right]] = {
    "shown best": (lambda case: bool(case.shown_best), shows_best),
    "trusted": (
        lambda case: bool(case.shown_best) and case.evidence_strength in TRUSTED,
        shows_best,
    ),
    "then": (lambda _: True, accepted_then),
    "today": (lambda _: True, accepted_today),
}


def print_scores(cases: Sequence[Case], advice: Sequence[Advice], alone: Sequence[Advice]) -> None:
    """Print one line for each answerer: the four measures as fractions and rates."""
    headline = [index for index, case in enumerate(cases) if case.use == "yes"]
    halves = [[i for i in headline if zlib.crc32(cases[i].id.encode()) % 2 == h] for h in (0, 1)]
    caution = [index for index, case in enumerate(cases) if case.use != "yes"]
    print(f"{'':34}" + "".join(f"{name:>16}" for name in MEASURES))
    print_line("articles and evidence", cases, advice, headline)
    print_line("  one half of the cases", cases, advice, halves[0])
    print_line("  the other half", cases, advice, halves[1])
    print_line("  rows of caution", cases, advice, caution)
    print_line("articles alone", cases, alone, headline)
    for approach in APPROACHES:
        constant = [approach, *(name for name in APPROACHES if name != approach)]
        print_line(f"always {approach}", cases, [constant] * len(cases), headline)
    for name in MEASURES:
        best = best_ranking([cases[i] for i in headline], name)
        print_line(f"best ranking for {name}", cases, [best] * len(cases), headline)
        by_kind = best_by_kind([cases[i] for i in headline], name)
        ranked = [by_kind[case.answers["model_kind"]] for case in cases]
        print_line("  for each kind of model", cases, ranked, headline)


def print_line(
    name: str, cases: Sequence[Case], rankings: Sequence[Advice | Ranking], which: Sequence[int]
) -> None:
    """Print the four measures of one answerer on some of the cases."""
    cells = []
    for applies, right in MEASURES.values():
        verdicts = [
            right(cases[i], one.ranking if isinstance(one := rankings[i], Advice) else one)
            for i in which
            if applies(cases[i])
        ]
        rate = f"{sum(verdicts) / len(verdicts):.0%}" if verdicts else "-"
        cells.append(f"{sum(verdicts)}/{len(verdicts)} {rate:>4}")
    print(f"{name:34}" + "".join(f"{cell:>16}" for cell in cells))


def best_ranking(cases: Sequence[Case], measure: str) -> Ranking:
    """Return the constant ranking that does best on these cases."""
    applies, right = MEASURES[measure]
    usable = [case for case in cases if applies(case)]
    return max(
        itertools.permutations(APPROACHES), key=lambda one: sum(right(case, one) for case in usable)
    )


def best_by_kind(cases: Sequence[Case], measure: str) -> dict[str, Ranking]:
    """Return the best constant ranking for each kind of model."""
    kinds = {case.answers["model_kind"] for case in cases} | {"generative", "encoder", "seq2seq"}
    return {
        kind: best_ranking([c for c in cases if c.answers["model_kind"] == kind], measure)
        for kind in sorted(kinds)
    }


def print_recall(advice: Iterable[Advice]) -> None:
    """Print for each approach how often the advice is right where that approach is right."""
    rows = [one for one in advice if one.case.use == "yes"]
    print("\nrecall: where the approach was shown best, or alone acceptable then")
    for approach in APPROACHES:
        met = [shows_best(one.case, one.ranking) for one in rows if approach in one.case.shown_best]
        met += [one.approach == approach for one in rows if one.case.ideal_then == [approach]]
        rate = f"{sum(met) / len(met):.0%}" if met else "no row"
        print(f"  {approach:20}{sum(met)}/{len(met)} {rate}")


def print_missed(advice: Iterable[Advice]) -> None:
    """Print every row that a measure misses, with what the case says of it."""
    print("\nmissed")
    for one in advice:
        missed = [
            name
            for name, (applies, right) in MEASURES.items()
            if applies(one.case) and not right(one.case, one.ranking)
        ]
        if missed:
            case = one.case
            mark = "" if case.use == "yes" else " (caution)"
            print(f"  {case.id}{mark} {case.project}: advised {one.approach}")
            print(f"    misses {', '.join(missed)}; then {' or '.join(case.ideal_then)},")
            print(f"    today {' or '.join(case.ideal_today)}: {case.why}")


class Bin(NamedTuple):
    """Where a row of the confidence table applies: the approach, and how much is known."""

    approach: str | None
    known: int


def bin_of(one: Advice) -> Bin:
    """Return the row of the confidence table that an advice falls under."""
    return Bin(one.approach, next(known for known in KNOWN if one.known >= known))


def masked(cases: Iterable[Case], rules: RuleBook, rule_set: RuleSet) -> list[Advice]:
    """Return the advice for every case as it is, and with some of its answers left out."""
    draw = random.Random(20261121)  # noqa: S311 - a sample, no secret
    found = []
    for case in cases:
        found.append(advise(case, rules, rule_set=rule_set))
        for _ in range(MASKS):
            without = draw.sample(DECIDING, draw.randint(1, len(DECIDING) - 1))
            found.append(advise(case, rules, rule_set=rule_set, without=without))
    return found


def share_right(advice: Iterable[Advice], prior: float = 0.5, weight: float = 2.0) -> float:
    """Return the share that is right, each project with one vote.

    Few projects claim little: the share is drawn towards `prior`, which counts as `weight` of them.
    """
    votes: dict[str, list[bool]] = {}
    for one in advice:
        votes.setdefault(one.case.group, []).append(one.right)
    right = sum(sum(rights) / len(rights) for rights in votes.values())
    return (right + weight * prior) / (len(votes) + weight)


def write_confidence(cases: Sequence[Case], rules: RuleBook) -> None:
    """Write the share that is right in each bin as the confidence table."""
    rows = [
        row for rule_set in get_args(RuleSet) for row in confidence_rows(cases, rules, rule_set)
    ]
    with CONFIDENCE.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


def confidence_rows(
    cases: Sequence[Case], rules: RuleBook, rule_set: RuleSet
) -> Iterator[tuple[object, ...]]:
    """Yield a row for each bin that some project falls in."""
    for (approach, known), found in fitted(masked(cases, rules, rule_set)).items():
        name = f"confidence.{rule_set}.{approach}.{known}"
        share = f"{found.share:.2f}"
        yield name, rule_set, approach, known, share, found.projects, SOURCE, TODAY


class Fitted(NamedTuple):
    """The share that is right in a bin, and the projects that say so."""

    share: float
    projects: int


def fitted(pool: Sequence[Advice]) -> dict[Bin, Fitted]:
    """Return the share of each bin, drawn towards that of all advice with as much known.

    It never rises as less is known; where it would, neighbouring bins are pooled (isotonic
    regression by pooling adjacent violators).
    """
    shares = {}
    alike = {known: [one for one in pool if bin_of(one).known == known] for known in KNOWN}
    priors = {known: share_right(advice) for known, advice in alike.items()}
    for approach in APPROACHES:
        blocks: list[tuple[list[Bin], Fitted]] = []
        for known in KNOWN:
            found = [one for one in pool if bin_of(one) == Bin(approach, known)]
            if not found:
                continue
            share = share_right(found, priors[known], PRIOR_PROJECTS)
            block = [Bin(approach, known)], Fitted(share, projects_of(found))
            while blocks and blocks[-1][1].share < block[1].share:
                block = pooled(blocks.pop(), block)
            blocks.append(block)
        shares |= {name: share for names, share in blocks for name in names}
    return shares


def pooled(
    one: tuple[list[Bin], Fitted], other: tuple[list[Bin], Fitted]
) -> tuple[list[Bin], Fitted]:
    """Return two blocks as one, weighed by their projects."""
    projects = one[1].projects + other[1].projects
    right = one[1].share * one[1].projects + other[1].share * other[1].projects
    return one[0] + other[0], Fitted(right / projects, projects)


def projects_of(advice: Iterable[Advice]) -> int:
    """Return how many projects the advice is for."""
    return len({one.case.group for one in advice})


def print_reliability(cases: Sequence[Case], advice: Sequence[Advice], rules: RuleBook) -> None:
    """Print how often advice of a stated confidence is right, each project left out of its own."""
    pool = [one for one in masked(cases, rules, "all") if one.approach]
    print("\nconfidence, each project predicted from the others (90 % binomial interval)")
    without = {
        group: fitted([one for one in pool if one.case.group != group])
        for group in {case.group for case in cases}
    }
    stated = stated_and_right(advice, without)
    for low, high in ((0.0, 0.6), (0.6, 0.8), (0.8, 0.9), (0.9, 1.01)):
        inside = [(share, right) for share, right in stated if low <= share < high]
        if inside:
            mean = sum(share for share, _ in inside) / len(inside)
            right = sum(right for _, right in inside)
            bottom, top = wilson(right, len(inside))
            print(
                f"  stated {mean:.2f}: right {right}/{len(inside)}"
                f" = {right / len(inside):.2f} [{bottom:.2f}, {top:.2f}]"
            )
    print_brier("as answered", stated)
    print_brier("and with answers left out", stated_and_right(pool, without))


def stated_and_right(
    advice: Iterable[Advice], without: Mapping[str, Mapping[Bin, Fitted]]
) -> list[tuple[float, bool]]:
    """Return the confidence that the other projects give each advice, and whether it is right."""
    return [
        (without[one.case.group][bin_of(one)].share, one.right)
        for one in advice
        if bin_of(one) in without[one.case.group]
    ]


def print_brier(name: str, stated: Sequence[tuple[float, bool]]) -> None:
    """Print the Brier score beside that of a constant, likewise made from all others."""
    brier = sum((share - right) ** 2 for share, right in stated) / len(stated)
    total, others = sum(right for _, right in stated), len(stated) - 1
    constant = sum(((total - right) / others - right) ** 2 for _, right in stated) / len(stated)
    print(f"  Brier score {name}: {brier:.4f}; of a constant {constant:.4f}")


def wilson(right: int, count: int) -> tuple[float, float]:
    """Return the Wilson score interval of a share."""
    share, z2 = right / count, Z_90**2
    middle = share + z2 / (2 * count)
    spread = Z_90 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return (middle - spread) / (1 + z2 / count), (middle + spread) / (1 + z2 / count)


if __name__ == "__main__":
    main()
