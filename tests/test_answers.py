import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.answers import Answers, Question, questions, read_answers
from advisor.cli.answering import gather_answers
from advisor.errors import AdvisorError, ErrorName
from advisor.loading import load_document
from advisor.tui.entries import Entries, entries_of
from advisor.units import DataSize

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


def test_a_quantity_survives_to_the_last_digit() -> None:
    answers = read_answers({"data": {"raw_text": "1.23456B tokens"}})
    assert read_answers(json.loads(answers.model_dump_json())) == answers


def test_quantities_are_shown_as_a_person_would_write_them() -> None:
    written = json.loads(read_answers(FULL).model_dump_json())
    assert written["data"]["raw_text"] == "2 GB"
    assert written["gpu_budget"]["deadline"] == "3 days"
    assert written["data"]["labelled_examples"] == 8000


# The range as typed, its low end and its other end.
RANGES = {
    "data.raw_text": ("1–3B tokens", DataSize(1e9, "tokens"), DataSize(3e9, "tokens")),
    "data.labelled_examples": ("500 to 1,000", 500, 1000),
    "gpu_budget.gpus": ("1-8", 1, 8),
    "gpu_budget.deadline": ("2-4 weeks", 336.0, 672.0),
    "gpu_budget.budget_usd": ("$500–$2000", 500.0, 2000.0),
    "variants": ("3-10", 3, 10),
    "serving.latency_ms": ("200-500", 200, 500),
    "serving.calls_per_day": ("50-100k", 50_000, 100_000),
}
QUANTITIES = [question for question in questions() if question.parse]


def document_of(question: Question, value: object) -> dict[str, object]:
    answer = {question.name: value}
    return {question.group: answer} if question.group else answer


def test_every_quantity_may_be_a_range_and_nothing_else() -> None:
    assert {question.path for question in QUANTITIES} == set(RANGES)
    texts = read_answers({"project": "2-4", "success_metric": "5–10 points"})
    assert (texts.project, texts.success_metric) == ("2-4", "5–10 points")
    assert texts.other_end() is None


@pytest.mark.parametrize("question", QUANTITIES, ids=lambda question: question.name)
def test_a_range_stands_for_its_low_end_and_its_other_end(question: Question) -> None:
    text, low, high = RANGES[question.path]
    answers = read_answers(document_of(question, text))
    other = answers.other_end()
    assert answers.facts()[question.name] == low
    assert other is not None
    assert other.facts() == answers.facts() | {question.name: high}
    assert answers.low_end().facts() == answers.facts()
    assert (other.other_end(), answers.low_end().other_end()) == (None, None)


@pytest.mark.parametrize("question", QUANTITIES, ids=lambda question: question.name)
def test_a_range_survives_being_written_read_and_shown_on_the_screen(question: Question) -> None:
    answers = read_answers(FULL | document_of(question, RANGES[question.path][0]))
    assert read_answers(json.loads(answers.model_dump_json())) == answers
    again = entries_of(answers).read()
    assert (again.low_end(), again.other_end()) == (answers.low_end(), answers.other_end())


def test_ranges_of_several_questions_are_kept_side_by_side() -> None:
    data = {"raw_text": "1-3B tokens", "labelled_examples": "500-2000"}
    answers = read_answers({"data": data, "gpu_budget": {"deadline": "3 days"}})
    assert answers.up_to == {"raw_text": "3B tokens", "labelled_examples": "2000"}


def test_the_other_end_may_be_given_by_itself() -> None:
    given_apart = {"data": {"labelled_examples": 500}, "up_to": {"labelled_examples": 2000}}
    assert read_answers(given_apart) == read_answers({"data": {"labelled_examples": "500-2000"}})
    assert read_answers({"up_to": {"raw_text": None}}) == Answers()


def test_a_flag_takes_a_range() -> None:
    answers = gather_answers(None, {"raw_text": "1–3B tokens", "gpus": "1-8"})
    assert answers.up_to == {"raw_text": "3B tokens", "gpus": "8"}


def test_a_range_typed_on_the_screen_is_shown_with_both_units() -> None:
    entries = Entries().with_valid("data.raw_text", "1-3B tokens").with_valid("project", "1-3 B")
    assert entries.valid == {"data.raw_text": "1B–3B tokens", "project": "1-3 B"}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"data": {"raw_text": "5–3 GB"}}, "data.raw_text"),
        ({"data": {"raw_text": "1–3 lightyears"}}, "data.raw_text"),
        ({"data": {"labelled_examples": "1.5-2"}}, "data.labelled_examples"),
        ({"gpu_budget": {"deadline": "2-4"}}, "gpu_budget.deadline"),
        ({"domain": "1-2"}, "domain"),
        ({"up_to": "3B tokens"}, "up_to"),
        ({"up_to": {"raw_text": "3 GB"}}, "up_to.raw_text"),
        ({"up_to": {"raw_texts": "3 GB"}}, "up_to.raw_texts"),
        ({"domain": "legal", "up_to": {"domain": "code"}}, "up_to.domain"),
        ({"variants": 5, "up_to": {"variants": 3}}, "up_to.variants"),
        ({"variants": 5, "up_to": {"variants": "many"}}, "up_to.variants"),
        ({"variants": "5-8", "up_to": {"variants": 9}}, "up_to.variants"),
    ],
)
def test_a_range_that_cannot_be_used_is_told_at_its_place(
    document: dict[str, object], field: str
) -> None:
    with pytest.raises(AdvisorError) as raised:
        read_answers(document)
    fields = [fault.field for fault in raised.value.faults]
    assert field in fields
    assert all(fault.expected and fault.found for fault in raised.value.faults)


def test_the_schema_tells_of_ranges() -> None:
    schema = Answers.model_json_schema(mode="validation")
    assert schema["properties"]["up_to"]["type"] == "object"
    gpus = schema["$defs"]["GpuBudget"]["properties"]["gpus"]
    assert {"type": "string"} in gpus["anyOf"]


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
