import json
import random

import pytest
from command_line import run
from hypothesis import given, settings
from hypothesis import strategies as st
from screens import MACHINE, a_store, example_answers

from advisor.answers import Answers, Question, questions
from advisor.tui.entries import Entries, entries_of

WRITTEN = {
    "raw_text": ("10 MB", "2 GB", "3.5B tokens", "5 TB"),
    "labelled_examples": ("0", "50", "8000", "50k", "1.2M"),
    "gpu": ("rtx-4090", "h100-sxm5-80gb", "l4"),
    "gpus": ("1", "2", "8"),
    "deadline": ("12 hours", "3 days", "1 month"),
    "budget_usd": ("100", "1.5k", "$20000"),
    "provider": ("owned", "runpod"),
    "region": ("FR",),
    "language": ("German", "German, French"),
    "variants": ("1", "5"),
    "latency_ms": ("300",),
    "calls_per_day": ("1k", "200k"),
    "project": ("contract review",),
    "success_metric": ("F1",),
    "acceptable_failure": ("empty fields",),
}
SETS = 200


def ways(question: Question) -> tuple[str, ...]:
    """Return what may be typed as the answer to a question."""
    return question.choices or WRITTEN[question.name]


@pytest.mark.slow
def test_for_200_random_answer_sets_the_verdict_is_that_of_the_command_line() -> None:
    draw = random.Random(3)  # noqa: S311 - which sets does not matter, that they stay does
    store = a_store()
    lines, shown = [], []
    for _ in range(SETS):
        for question in draw.sample(questions(), 4):
            asked = draw.random() < 0.7
            assert store.enter(question.path, draw.choice(ways(question)) if asked else "") is None
        lines.append(store.answers.model_dump_json())
        shown.append(store.recommendation.model_dump(mode="json"))
    done = run("recommend", "--batch", "-", stdin="\n".join(lines))
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    # The amounts of the answers are written rounded; what is decided must agree to the letter.
    for ours, theirs in zip(shown, told, strict=True):
        assert ours["recommended"] == theirs["recommended"]
        assert ours["feasible"] == theirs["feasible"]
        assert ours["reasons"] == theirs["reasons"]
        assert ours["estimate"] == theirs["estimate"]


@pytest.mark.parametrize("question", questions(), ids=lambda one: one.name)
def test_every_question_can_be_answered_and_taken_back(question: Question) -> None:
    store = a_store()
    for text in ways(question):
        assert store.enter(question.path, text) is None
        assert store.answers.facts()[question.name] is not None
    assert store.enter(question.path, "") is None
    assert store.answers == Answers()


@pytest.mark.parametrize(
    ("path", "text", "hint"),
    [
        ("data.raw_text", "lots", "2 GB"),
        ("data.labelled_examples", "-5", "8000"),
        ("gpu_budget.deadline", "soon", "3 days"),
        ("gpu_budget.gpu", "rtx-409", "rtx-4090"),
        ("gpu_budget.provider", "nobody", "runpod"),
        ("domain", "leagl", "legal"),
    ],
)
def test_a_wrong_entry_is_marked_and_the_last_valid_answers_stay(
    path: str, text: str, hint: str
) -> None:
    store = a_store(example_answers())
    before = store.recommendation
    wrong = store.enter(path, text)
    assert wrong is not None
    assert hint in wrong.expected
    assert store.entries.wrong[path].text == text
    assert (store.answers, store.recommendation) == (example_answers(), before)
    kept = store.entries.valid.get(path, "")
    assert store.enter(path, kept) is None
    assert not store.entries.wrong


def test_what_moved_is_told_until_the_next_change() -> None:
    store = a_store(example_answers())
    store.enter("prompt_tried", "good_enough")
    assert store.moves.verdict is not None
    assert store.moves.verdict.was.startswith("lora")
    assert set(store.moves.ranges) == {"time", "cost", "memory"}
    assert "evidence.prompt.good-enough" in store.moves.reasons
    store.enter("project", "another name")
    assert not store.moves.any


def test_a_range_that_grows_points_up_and_one_that_shrinks_down() -> None:
    store = a_store(example_answers())
    store.enter("data.labelled_examples", "16000")
    assert store.moves.ranges["time"].mark == "▲"
    store.enter("data.labelled_examples", "4000")
    assert store.moves.ranges["time"].mark == "▼"


def test_undo_goes_back_change_by_change() -> None:
    store = a_store(example_answers())
    before = store.recommendation
    store.enter("domain", "medical")
    store.enter("domain", "medical")
    store.enter("privacy", "public")
    assert store.undo()
    assert store.answers.privacy == "on_prem"
    assert store.answers.domain == "medical"
    assert store.undo()
    assert store.recommendation == before
    assert not store.undo()


def test_cycling_goes_through_every_choice_and_back_to_open() -> None:
    store = a_store()
    question = next(one for one in questions() if one.name == "privacy")
    seen = []
    for _ in range(len(question.choices) + 1):
        store.cycle(question, 1)
        seen.append(store.answers.privacy)
    assert seen == [*question.choices, None]
    store.cycle(question, -1)
    assert store.answers.privacy == question.choices[-1]


def test_the_questions_that_lead_are_always_asked_and_all_are_on_request() -> None:
    store = a_store()
    leading = {one.name for one in questions() if one.leads}
    assert leading <= {one.name for one in store.asked()}
    assert store.asked(everything=True) == questions()
    assert "provider" not in {one.name for one in store.asked()}
    store.enter("data.labelled_examples", "8000")
    store.enter("prompt_tried", "not_enough")
    assert store.recommendation.estimate is not None
    assert "provider" in {one.name for one in store.asked()}


@given(st.fixed_dictionaries({one.path: st.sampled_from(("", *ways(one))) for one in questions()}))
@settings(max_examples=60, deadline=None)
def test_entries_read_as_the_answers_that_they_were_made_of(typed: dict[str, str]) -> None:
    answers = Entries(valid={path: text for path, text in typed.items() if text}).read()
    assert entries_of(answers).read() == answers


@pytest.mark.parametrize("answers", [Answers(), example_answers()], ids=["none", "example"])
def test_every_flip_is_true(answers: Answers) -> None:
    found = [flip for one in a_store(answers).sweep() for flip in one.flips]
    assert found
    for flip in found:
        store = a_store(answers)
        path = next(one.path for one in questions() if one.name == flip.question)
        before = store.recommendation.recommended
        assert store.enter(path, flip.value) is None
        after = store.recommendation.recommended
        assert (after.approach if after else None) == flip.to
        assert before is None or flip.to != before.approach
        assert flip.why


def test_the_machine_is_looked_up_only_where_it_is_asked_for() -> None:
    store = a_store()
    assert store.known_machine is MACHINE
    store.enter("gpu_budget.gpu", "local")
    assert store.recommendation.machine is not None
    store.enter("gpu_budget.gpu", "")
    assert store.recommendation.machine is None
