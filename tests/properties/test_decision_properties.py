"""What holds of every recommendation, whatever is answered."""

import csv
import random
import shutil
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from answer_sets import (
    CATALOG,
    DATA,
    LAPTOP,
    MACHINES,
    Answered,
    answer_sets,
    answering,
)
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from advisor.answers import Privacy, questions, read_answers
from advisor.decision import decide
from advisor.errors import AdvisorError, ErrorName
from advisor.explore import Flip, sweep
from advisor.machine import Machine
from advisor.options import Blocker, Option, Project, build_options, project_of
from advisor.places import shipped
from advisor.recommendation import Recommendation, recommend
from advisor.tables import APPROACHES, RuleBook

BOOK = RuleBook()
BLOCKER = Blocker(what="memory", needs="80 GB", has="24 GB", nearest_fix="a larger GPU")
TRAINING_ORDER = ("pretrain", "continued_pretrain", "full_finetune", "lora", "no_training")
TUNING = ("full_finetune", "lora")
# A budget and a deadline stop what has too much to learn from, which is no verdict on the labels.
LIMITS = ("deadline", "budget_usd")


def recommended(answers: Answered, *, machine: Machine = LAPTOP) -> Recommendation:
    """Return the recommendation without trying other answers, from tables read once."""
    return recommend(answers, machine, catalog=CATALOG, rules=BOOK, explore=False)


def project_for(answers: Answered) -> Project:
    """Return the project that the answers describe."""
    return project_of(read_answers(answers), catalog=CATALOG, rules=BOOK, machine=LAPTOP)


def approach_of(answers: Answered) -> str | None:
    """Return the recommended approach, or None where nothing is feasible."""
    found = recommended(answers).recommended
    return found.approach if found else None


def option_of(approach: str, *, blocked: bool) -> Option:
    """Return an option that nothing was priced for."""
    return Option(
        approach=approach,  # type: ignore[arg-type]
        method="full",
        objective="clm",
        base_model=None,
        job=None,
        estimate=None,
        blockers=(BLOCKER,) if blocked else (),
    )


# Drawing some thirty answers is no small thing, and not every project is about tuning.
FAIR = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

# Always an answer, and every part of it explained.


@pytest.mark.slow
@settings(FAIR, max_examples=10_000)
@given(answer_sets(), st.sets(st.sampled_from(APPROACHES)))
def test_any_answers_rank_all_five_approaches_the_feasible_ones_first(
    answers: Answered, blocked: set[str]
) -> None:
    facts = project_for(answers).facts
    options = [option_of(name, blocked=name in blocked) for name in APPROACHES]
    decision = decide(facts, options, rules=BOOK, rule_set="all")
    ranked = [(not one.option.feasible, -one.score) for one in decision.ranked]
    assert {one.option.approach for one in decision.ranked} == set(APPROACHES)
    assert ranked == sorted(ranked)
    assert (decision.best is None) == (blocked == set(APPROACHES))


@settings(FAIR, max_examples=150)
@given(answer_sets(), MACHINES)
def test_any_accepted_answers_give_a_recommendation_over_all_five_approaches(
    answers: Answered, machine: Machine
) -> None:
    found = recommended(answers, machine=machine)
    assert {one.approach for one in found.options} == set(APPROACHES)
    assert all(one.feasible != bool(one.blockers) for one in found.options)
    assert found.feasible == any(one.feasible for one in found.options)
    if found.recommended:
        assert found.options[0].feasible
        assert found.recommended.approach == found.options[0].approach


@settings(FAIR, max_examples=100)
@given(answer_sets())
def test_every_reason_has_a_source_with_a_date(answers: Answered) -> None:
    reasons = recommended(answers).reasons
    assert reasons
    for reason in reasons:
        assert reason.because
        assert reason.source.publisher
        assert reason.source.section
        assert reason.source.date


@pytest.mark.parametrize("name", [question.name for question in questions()])
def test_null_is_the_same_as_leaving_a_question_out(name: str) -> None:
    assert read_answers(answering({}, name, None)) == read_answers({})


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=6,
)
PLACES = [*(question.name for question in questions()), "data", "gpu_budget", "serving", "up_to"]


@settings(FAIR, max_examples=300)
@given(answer_sets(), st.sampled_from(PLACES), JUNK)
@example({}, "provider", "")
def test_whatever_stands_in_an_answers_place_is_read_or_refused_by_its_place(
    answers: Answered, place: str, junk: object
) -> None:
    grouped = place in ("data", "gpu_budget", "serving", "up_to")
    document = {**answers, place: junk} if grouped else answering(answers, place, junk)
    try:
        found = recommended(document)
    except AdvisorError as error:
        assert error.name is ErrorName.ANSWERS_INVALID
        assert error.faults
        assert all(fault.expected and fault.found for fault in error.faults)
    else:
        assert len(found.options) == len(APPROACHES)


@settings(FAIR, max_examples=100)
@given(st.none() | st.booleans() | st.integers() | st.text() | st.lists(JUNK, max_size=3))
def test_what_is_no_mapping_is_refused(document: object) -> None:
    with pytest.raises(AdvisorError):
        recommend(document, LAPTOP, catalog=CATALOG, rules=BOOK)  # type: ignore[arg-type]


@settings(FAIR, max_examples=100)
@given(answer_sets(), st.text(min_size=1, max_size=12), JUNK)
def test_a_question_that_nobody_asks_is_refused(answers: Answered, name: str, junk: object) -> None:
    assume(name not in PLACES)
    assume(junk is not None)
    with pytest.raises(AdvisorError) as raised:
        recommended({**answers, name: junk})
    assert raised.value.name is ErrorName.ANSWERS_INVALID


# More of what is allowed never takes anything away.


HOURS = st.integers(1, 5000)
AMOUNTS: dict[str, st.SearchStrategy[Any]] = {
    "budget_usd": st.integers(0, 300) | st.integers(0, 1_000_000),
    "deadline": HOURS | st.integers(1, 72),
    "gpus": st.integers(1, 8) | st.integers(1, 1024),
    "labelled_examples": st.integers(0, 1000) | st.integers(0, 2_000_000),
}


def more_of(name: str) -> st.SearchStrategy[tuple[str, int, int]]:
    """Draw two answers to one question, the second no smaller."""
    pairs = st.tuples(AMOUNTS[name], AMOUNTS[name])
    return pairs.map(lambda pair: (name, min(pair), max(pair)))


def with_amount(answers: Answered, name: str, amount: int) -> Answered:
    """Answer one question with an amount; a deadline is one in hours."""
    return answering(answers, name, f"{amount} hours" if name == "deadline" else amount)


@settings(FAIR, max_examples=100)
@given(
    answer_sets(always=DATA), st.sampled_from(["budget_usd", "deadline", "gpus"]).flatmap(more_of)
)
@example(
    {
        "domain": "general",
        "task": "classification",
        "data": {"labelled_examples": 49_999},
        "gpu_budget": {"budget_usd": 1},
    },
    ("gpus", 1, 3),
)
def test_more_money_time_or_gpus_never_make_a_feasible_option_infeasible(
    answers: Answered, allowed: tuple[str, int, int]
) -> None:
    name, less, more = allowed
    before = recommended(with_amount(answers, name, less))
    after = recommended(with_amount(answers, name, more))
    blockers = {one.approach: one.blockers for one in after.options}
    for option in before.options:
        if option.feasible:
            assert not blockers[option.approach], (option.approach, blockers[option.approach])


@settings(FAIR, max_examples=200)
@given(answer_sets(without=LIMITS), more_of("labelled_examples"))
@example(
    {
        "domain": "general",
        "task": "classification",
        "language_novelty": "covered",
        "architecture_control": False,
        "variants": 3,
        "prompt_tried": "not_enough",
        "data": {"facts_change": True},
        "gpu_budget": {"gpus": 1},
        "serving": {"latency_ms": 500},
    },
    ("labelled_examples", 1000, 50_001),
)
def test_more_labels_never_turn_tuning_into_no_training(
    answers: Answered, labels: tuple[str, int, int]
) -> None:
    name, fewer, more = labels
    before = approach_of(with_amount(answers, name, fewer))
    assume(before in TUNING)
    assert approach_of(with_amount(answers, name, more)) != "no_training"


@settings(FAIR, max_examples=200)
@given(answer_sets(always=DATA), st.sampled_from(get_args(Privacy)))
def test_privacy_alone_never_turns_lora_into_pretraining(answers: Answered, privacy: str) -> None:
    assume(approach_of(answers) == "lora")
    assert approach_of(answering(answers, "privacy", privacy)) != "pretrain"


# What is advised is in order, and depends on nothing but the answers and the rows.


@settings(FAIR, max_examples=150)
@given(answer_sets())
def test_stages_come_in_training_order_and_hold_the_approach(answers: Answered) -> None:
    found = recommended(answers).recommended
    assume(found is not None)
    assert found
    places = [TRAINING_ORDER.index(stage) for stage in found.stages]
    assert places == sorted(set(places))
    assert found.approach in found.stages


def reordered(document: Answered, order: random.Random) -> Answered:
    """Return the same answers with the keys in another order, at every depth."""
    items = [
        (name, reordered(value, order) if isinstance(value, dict) else value)
        for name, value in document.items()
    ]
    order.shuffle(items)
    return dict(items)


@settings(FAIR, max_examples=60)
@given(answer_sets(), st.randoms(use_true_random=False))
def test_the_same_answers_in_any_order_give_the_same_bytes(
    answers: Answered, order: random.Random
) -> None:
    first = recommended(answers).model_dump_json()
    assert recommended(reordered(answers, order)).model_dump_json() == first


def shuffled(folder: Path, seed: int) -> RuleBook:
    """Put the rows of the rules in another order; those of choice tables are ordered by meaning."""
    order = random.Random(seed)  # noqa: S311 - any order will do
    for path in (*folder.glob("documents/*.csv"), *folder.glob("evidence/*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            head, *rows = list(csv.reader(file))
        order.shuffle(rows)
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([head, *rows])
    return RuleBook(folder)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> list[RuleBook]:
    """Return the shipped rules, then the same in other orders."""
    folder = tmp_path_factory.mktemp("rules")
    copies = [shutil.copytree(shipped("rules"), folder / str(seed)) for seed in range(6)]
    return [RuleBook(copies[0]), *(shuffled(copy, seed) for seed, copy in enumerate(copies[1:]))]


def verdict(found: Recommendation) -> dict[str, Any]:
    """Return what is decided and estimated, without the order in which reasons are told."""
    document = found.model_dump(exclude={"reasons", "conflicts", "documents_only"})
    for option in document["options"]:
        option["reasons"] = sorted(option["reasons"])
    return document | {"articles": found.documents_only.approach}


@settings(FAIR, max_examples=60)
@given(answers=answer_sets(), number=st.integers(1, 5))
def test_the_order_of_rule_rows_and_tables_changes_no_verdict_score_or_estimate(
    books: list[RuleBook], number: int, answers: Answered
) -> None:
    shipped_order, other_order = books[0], books[number]
    assert other_order.of("all") != shipped_order.of("all")
    first, second = (
        recommend(answers, LAPTOP, catalog=CATALOG, rules=book, explore=False)
        for book in (shipped_order, other_order)
    )
    assert verdict(first) == verdict(second)


# Every flip flips, and what is just short of it does not.


def flips_of(answers: Answered) -> tuple[str | None, list[Flip]]:
    """Return the recommended approach and all that would change it."""
    project = project_for(answers)
    decision = decide(project.facts, build_options(project), rules=BOOK, rule_set="all")
    best = decision.best.option.approach if decision.best else None
    return best, [flip for one in sweep(project, decision, rule_set="all") for flip in one.flips]


def as_answered(name: str, value: str) -> object:
    """Return a value as a document holds it: truths are no words."""
    return {"true": True, "false": False}.get(value, value) if is_truth(name) else value


@cache
def is_truth(name: str) -> bool:
    """Tell whether a question is answered by true or false."""
    return next(one for one in questions() if one.name == name).choices == ("true", "false")


def check_flips(answers: Answered) -> None:
    """Answer each flip as a person would and see where it leads."""
    approach, found = flips_of(answers)
    given_ones = read_answers(answers).facts()
    for flip in found:
        there = approach_of(
            answering(answers, flip.question, as_answered(flip.question, flip.value))
        )
        assert there == flip.to != approach, flip
        assert flip.why
        if flip.still:
            short = as_answered(flip.question, flip.still)
            stays = approach_of(answering(answers, flip.question, short))
            assert stays != flip.to, flip
            assert stays == approach or given_ones[flip.question] is None, flip


@settings(FAIR, max_examples=10)
@given(answer_sets())
def test_every_flip_flips_and_a_value_just_short_of_it_does_not(answers: Answered) -> None:
    check_flips(answers)


@pytest.mark.slow
@settings(FAIR, max_examples=500)
@given(answer_sets())
def test_every_flip_of_many_projects_flips(answers: Answered) -> None:
    check_flips(answers)
