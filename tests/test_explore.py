import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.answers import Question, questions, read_answers
from advisor.cases import load_cases
from advisor.catalog import load_catalog
from advisor.estimation.documents import EstimateRequest
from advisor.explore.quantities import QUANTITIES, roads, written
from advisor.options import build_options, facts_for_options, project_of
from advisor.options.layout import complete_request, laid_out_like
from advisor.tables import RuleBook
from advisor.units import parse_hours

CATALOG, BOOK = load_catalog(), RuleBook()
CASES = load_cases(BOOK.folder / "cases" / "projects.jsonl")
FREE = [
    question
    for question in questions()
    if question.choices and question.name not in facts_for_options(BOOK)
]


def question_named(name: str) -> Question:
    return next(one for one in questions() if one.name == name)


@pytest.mark.parametrize(
    ("name", "amount", "text"),
    [
        ("raw_text", 2e9, "500M tokens"),
        ("labelled_examples", 120.0, "120"),
        ("deadline", 168.0, "7 days"),
        ("deadline", 167.0, "6.96 days"),
        ("budget_usd", 9900.0, "9900"),
    ],
)
def test_a_value_is_written_as_a_person_would_answer_it(
    name: str, amount: float, text: str
) -> None:
    shown = written(QUANTITIES[name].value(amount, None), question_named(name))
    assert shown == text or (name == "deadline" and parse_hours(shown) == amount)


@given(st.sampled_from(sorted(QUANTITIES)), st.floats(min_value=1, max_value=1e12))
def test_halving_between_two_values_ends_within_one_part_in_a_hundred(
    name: str, low: float
) -> None:
    quantity = QUANTITIES[name]
    low = float(round(low)) if quantity.whole else low
    high, steps = low * 1000, 0
    while (middle := quantity.between(low, high)) is not None:
        assert low < middle < high
        high, steps = middle, steps + 1
        assert steps < 100
    assert high - low <= max(1.0, 0.01 * high)


def test_a_road_climbs_from_the_answer_and_then_descends() -> None:
    waiting = [rule for rule in BOOK.of("all") if "labelled_examples" in rule.tested]
    up, down = roads("labelled_examples", 1000, waiting)
    assert list(up) == sorted(up)
    assert list(down) == sorted(down, reverse=True)
    assert min(up) > 1000 > max(down)
    assert 300_000 in up
    assert 119 in down


@given(st.sampled_from(CASES), st.data())
@settings(max_examples=60, deadline=None)
def test_an_answer_that_options_do_not_depend_on_leaves_every_option_as_it_is(
    case: object, data: st.DataObject
) -> None:
    answers = dict(case.answers)  # type: ignore[attr-defined]
    question = data.draw(st.sampled_from(FREE))
    value = data.draw(st.sampled_from(question.choices))
    raw = value == "true" if value in ("true", "false") else value
    group = {question.group: {**answers.get(question.group, {}), question.name: raw}}
    other = answers | (group if question.group else {question.name: raw})
    one, two = (
        build_options(project_of(read_answers(document), catalog=CATALOG, rules=BOOK, machine=None))
        for document in (answers, other)
    )
    assert one == two


WORK = st.fixed_dictionaries(
    {"tokens": st.sampled_from([1e6, 3e8, 2e10])},
    optional={"provider": st.sampled_from(["owned", "runpod"]), "spot": st.booleans()},
)


@given(
    st.fixed_dictionaries(
        {
            "model": st.sampled_from(["Qwen/Qwen3-8B-Base", "Qwen/Qwen3-0.6B-Base"]),
            "approach": st.sampled_from(["lora", "full_finetune", "continued_pretrain"]),
            "gpu": st.sampled_from(["rtx-4090", "h100-sxm5-80gb"]),
            "gpus": st.sampled_from([1, 8]),
        }
    ),
    WORK,
    WORK,
)
@settings(max_examples=60, deadline=None)
def test_a_layout_that_is_used_again_gives_the_job_that_laying_it_out_anew_gives(
    fields: dict[str, object], work: dict[str, object], other: dict[str, object]
) -> None:
    first, second = (EstimateRequest.model_validate(fields | one) for one in (work, other))
    anew = complete_request(second, catalog=CATALOG)
    assert laid_out_like(complete_request(first, catalog=CATALOG), second, CATALOG) == anew
