import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.answers import questions, read_answers
from advisor.catalog import load_catalog
from advisor.errors import AdvisorError, ErrorName
from advisor.machine import LocalGpu, Machine
from advisor.recommendation import Recommendation, recommend
from advisor.schemas import schema_of
from advisor.tables import RuleBook

CATALOG, BOOK = load_catalog(), RuleBook()
LEGAL = {
    "gpu_budget": {"gpu": "rtx-4090", "gpus": 1, "deadline": "3 days"},
    "domain": "legal",
    "data": {"labelled_examples": 8000},
}
LAPTOP = Machine(platform="Linux x86_64", cpu="laptop", cores=4, ram_gb=16.0, disk_gb=200.0)


def recommended(answers: object, **how: object) -> Recommendation:
    """Return the recommendation, with tables that are read once for all tests."""
    return recommend(answers, catalog=CATALOG, rules=BOOK, **how)  # type: ignore[arg-type]


def test_one_gpu_and_a_few_days_lead_to_lora_with_the_articles_row_among_the_reasons() -> None:
    found = recommended(LEGAL)
    assert found.recommended
    assert found.recommended.approach == "lora"
    reason = next(one for one in found.reasons if one.rule == "jellyfish.use.one-gpu-few-days")
    assert reason.because == "one GPU and 3 days"
    assert reason.source.publisher == "Jellyfish Technologies"
    assert reason.rule in found.options[0].reasons


def test_the_same_answers_give_the_same_bytes() -> None:
    assert recommended(LEGAL).model_dump_json() == recommended(LEGAL).model_dump_json()


def test_every_approach_is_an_option_and_the_feasible_ones_come_first() -> None:
    found = recommended(LEGAL)
    assert len({one.approach for one in found.options}) == 5
    feasible = [one.feasible for one in found.options]
    assert feasible == sorted(feasible, reverse=True)
    assert all(one.blockers for one in found.options if not one.feasible)


def test_what_is_short_is_named_with_the_nearest_fix() -> None:
    answers = LEGAL | {"data": {"raw_text": "100B tokens"}}
    found = recommended(answers)
    pretrain = next(one for one in found.options if one.approach == "pretrain")
    lacks = {blocker.what: blocker for blocker in pretrain.blockers}
    assert "time" in lacks
    assert lacks["time"].has == "3 days"
    assert lacks["time"].nearest_fix


def test_on_own_machines_only_energy_is_paid_for() -> None:
    public = recommended(LEGAL)
    private = recommended(LEGAL | {"privacy": "on_prem"})
    assert public.estimate
    assert public.estimate.cost_usd
    assert private.estimate
    assert private.estimate.cost_usd
    assert private.estimate.cost_usd.mid < public.estimate.cost_usd.mid


def test_rented_machines_are_refused_where_data_must_stay_on_own_ones() -> None:
    answers = LEGAL | {"privacy": "on_prem"}
    answers = answers | {"gpu_budget": {**LEGAL["gpu_budget"], "provider": "runpod"}}  # type: ignore[dict-item]
    blockers = [blocker.what for one in recommended(answers).options for blocker in one.blockers]
    assert "privacy" in blockers


def test_without_labels_there_is_nothing_to_tune_on() -> None:
    found = recommended(LEGAL | {"data": {"labelled_examples": 0}})
    assert found.recommended
    assert found.recommended.approach == "no_training"
    lora = next(one for one in found.options if one.approach == "lora")
    assert [blocker.what for blocker in lora.blockers] == ["data"]


def test_few_labels_call_for_more_of_them_first() -> None:
    found = recommended(LEGAL | {"data": {"labelled_examples": 150}})
    assert found.recommended
    assert found.recommended.next_step == "label 50 more examples first"


def test_text_and_labels_together_make_a_sequence_of_stages() -> None:
    found = recommended(
        {
            "language_novelty": "unseen",
            "data": {"raw_text": "2B tokens", "labelled_examples": 5000},
            "gpu_budget": {"gpu": "h100-sxm5-80gb", "gpus": 8},
        }
    )
    assert found.recommended
    assert found.recommended.stages == ("continued_pretrain", "lora")


def test_this_machine_is_described_only_where_it_is_used() -> None:
    assert recommended(LEGAL).machine is None
    local = LEGAL | {"gpu_budget": {"gpu": "local"}}
    found = recommended(local, machine=LAPTOP)
    assert found.machine
    assert found.machine["cpu"] == "laptop"


def test_a_local_gpu_is_used_by_what_it_can_hold() -> None:
    gpu = LocalGpu(name="RTX 4090", vendor="NVIDIA", memory_gb=24.0, catalog_id="rtx-4090")
    local = LEGAL | {"gpu_budget": {"gpu": "local"}}
    with_gpu = recommended(
        local,
        machine=Machine(
            platform="Linux x86_64", cpu="c", cores=8, ram_gb=64.0, disk_gb=1e3, gpus=(gpu,)
        ),
    )
    without = recommended(local, machine=LAPTOP)
    assert with_gpu.estimate
    assert without.estimate
    assert with_gpu.estimate.wall_hours.mid < without.estimate.wall_hours.mid


def test_a_gpu_that_nobody_knows_is_a_fault_of_the_answers() -> None:
    with pytest.raises(AdvisorError) as raised:
        recommended({"gpu_budget": {"gpu": "rtx-4091", "provider": "nobody"}})
    assert raised.value.name is ErrorName.ANSWERS_INVALID
    assert {fault.field for fault in raised.value.faults} == {
        "gpu_budget.gpu",
        "gpu_budget.provider",
    }
    assert "rtx-4090" in str(raised.value.faults[0].hint)


def test_the_articles_answer_is_the_same_beside_the_evidence_and_alone() -> None:
    answers = {"language_novelty": "unseen", "data": {"raw_text": "2 GB"}}
    both, alone = recommended(answers), recommended(answers, rule_set="documents")
    assert alone.recommended
    assert both.documents_only.approach == alone.recommended.approach
    assert {reason.set for reason in alone.reasons} == {"documents"}


def test_unanswered_questions_that_could_turn_the_advice_are_named() -> None:
    found = recommended({"data": {"labelled_examples": 500}, "language_novelty": "covered"})
    assert "prompt_tried" in {one.question for one in found.ask_next}


def test_other_answers_that_turn_the_advice_are_told_with_the_edge_and_the_reason() -> None:
    found = recommended(LEGAL)
    labels = next(one for one in found.flips or () if "labelled_examples" in one.change)
    assert (labels.change, labels.still) == ({"labelled_examples": 119}, "120")
    assert labels.to == "no_training"
    assert labels.why == "119 labelled examples are too few to tune"


def test_what_the_advice_does_not_hang_on_is_told_and_has_no_flip() -> None:
    found = recommended(LEGAL)
    assert found.flips is not None
    assert found.insensitive_to is not None
    assert "spot" in found.insensitive_to
    assert not {name for one in found.flips for name in one.change} & set(found.insensitive_to)


def test_without_exploring_the_verdict_is_the_same_and_no_other_answer_was_tried() -> None:
    plain = recommended(LEGAL, explore=False)
    assert (plain.flips, plain.insensitive_to, plain.ask_next) == (None, None, None)
    assert plain.recommended == recommended(LEGAL).recommended


UNSEEN = {"language_novelty": "unseen", "gpu_budget": {"gpu": "h100-sxm5-80gb", "gpus": 8}}


def test_a_range_is_decided_at_its_low_end_and_again_at_the_other() -> None:
    found = recommended(UNSEEN | {"data": {"raw_text": "1-3B tokens"}})
    low = recommended(UNSEEN | {"data": {"raw_text": "1B tokens"}})
    high = recommended(UNSEEN | {"data": {"raw_text": "3B tokens"}})
    assert found.recommended == low.recommended
    assert found.at_upper_end
    assert high.estimate
    assert found.at_upper_end.answers == {"raw_text": "3B tokens"}
    assert found.at_upper_end.wall_hours == high.estimate.wall_hours


def test_a_range_whose_ends_differ_leaves_the_confidence_unknown_and_says_so() -> None:
    found = recommended(LEGAL | {"data": {"labelled_examples": "50-5000"}})
    assert found.recommended
    assert found.at_upper_end
    assert (found.recommended.approach, found.at_upper_end.approach) == ("no_training", "lora")
    assert found.recommended.confidence is None
    assert any("labelled_examples 5000" in warning for warning in found.warnings)


def test_the_less_is_known_the_lower_the_confidence_never_the_higher() -> None:
    shares: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for row in BOOK.choices("confidence"):
        told = row.outcome
        (approach,) = (one.cell for one in row.conditions)
        bins = shares.setdefault((told["rule_set"], approach), [])
        bins.append((int(told["known_from"]), float(told["share_right"])))
    assert {rule_set for rule_set, _ in shares} == {"all", "documents"}
    for bins in shares.values():
        assert bins == sorted(bins, key=lambda one: (one[0], one[1]), reverse=True)
        assert [share for _, share in bins] == sorted((one for _, one in bins), reverse=True)


def test_where_the_articles_say_otherwise_the_row_that_turned_it_is_named() -> None:
    found = recommended(UNSEEN | {"data": {"raw_text": "2B tokens"}})
    assert found.documents_only.approach == "pretrain"
    assert "evidence." in (found.documents_only.why or "")
    assert recommended(LEGAL).documents_only.why is None


def test_projects_like_this_one_are_named_with_outcome_and_source() -> None:
    for case in recommended(LEGAL).similar_cases:
        assert case.outcome
        assert case.source
        assert len(case.because) >= 2


def test_the_settings_of_the_recommendation_carry_reason_and_source() -> None:
    found = recommended(LEGAL).recommended
    assert found
    assert {"learning_rate", "lora_rank", "epochs"} <= {one.name for one in found.settings}
    assert all(one.why and one.source for one in found.settings)


ANSWER_SETS = st.fixed_dictionaries(
    {},
    optional={
        question.name: st.sampled_from(question.choices)
        for question in questions()
        if question.choices and question.group is None and "true" not in question.choices
    }
    | {
        "data": st.fixed_dictionaries(
            {},
            optional={
                "raw_text": st.sampled_from(["0 GB", "10 MB", "2 GB", "3B tokens", "500B tokens"]),
                "labelled_examples": st.sampled_from([0, 10, 150, 8000, 10**6]),
                "facts_change": st.booleans(),
            },
        ),
        "gpu_budget": st.fixed_dictionaries(
            {},
            optional={
                "gpu": st.sampled_from(["rtx-4090", "t4", "h100-sxm5-80gb"]),
                "gpus": st.sampled_from([1, 2, 8, 64]),
                "deadline": st.sampled_from(["2 hours", "3 days", "3 months"]),
                "budget_usd": st.sampled_from([0, 50, 100_000]),
            },
        ),
    },
)
SCHEMA = jsonschema.Draft202012Validator(schema_of("recommendation"))


@settings(max_examples=60, deadline=None)
@given(ANSWER_SETS)
def test_any_answers_give_a_valid_document_whose_parts_agree(answers: dict[str, object]) -> None:
    found = recommended(answers)
    document = json.loads(found.model_dump_json())
    SCHEMA.validate(document)
    fired = {reason["rule"] for reason in document["reasons"]}
    assert all(set(option["reasons"]) <= fired for option in document["options"])
    assert document["feasible"] == (document["recommended"] is not None)
    if document["recommended"]:
        first = document["options"][0]
        assert first["approach"] == document["recommended"]["approach"]
        assert first["estimate"] == document["estimate"]
    assert document["answers"] == json.loads(read_answers(answers).model_dump_json())
