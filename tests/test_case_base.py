"""What the rules are held to on the projects of the case base (`make backtest-decisions`)."""

from functools import cache

import pytest

from advisor.cases import Case, load_cases
from advisor.catalog import load_catalog
from advisor.recommendation import recommend
from advisor.tables import RuleBook

CATALOG, BOOK = load_catalog(), RuleBook()
CASES = [case for case in load_cases(BOOK.folder / "cases" / "projects.jsonl") if case.use == "yes"]
SHOWN = [case for case in CASES if case.shown_best]
TRUSTED = [case for case in SHOWN if case.evidence_strength in ("controlled", "same_team")]


@cache
def ranking(identifier: str) -> list[str]:
    case = next(one for one in CASES if one.id == identifier)
    found = recommend(case.answers, catalog=CATALOG, rules=BOOK, explore=False)
    return [option.approach for option in found.options]


def shows_best(case: Case) -> bool:
    arms = [name for name in ranking(case.id) if name in case.arms_compared]
    return arms[0] in case.shown_best


@pytest.mark.parametrize(
    ("cases", "least"), [(SHOWN, 0.92), (TRUSTED, 0.93)], ids=["shown best", "trusted"]
)
def test_what_was_shown_best_ranks_first_among_what_was_compared(
    cases: list[Case], least: float
) -> None:
    assert sum(map(shows_best, cases)) / len(cases) >= least


@pytest.mark.parametrize(("when", "least"), [("ideal_then", 0.80), ("ideal_today", 0.95)])
def test_an_expert_accepts_the_advice(when: str, least: float) -> None:
    accepted = [ranking(case.id)[0] in getattr(case, when) for case in CASES]
    assert sum(accepted) / len(CASES) >= least
