"""Scripted projects as data: what an expert would do, and what decides it (`cases/*.yaml`).

A case names the approaches that experts accept and at least one thing that decides: `rows` that
must be among the reasons, a `blocker` of a named approach, the `next_step`, the `stages` or the
`method`.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from advisor.catalog import load_catalog
from advisor.recommendation import Recommendation, recommend
from advisor.tables import APPROACHES, RuleBook

Case = Mapping[str, Any]

CATALOG, BOOK = load_catalog(), RuleBook()
CASES: dict[str, Case] = {
    case["name"]: case
    for path in sorted(Path(__file__).parent.glob("cases/*.yaml"))
    for case in yaml.safe_load(path.read_text(encoding="utf-8"))
}
DECIDERS = ("rows", "blocker", "next_step", "stages", "method")


@cache
def recommended(name: str) -> Recommendation:
    """Return the recommendation for a case by its name, computed once for all tests."""
    return recommend(CASES[name]["answers"], catalog=CATALOG, rules=BOOK, explore=False)


def accepted(case: Case) -> list[str]:
    """Return the approaches that the case accepts."""
    approach = case["approach"]
    return approach if isinstance(approach, list) else [approach]


def named(decider: str) -> Any:
    """Parametrize over the cases that name this decider."""
    return pytest.mark.parametrize(
        "name", [name for name, case in CASES.items() if decider in case]
    )


def test_every_case_names_known_approaches_and_what_decides() -> None:
    for case in CASES.values():
        assert set(accepted(case)) <= set(APPROACHES)
        assert set(case) <= {"name", "answers", "approach", *DECIDERS}
        assert set(case) & set(DECIDERS)


@pytest.mark.parametrize("name", CASES)
def test_the_approach_is_one_that_experts_accept(name: str) -> None:
    found = recommended(name)
    assert found.recommended
    scores = {one.approach: one.score for one in found.options if one.feasible}
    assert found.recommended.approach in accepted(CASES[name]), scores


@named("rows")
def test_the_rows_that_decide_are_among_the_reasons(name: str) -> None:
    assert set(CASES[name]["rows"]) <= {reason.rule for reason in recommended(name).reasons}


@named("blocker")
def test_what_stands_in_the_way_is_named(name: str) -> None:
    blocker = CASES[name]["blocker"]
    option = next(one for one in recommended(name).options if one.approach == blocker["approach"])
    assert blocker["what"] in {one.what for one in option.blockers}


@named("next_step")
def test_the_next_step_is_what_comes_before_training(name: str) -> None:
    found = recommended(name).recommended
    assert found
    assert CASES[name]["next_step"] in (found.next_step or "")


@named("stages")
def test_a_sequence_is_advised_in_stages(name: str) -> None:
    found = recommended(name).recommended
    assert found
    assert list(found.stages) == CASES[name]["stages"]


@named("method")
def test_the_method_suits_the_data(name: str) -> None:
    found = recommended(name).recommended
    assert found
    assert found.method == CASES[name]["method"]


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case["answers"].get("commercial_use")]
)
def test_what_will_be_sold_rests_on_a_base_whose_licence_allows_it(name: str) -> None:
    found = recommended(name).recommended
    assert found
    assert found.base_model
    assert CATALOG.model(found.base_model).commercial_use != "no"
