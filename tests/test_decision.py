import pytest

from advisor.answers import read_answers
from advisor.decision import Decision, decide
from advisor.options import Blocker, Option
from advisor.tables import APPROACHES, RuleBook, RuleSet

BOOK = RuleBook()
BLOCKER = Blocker(what="memory", needs="80 GB", has="24 GB", nearest_fix="a larger GPU")


def decided(
    answers: dict[str, object], *, blocked: tuple[str, ...] = (), rule_set: RuleSet = "all"
) -> Decision:
    """Return the decision where every approach but the blocked ones would fit."""
    options = [
        Option(
            approach=approach,
            method="full",
            objective="clm",
            base_model=None,
            job=None,
            estimate=None,
            blockers=(BLOCKER,) if approach in blocked else (),
        )
        for approach in APPROACHES
    ]
    facts = {**read_answers(answers).facts()}
    facts["model_kind"] = facts["model_kind"] or "generative"
    return decide(facts, options, rules=BOOK, rule_set=rule_set)


def best(answers: dict[str, object], **how: object) -> str | None:
    """Return the approach that comes first."""
    found = decided(answers, **how).best  # type: ignore[arg-type]
    return found.option.approach if found else None


ONE_GPU = {"gpu": "rtx-4090", "gpus": 1, "deadline": "3 days"}

DECISIONS = {
    "one GPU, a few days and some thousand labels": (
        {"domain": "legal", "data": {"labelled_examples": 8000}, "gpu_budget": ONE_GPU},
        "lora",
    ),
    "facts that change belong in retrieval": (
        {"domain": "support", "task": "question_answering", "data": {"facts_change": True}},
        "no_training",
    ),
    "a prompt that is good enough ends the search": (
        {
            "domain": "legal",
            "data": {"labelled_examples": 8000},
            "gpu_budget": ONE_GPU,
            "prompt_tried": "good_enough",
        },
        "no_training",
    ),
    "a language that no base knows is taught to an existing base": (
        {
            "language_novelty": "unseen",
            "data": {"raw_text": "2B tokens"},
            "gpu_budget": {"gpus": 8},
        },
        "continued_pretrain",
    ),
    "a small encoder for an uncovered language is worth its own pretraining": (
        {
            "model_kind": "encoder",
            "language_novelty": "unseen",
            "vocabulary_control": True,
            "data": {"raw_text": "1B tokens"},
        },
        "pretrain",
    ),
    "a small encoder with labels is tuned whole": (
        {
            "model_kind": "encoder",
            "language_novelty": "covered",
            "data": {"labelled_examples": 5000},
        },
        "full_finetune",
    ),
    "privacy alone does not call for pretraining": (
        {"domain": "medical", "privacy": "air_gapped", "data": {"labelled_examples": 5000}},
        "lora",
    ),
    "no data at all means nothing to train": ({}, "no_training"),
}


@pytest.mark.parametrize(("answers", "approach"), DECISIONS.values(), ids=DECISIONS.keys())
def test_a_typical_project_gets_the_advice_that_its_kind_calls_for(
    answers: dict[str, object], approach: str
) -> None:
    assert best(answers) == approach


FLIPS = {
    "prompt": ({"prompt_tried": "good_enough"}, "no_training"),
    "changing facts": ({"data": {"labelled_examples": 300, "facts_change": True}}, "no_training"),
    "kind of model": ({"model_kind": "encoder"}, "full_finetune"),
}


@pytest.mark.parametrize(("change", "approach"), FLIPS.values(), ids=FLIPS.keys())
def test_one_changed_answer_turns_the_advice(change: dict[str, object], approach: str) -> None:
    before = {"language_novelty": "covered", "data": {"labelled_examples": 300}}
    assert best(before) == "lora"
    assert best(before | change) == approach


def test_an_approach_that_does_not_fit_never_wins_but_is_still_listed() -> None:
    answers = {"data": {"labelled_examples": 8000}, "language_novelty": "covered"}
    assert best(answers) == "lora"
    found = decided(answers, blocked=("lora",))
    assert found.best
    assert found.best.option.approach != "lora"
    assert [one.option.approach for one in found.ranked][-1] == "lora"


def test_where_nothing_fits_there_is_no_best_option() -> None:
    assert decided({}, blocked=APPROACHES).best is None


def test_the_articles_alone_and_the_evidence_disagree_about_a_new_language() -> None:
    answers = {"language_novelty": "unseen", "data": {"raw_text": "2B tokens"}}
    unlabelled = ("lora", "full_finetune")
    assert best(answers, blocked=unlabelled, rule_set="documents") == "pretrain"
    assert best(answers, blocked=unlabelled) == "continued_pretrain"


def test_a_row_set_aside_is_still_shown_with_what_resolved_the_conflict() -> None:
    found = decided({"privacy": "air_gapped"})
    assert "jellyfish.use.air-gapped" in {rule.id for rule in found.fired}
    pretrain = next(one for one in found.ranked if one.option.approach == "pretrain")
    assert "jellyfish.use.air-gapped" not in pretrain.reasons
    conflict = next(one for one in found.conflicts if one.resolved_by == "conflict.privacy")
    assert set(conflict.rules) == {"jellyfish.use.air-gapped", "evidence.privacy.is-deployment"}


def test_an_argument_counts_once_however_many_articles_make_it() -> None:
    found = decided({"gpu_budget": {"deadline": "3 days"}}, rule_set="documents")
    on_the_deadline = [rule for rule in found.fired if rule.conditions]
    assert len(on_the_deadline) > 2
    assert {rule.conditions[0].fact for rule in on_the_deadline} == {"deadline"}
    lora = next(one for one in found.ranked if one.option.approach == "lora")
    strongest = max(rule.weights["lora"] for rule in on_the_deadline)
    always = sum(rule.weights["lora"] for rule in found.fired if not rule.conditions)
    assert lora.score == strongest + always
