"""What stands in the way of an option, and that more never makes it worse."""

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.answers import questions, read_answers
from advisor.catalog import Catalog, load_catalog
from advisor.options import Blocker, Option, build_options, project_of
from advisor.options.shapes import MOST_PASSES, TOKENS_PER_PARAMETER
from advisor.places import shipped
from advisor.tables import RuleBook
from advisor.units import parse_data_size

CATALOG, BOOK = load_catalog(), RuleBook()


def options(
    answers: dict[str, Any], catalog: Catalog = CATALOG, rules: RuleBook = BOOK
) -> dict[str, Option]:
    project = project_of(read_answers(answers), catalog=catalog, rules=rules, machine=None)
    return {option.approach: option for option in build_options(project)}


def short_of(answers: dict[str, Any], approach: str, what: str) -> Blocker:
    found = [one for one in options(answers)[approach].blockers if one.what == what]
    assert found, f"{approach} is not short of {what}"
    return found[0]


@pytest.mark.parametrize(
    ("approach", "data", "has", "fix"),
    [
        ("lora", {}, "not answered", "label 120 examples"),
        ("lora", {"labelled_examples": 0}, "none", "label 120 examples"),
        ("lora", {"labelled_examples": 10}, "10 examples", "label 110 more examples"),
        ("full_finetune", {"labelled_examples": 10}, "10 examples", "label 190 more examples"),
        ("pretrain", {"raw_text": "1M tokens"}, "1M tokens", "collect about 100B tokens"),
        ("continued_pretrain", {"raw_text": "0 GB"}, "none", "collect about 0.5B tokens"),
        ("continued_pretrain", {}, "not answered", "answer raw_text"),
    ],
)
def test_too_little_to_learn_from_is_told_with_what_to_collect(
    approach: str, data: dict[str, Any], has: str, fix: str
) -> None:
    blocker = short_of({"model_kind": "generative", "data": data}, approach, "data")
    assert blocker.has == has
    assert fix.replace("0.5B", "500M") in blocker.nearest_fix


def test_text_for_a_covered_language_must_be_more_than_for_a_new_one_to_be_worth_it() -> None:
    fixes = [
        short_of({"language_novelty": novelty}, "continued_pretrain", "data").nearest_fix
        for novelty in ("covered", "unseen")
    ]
    assert "3B tokens" in fixes[0]
    assert "500M tokens" in fixes[1]


@pytest.mark.parametrize(
    ("kind", "tokens", "blocked"),
    [
        ("encoder", "1M tokens", True),
        ("encoder", "0.1B tokens", False),
        ("generative", "1M tokens", True),
        ("generative", "20M tokens", False),
        ("seq2seq", "0.2B tokens", False),
    ],
)
def test_a_model_of_ones_own_is_blocked_only_where_none_is_known_to_have_learned(
    kind: str, tokens: str, blocked: bool
) -> None:
    found = options({"model_kind": kind, "data": {"raw_text": tokens}})["pretrain"].blockers
    assert ("data" in {one.what for one in found}) == blocked


def test_the_least_text_for_a_decoder_is_what_fills_the_smallest_shape() -> None:
    smallest = min(shape.params for shape in CATALOG.shapes.all())
    row = BOOK.first("data_needs", {"approach": "pretrain", "model_kind": "generative"})
    assert row
    least = parse_data_size(row.outcome["at_least"]).tokens
    assert least == pytest.approx(smallest * TOKENS_PER_PARAMETER / MOST_PASSES, rel=0.02)


def test_every_need_of_data_has_its_source_and_aims_above_its_floor() -> None:
    for row in BOOK.choices("data_needs"):
        assert row.outcome["source"]
        assert row.outcome["date"]
        least, aim = (row.outcome[name].split()[0] for name in ("at_least", "worth_from"))
        if row.outcome["worth_from"].endswith("tokens"):
            least, aim = (f"{one} tokens" for one in (least, aim))
            assert parse_data_size(aim).tokens >= parse_data_size(least).tokens
        else:
            assert int(aim) >= int(least)


HURRIED = {
    "language": "English",
    "data": {"labelled_examples": 1_000_000},
    "gpu_budget": {"gpu": "rtx-4090", "gpus": 1, "deadline": "5 hours", "budget_usd": 1},
}


def test_what_takes_too_long_names_days_gpus_and_the_part_that_can_be_trained_on() -> None:
    fix = short_of(HURRIED, "full_finetune", "time").nearest_fix
    assert "allow " in fix
    assert "× rtx-4090" in fix
    assert "of the examples" in fix


def test_what_costs_too_much_names_the_money() -> None:
    assert short_of(HURRIED, "lora", "money").nearest_fix.startswith("allow $")


def test_what_does_not_fit_names_a_card_that_holds_it() -> None:
    answers = {"data": {"raw_text": "1T tokens"}, "gpu_budget": {"gpu": "t4", "gpus": 1}}
    blocker = short_of(answers, "pretrain", "memory")
    assert blocker.has == "16 GB on each t4"
    needed = float(blocker.needs.split()[0])
    assert CATALOG.gpu(blocker.nearest_fix.rpartition(" ")[2]).memory_gb > needed > 16


@pytest.fixture
def forbidding(tmp_path: Path) -> RuleBook:
    """Return the tables with one candidate, whose licence forbids commercial use."""
    shutil.copytree(shipped("rules"), tmp_path / "rules")
    path = tmp_path / "rules" / "choices" / "base_models.csv"
    header = path.read_text().splitlines()[0].split(",")
    cells = dict.fromkeys(header, "") | {
        "id": "only",
        "candidates": "Qwen/Qwen2.5-3B",
        "why": "the only one",
        "source": "a test",
        "date": "2026-11",
    }
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerow(cells)
    return RuleBook(tmp_path / "rules")


def test_where_every_licence_forbids_the_use_another_model_of_the_kind_is_named(
    forbidding: RuleBook,
) -> None:
    data = {"data": {"labelled_examples": 50_000}, "model_kind": "generative"}
    option = options(data | {"commercial_use": True}, rules=forbidding)["lora"]
    (blocker,) = [one for one in option.blockers if one.what == "licence"]
    other = CATALOG.model(blocker.nearest_fix.rpartition(" ")[2])
    assert (other.commercial_use, other.kind) == ("yes", "decoder")
    free = options(data | {"commercial_use": False}, rules=forbidding)["lora"]
    assert "licence" not in {one.what for one in free.blockers}


def test_reading_the_same_text_too_often_is_told(tmp_path: Path) -> None:
    shutil.copytree(shipped("profiles"), tmp_path / "profiles")
    path = tmp_path / "profiles" / "recipes.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["epochs"] = row["few_epochs"] = "40"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    often = options({"data": {"raw_text": "1 GB"}}, Catalog(tmp_path / "profiles"))
    assert "data" in {one.what for one in often["continued_pretrain"].blockers}
    assert "data" not in {
        one.what for one in options({"data": {"raw_text": "1 GB"}})["continued_pretrain"].blockers
    }


LADDERS: dict[str, list[Any]] = {
    "raw_text": ["0 GB", "1 MB", "20 MB", "100 MB", "2 GB", "3B tokens", "1T tokens"],
    "labelled_examples": [0, 10, 20, 150, 8000, 10**6],
    "deadline": ["1 hour", "1 day", "1 week", "1 month", "1 year"],
    "budget_usd": [0, 50, 500, 5000, 10**7],
}
GROUP = {"raw_text": "data", "labelled_examples": "data"}
CHOICES = {
    question.name: st.sampled_from(question.choices)
    for question in questions()
    if question.choices and question.group is None
}
ANSWER_SETS = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            {}, optional={name: st.sampled_from(LADDERS[name]) for name in GROUP}
        ),
        "gpu_budget": st.fixed_dictionaries(
            {},
            optional={
                "gpu": st.sampled_from(["rtx-4090", "t4", "h100-sxm5-80gb"]),
                "gpus": st.sampled_from([1, 2, 8, 64]),
                "deadline": st.sampled_from(LADDERS["deadline"]),
                "budget_usd": st.sampled_from(LADDERS["budget_usd"]),
                "provider": st.sampled_from(["owned", "runpod"]),
            },
        ),
    },
    optional={
        name: values if "true" not in str(values) else st.booleans()
        for name, values in CHOICES.items()
    }
    | {"language": st.sampled_from(["English", "de", "Northern Sami", "Oŧari", "Python, Thai"])},
)


@settings(max_examples=60, deadline=None)
@given(ANSWER_SETS)
def test_whatever_stands_in_the_way_is_told_in_full(answers: dict[str, Any]) -> None:
    for option in options(answers).values():
        assert all(all(blocker) for blocker in option.blockers)
        assert all(option.base_reasons)
        assert all(option.alternatives)


@settings(max_examples=60, deadline=None)
@given(ANSWER_SETS, st.sampled_from(["deadline", "budget_usd"]), st.data())
def test_more_money_or_time_never_stands_in_the_way(
    answers: dict[str, Any], limit: str, data: st.DataObject
) -> None:
    low, high = sorted(data.draw(st.tuples(*2 * [st.integers(0, len(LADDERS[limit]) - 1)])))
    less, more = (
        options(answers | {"gpu_budget": answers["gpu_budget"] | {limit: LADDERS[limit][rung]}})
        for rung in (low, high)
    )
    assert all(more[name].feasible for name, option in less.items() if option.feasible)


@settings(max_examples=60, deadline=None)
@given(ANSWER_SETS, st.sampled_from(["raw_text", "labelled_examples"]), st.data())
def test_more_data_is_never_too_little(
    answers: dict[str, Any], kind: str, data: st.DataObject
) -> None:
    low, high = sorted(data.draw(st.tuples(*2 * [st.integers(0, len(LADDERS[kind]) - 1)])))
    less, more = (
        options(answers | {"data": answers["data"] | {kind: LADDERS[kind][rung]}})
        for rung in (low, high)
    )
    for name, option in more.items():
        if "data" in {one.what for one in option.blockers}:
            assert "data" in {one.what for one in less[name].blockers}
