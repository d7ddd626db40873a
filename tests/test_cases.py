import json
from pathlib import Path

import pytest

from advisor.answers import read_answers
from advisor.cases import Case, SimilarCase, load_cases, similar_cases
from advisor.errors import AdvisorError, ErrorName
from advisor.places import shipped
from advisor.tables import APPROACHES

RULES = shipped("rules")
FILE = RULES / "cases" / "projects.jsonl"
CASES = load_cases(FILE)
EVIDENCE = {"controlled", "same_team", "confounded", "vs_base", "vendor", None}


def near(document: dict[str, object], **how: int) -> tuple[SimilarCase, ...]:
    return similar_cases(read_answers(document).facts(), RULES, **how)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_uses_the_names_of_the_questionnaire_and_of_the_approaches(case: Case) -> None:
    named = {case.chose, *case.ideal_then, *case.ideal_today, *case.arms_compared}
    assert named <= set(APPROACHES)
    assert set(case.shown_best) <= set(case.arms_compared)
    assert case.ideal_then
    assert case.ideal_today
    assert case.source
    assert case.use in ("yes", "caution")
    assert case.evidence_strength in EVIDENCE
    answers = read_answers(case.answers).facts()
    assert all(answers[name] is not None for name in case.compared)


def test_every_outcome_has_its_words_and_every_grouped_case_exists() -> None:
    cases = FILE.parent
    words = dict(line.split(",", 1) for line in (cases / "outcomes.csv").read_text().splitlines())
    grouped = [line.split(",")[0] for line in (cases / "groups.csv").read_text().splitlines()[1:]]
    assert {case.outcome for case in CASES} <= set(words)
    assert set(grouped) <= {case.id for case in CASES}
    assert len(grouped) == len(set(grouped))


def test_two_arms_of_one_project_are_of_one_group() -> None:
    groups = {case.id: case.group for case in CASES}
    assert groups["FF10"] == groups["PE19"]
    assert groups["PT01"] == "PT01"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_is_among_those_most_like_itself(case: Case) -> None:
    found = near(dict(case.answers), count=len(CASES))
    best = [one for one in found if one.because == found[0].because]
    assert case.project in {one.project for one in best}


def test_the_nearest_case_comes_first_with_what_it_shares_and_how_it_ended() -> None:
    help_desk = {
        "domain": "support",
        "task": "question_answering",
        "privacy": "internal",
        "data": {"facts_change": True},
    }
    first = near(help_desk)[0]
    assert first.project == "LinkedIn customer-service QA"
    assert first.because == ("task", "domain", "privacy", "facts_change")
    assert (first.chose, first.outcome) == ("no_training", "it worked")


def test_amounts_are_alike_by_their_order_of_magnitude() -> None:
    def shared(labels: int) -> bool:
        document = {"domain": "legal", "task": "extraction", "data": {"labelled_examples": labels}}
        found = [
            one for one in near(document, count=72) if one.project == "LEGAL-BERT (FP variant)"
        ]
        return "labelled_examples" in found[0].because

    assert [shared(labels) for labels in (10, 20_000, 57_000, 150_000, 5_000_000)] == [
        False,
        True,
        True,
        True,
        False,
    ]


def test_no_case_is_near_where_little_is_known_or_nothing_is_shared() -> None:
    assert near({}) == ()
    assert near({"domain": "legal"}) == ()
    unheard_of = {
        "model_kind": "seq2seq",
        "task": "translation",
        "domain": "education",
        "language_novelty": "unseen",
        "privacy": "air_gapped",
    }
    assert near(unheard_of) == ()


def test_an_answer_left_out_counts_neither_way() -> None:
    known = {"domain": "legal", "task": "extraction"}
    assert near(known) == near({**known, "privacy": None, "data": {"raw_text": None}})


def test_what_a_case_does_not_know_counts_neither_way() -> None:
    known = {"domain": "legal", "task": "extraction"}
    unknown_there = near({**known, "data": {"facts_change": True}})
    assert [one.project for one in unknown_there] == [one.project for one in near(known)]


def test_no_more_cases_are_returned_than_asked_for() -> None:
    assert [len(near(dict(CASES[0].answers), count=count)) for count in (0, 1, 3)] == [0, 1, 3]


def test_a_pack_of_rules_may_have_no_cases(tmp_path: Path) -> None:
    assert similar_cases({"domain": "legal", "task": "chat"}, tmp_path) == ()


def test_a_pack_with_cases_alone_speaks_of_their_outcomes_by_code(tmp_path: Path) -> None:
    file = tmp_path / "cases" / "projects.jsonl"
    file.parent.mkdir()
    file.write_text(FILE.read_text().splitlines()[0])
    found = similar_cases({"domain": "medical", "task": "extraction"}, tmp_path)
    assert [one.outcome for one in found] == ["success by comparison"]


def test_every_damaged_case_is_told_with_its_line(tmp_path: Path) -> None:
    whole = json.loads(FILE.read_text().splitlines()[0])
    lots = {**whole, "answers": {"data": {"raw_text": "lots"}}}
    lines = ["{bad", json.dumps(whole), json.dumps({"id": "X1"}), json.dumps(lots), "7"]
    file = tmp_path / "projects.jsonl"
    file.write_text("\n".join(lines))
    with pytest.raises(AdvisorError) as raised:
        load_cases(file)
    assert raised.value.name is ErrorName.RULES_INVALID
    assert [fault.line for fault in raised.value.faults] == [1, 3, 4, 5]
