import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.answers import Answers, questions, read_answers
from advisor.errors import AdvisorError, ErrorName
from advisor.loading import load_document

FULL = {
    "project": "contract review",
    "domain": "legal",
    "task": "extraction",
    "language": ["German", "English"],
    "language_novelty": "covered",
    "data": {"raw_text": "2 GB", "labelled_examples": "8k", "facts_change": False},
    "gpu_budget": {"gpu": "rtx-4090", "gpus": 1, "deadline": "3 days", "budget_usd": 500},
    "privacy": "on_prem",
    "serving": {"calls_per_day": 1000},
}


def test_what_is_not_answered_stays_unknown_and_never_becomes_zero() -> None:
    facts = read_answers({}).facts()
    assert facts.pop("spot") is False
    assert set(facts.values()) == {None}


def test_answers_survive_being_written_and_read_again() -> None:
    answers = read_answers(FULL)
    assert read_answers(json.loads(answers.model_dump_json())) == answers


def test_quantities_are_shown_as_a_person_would_write_them() -> None:
    written = json.loads(read_answers(FULL).model_dump_json())
    assert written["data"]["raw_text"] == "2 GB"
    assert written["gpu_budget"]["deadline"] == "3 days"
    assert written["data"]["labelled_examples"] == 8000


def test_all_faults_are_told_at_once_with_place_and_remedy() -> None:
    wrong = {
        "domain": "legl",
        "privcy": "public",
        "data": {"raw_text": "-2 GB", "labelled_examples": -5},
        "gpu_budget": {"deadline": 3, "gpus": True},
        "language": False,
    }
    with pytest.raises(AdvisorError) as raised:
        read_answers(wrong, origin="answers.yaml")
    faults = {fault.field: fault for fault in raised.value.faults}
    assert raised.value.exit_code == 2
    assert set(faults) == {
        "domain",
        "privcy",
        "data.raw_text",
        "data.labelled_examples",
        "gpu_budget.deadline",
        "gpu_budget.gpus",
        "language",
    }
    assert faults["domain"].hint == "did you mean legal?"
    assert faults["privcy"].hint == "did you mean privacy?"
    assert all(fault.expected and fault.path == "answers.yaml" for fault in faults.values())


def test_a_group_left_empty_is_a_group_not_answered() -> None:
    assert read_answers({"data": None}) == Answers()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"domain": "legal", "domain": "code"}', "the key domain twice"),
        ('{"variants": NaN}', "NaN"),
        ("{bad", "Expecting property name"),
        ("a: &x 1\nb: *x", "an alias"),
        ("a: [1", "did not find expected"),
        ("[" * 100_000 + "]" * 100_000, "more than 50 levels"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "recursion"),
    ],
)
def test_a_document_that_cannot_be_trusted_is_refused(text: str, found: str) -> None:
    with pytest.raises(AdvisorError) as raised:
        load_document(text, origin="file")
    assert raised.value.name is ErrorName.DOCUMENT_INVALID
    assert found in str(raised.value.faults[0].found)


FLAGS = """
--project --domain --task --breadth --model-kind --language --language-novelty
--vocabulary-control --architecture-control --raw-text --labelled-examples --facts-change --gpu
--gpus --deadline --budget-usd --provider --spot --region --privacy --keep-general-ability
--variants --commercial-use --prompt-tried --latency-ms --calls-per-day --success-metric
--acceptable-failure
"""


def test_every_question_has_its_flag_and_a_help_text() -> None:
    assert {question.flag for question in questions()} == set(FLAGS.split())
    assert all(question.help and question.expected for question in questions())


def test_the_leading_questions_are_the_five_subjects() -> None:
    leading = {question.name for question in questions() if question.leads}
    assert leading == {
        "domain",
        "language_novelty",
        "raw_text",
        "labelled_examples",
        "gpu",
        "gpus",
        "deadline",
        "budget_usd",
        "privacy",
    }


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_any_value_in_any_field_is_read_or_refused_but_never_crashes(value: object) -> None:
    for question in questions():
        document = {question.name: value}
        try:
            read_answers({question.group: document} if question.group else document)
        except AdvisorError as error:
            assert error.faults
