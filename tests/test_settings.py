"""Hyper-parameters: what the evidence says, said alike by recommendation, estimate and plan."""

import csv
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.answers import read_answers
from advisor.catalog import Catalog, Recipe, load_catalog
from advisor.estimation.shape import shape_of_model
from advisor.options import Option, Project, build_options, project_of
from advisor.options.recipes import chosen_alpha, chosen_epochs, chosen_rank, recipe_of
from advisor.options.settings import Setting, cautions, settings_of
from advisor.places import shipped
from advisor.tables import RuleBook

CATALOG = load_catalog()
BOOK = RuleBook()
LORA = ("lora", "qlora", "rslora", "dora")
BASES = ("HuggingFaceTB/SmolLM2-135M", "Qwen/Qwen3-8B-Base", "meta-llama/Llama-3.1-70B")
CPT = {"approach": "continued_pretrain"}


def project(answers: dict[str, object], catalog: Catalog = CATALOG) -> Project:
    return project_of(read_answers(answers), catalog=catalog, rules=BOOK, machine=None)


def option_of(about: Project, approach: str) -> Option:
    return next(one for one in build_options(about) if one.approach == approach)


@cache
def settings(approach: str, **data: object) -> dict[str, Setting]:
    """Return the settings of one approach on one H100 with this data."""
    answers = {
        "language_novelty": data.pop("novelty", "covered"),
        "keep_general_ability": data.pop("keep", None),
        "vocabulary_control": data.pop("vocabulary", None),
        "data": data,
        "gpu_budget": {"gpu": "h100-sxm5-80gb", "gpus": 8},
    }
    about = project(answers)
    found = settings_of(option_of(about, approach), about)
    return {one.name: one for one in found}


def rank_for(model: str, tokens: float | None, method: str = "lora") -> int:
    shape = shape_of_model(CATALOG.model(model))
    return chosen_rank(recipe_of(CATALOG, "lora", method, params=shape.params), shape, tokens)


@pytest.mark.parametrize(
    ("model", "tokens", "rank"),
    [
        # Tinker documentation, LoRA primer: 83.9 million parameters at rank 32.
        ("meta-llama/Llama-3.1-8B", 83e6, 32),
        ("meta-llama/Llama-3.1-8B", 85e6, 64),
        # arXiv 2405.09673: rank 16 was too small for 73 million tokens of code.
        ("meta-llama/Llama-2-7b-hf", 73e6, 32),
        ("meta-llama/Llama-3.1-8B", 1e5, 16),
        ("meta-llama/Llama-3.1-8B", None, 16),
        ("meta-llama/Llama-3.1-8B", 1e12, 256),
    ],
)
def test_the_rank_is_the_least_whose_parameters_hold_the_completions(
    model: str, tokens: float | None, rank: int
) -> None:
    assert rank_for(model, tokens) == rank


@given(
    model=st.sampled_from(BASES),
    method=st.sampled_from(LORA),
    fewer=st.floats(1, 1e13),
    more=st.floats(1, 1e13),
)
def test_the_rank_is_a_power_of_two_and_never_falls_as_completions_grow(
    model: str, method: str, fewer: float, more: float
) -> None:
    fewer, more = sorted((fewer, more))
    low, high = rank_for(model, fewer, method), rank_for(model, more, method)
    assert 16 <= low <= high <= 256
    assert low & (low - 1) == high & (high - 1) == 0


@pytest.mark.parametrize("method", LORA)
@pytest.mark.parametrize("params", [5e6, 1e8, 1e9, 8e9, 14e9, 70e9])
def test_loras_rate_is_about_ten_times_that_of_full_fine_tuning(method: str, params: float) -> None:
    # LoRA Without Regret: 9.8 times, about 15 times in short runs.
    full = CATALOG.recipe("full_finetune", "full", params=params).learning_rate
    assert 5 <= CATALOG.recipe("lora", method, params=params).learning_rate / full <= 20


@pytest.mark.parametrize(
    ("approach", "method", "params", "rate"),
    [
        # arXiv 2305.14314, table 9; Stanford Alpaca; arXiv 2307.09288; arXiv 2304.01373.
        ("lora", "qlora", 7e9, 2e-4),
        ("lora", "qlora", 33e9, 1e-4),
        ("full_finetune", "full", 7e9, 2e-5),
        ("pretrain", "full", 7e9, 3e-4),
        ("pretrain", "full", 7e7, 1e-3),
    ],
)
def test_the_rates_are_those_of_published_runs(
    approach: str, method: str, params: float, rate: float
) -> None:
    assert CATALOG.recipe(approach, method, params=params).learning_rate == rate


def describe(row: Recipe) -> str:
    return f"{row.approach} {row.method} {row.params_up_to_b}"


def test_every_recipe_lies_within_its_own_bounds() -> None:
    for row in CATALOG.recipes:
        assert row.learning_rate_low < row.learning_rate < row.learning_rate_high, describe(row)
        assert row.epochs <= (row.few_epochs or row.epochs) <= row.epochs_most, describe(row)
        assert (row.lora_rank or 0) <= (row.lora_rank_most or 0), describe(row)
        assert row.range_source, describe(row)
        assert row.epochs_source, describe(row)


@pytest.mark.parametrize(
    ("approach", "method", "amount", "epochs"),
    [
        # arXiv 2305.16264: four passes over scarce text are worth as much as fresh text.
        ("continued_pretrain", "full", 0.5e9, 4),
        ("continued_pretrain", "full", 5e9, 1),
        # arXiv 2405.09673: full fine-tuning peaks at 2 to 4 epochs, LoRA later.
        ("full_finetune", "full", 8000, 3),
        ("full_finetune", "full", 1_000_000, 2),
        ("lora", "lora", 500, 5),
        ("lora", "lora", 8000, 3),
        ("lora", "lora", None, 3),
    ],
)
def test_scarce_data_are_read_more_often(
    approach: str, method: str, amount: float | None, epochs: int
) -> None:
    assert chosen_epochs(CATALOG.recipe(approach, method, params=8e9), amount) == epochs


@pytest.mark.parametrize(
    ("method", "rank", "alpha"),
    # arXiv 2405.09673: twice the rank. arXiv 2312.03732: rsLoRA's scale needs no change.
    [("lora", 16, 32), ("lora", 256, 512), ("rslora", 64, 64), ("rslora", 256, 64)],
)
def test_alpha_follows_the_rank_but_with_rslora(method: str, rank: int, alpha: float) -> None:
    assert chosen_alpha(CATALOG.recipe("lora", method, params=8e9), rank) == alpha


def test_the_settings_are_those_that_were_priced() -> None:
    about = project({"data": {"labelled_examples": 500_000}, "gpu_budget": {"gpu": "l40s"}})
    option = option_of(about, "lora")
    found = {one.name: one.value for one in settings_of(option, about)}
    assert option.job
    assert option.job.lora_rank > 16
    assert found["lora_rank"] == option.job.lora_rank == option.job.request.lora_rank
    assert found["epochs"] == option.job.request.epochs
    assert found["batch_tokens"] == option.job.step_tokens


def test_more_labels_never_ask_for_a_lower_rank() -> None:
    counts = (100, 10_000, 100_000, 1_000_000)
    ranks = [settings("lora", labelled_examples=count)["lora_rank"].value for count in counts]
    assert ranks == sorted(ranks, key=float)
    assert ranks[0] == 16
    assert ranks[-1] == 256


def test_scarce_raw_text_is_priced_for_as_many_passes_as_are_advised() -> None:
    about = project({"data": {"raw_text": "0.6B tokens"}, "gpu_budget": {"gpu": "l40s"}})
    option = option_of(about, "continued_pretrain")
    assert option.job
    assert option.job.tokens == 4 * 0.6e9
    epochs = next(one for one in settings_of(option, about) if one.name == "epochs")
    assert epochs.value == 4


EVERYTHING = {
    "pretrain": {"raw_text": "2B tokens"},
    "continued_pretrain": {"raw_text": "2B tokens"},
    "full_finetune": {"labelled_examples": 5000},
    "lora": {"labelled_examples": 5000},
}


@pytest.mark.parametrize("approach", EVERYTHING)
def test_every_setting_says_why_and_where_it_is_from(approach: str) -> None:
    found = settings(approach, **EVERYTHING[approach])
    expected = {"learning_rate", "epochs", "batch_tokens", "schedule", "warmup_share"}
    if approach == "lora":
        expected |= {"lora_rank", "lora_alpha", "lora_targets"}
    if approach == "continued_pretrain":
        expected |= {"replay_share", "vocabulary_extension"}
    assert expected <= set(found)
    assert all(one.why and one.source and "{" not in one.why for one in found.values())


def test_what_no_job_carries_out_is_marked_as_advice() -> None:
    found = settings("continued_pretrain", raw_text="2B tokens")
    advice = {name for name, one in found.items() if not one.applied}
    assert advice == {"replay_share", "vocabulary_extension"}
    assert all(one.applied for one in settings("lora", labelled_examples=5000).values())


@pytest.mark.parametrize(
    ("answers", "share", "extends"),
    [
        # Meditron 1 %; Ibrahim et al. 2024 5 % for a weak shift, 25 % for another language.
        ({"novelty": "covered", "keep": False}, 0.01, False),
        ({"novelty": "covered"}, 0.05, False),
        ({"novelty": "related", "keep": True}, 0.25, False),
        ({"novelty": "unseen", "keep": False}, 0.25, True),
        ({"novelty": "poorly_covered"}, 0.25, True),
        ({"novelty": "covered", "vocabulary": True}, 0.05, True),
    ],
)
def test_the_farther_the_text_the_more_is_replayed_and_the_vocabulary_extended(
    answers: dict[str, Any], share: float, extends: bool
) -> None:
    found = settings("continued_pretrain", raw_text="2B tokens", **answers)
    assert found["replay_share"].value == share
    assert found["vocabulary_extension"].value is extends


def test_what_is_not_trained_has_no_settings() -> None:
    about = project({"data": {"labelled_examples": 0}})
    for approach in ("no_training", "lora"):
        assert settings_of(option_of(about, approach), about) == ()


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({"method": "qlora"}, "FinGPT"),
        ({"approach": "lora", "latency_ms": 500}, "smaller base"),
        (
            {"approach": "lora", "task": "question_answering", "labelled_examples": 5000},
            "over-fits early",
        ),
        ({**CPT, "model_kind": "generative", "labelled_examples": None}, "AdaptLLM"),
        ({**CPT, "model_kind": "generative", "labelled_examples": 50}, "AdaptLLM"),
        ({**CPT, "domain": "medical"}, "contested"),
        ({"approach": "pretrain", "vocabulary_control": False}, "tokenizer"),
        ({"approach": "pretrain", "deadline": 2000.0}, "better base"),
        ({"approach": "lora", "facts_change": True}, "look them up"),
        ({"method": "prefix"}, "no new facts"),
        ({"method": "ia3"}, "no new facts"),
        ({"method": "dora"}, "DoRA"),
    ],
)
def test_what_has_cost_others_is_told_where_it_applies(facts: dict[str, Any], word: str) -> None:
    assert any(word in one for one in cautions(BOOK, facts))


@pytest.mark.parametrize(
    "facts",
    [
        {"approach": "lora", "method": "lora"},
        {**CPT, "method": "full", "model_kind": "generative", "labelled_examples": 5000},
        {"approach": "no_training", "method": "rag", "facts_change": True, "latency_ms": 500},
    ],
)
def test_nothing_is_warned_of_where_nothing_applies(facts: dict[str, Any]) -> None:
    assert cautions(BOOK, facts) == ()


@pytest.mark.parametrize("table", ["settings", "warnings", "methods", "stages"])
def test_every_row_has_a_source_and_a_date(table: str) -> None:
    path = shipped("rules") / "choices" / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        assert [
            row["id"] for row in csv.DictReader(file) if not (row["source"] and row["date"])
        ] == []


@pytest.mark.parametrize(
    ("facts", "methods"),
    [
        # arXiv 1902.00751: one frozen encoder, an adapter for each variant.
        ({"approach": "lora", "model_kind": "encoder", "variants": 5}, "adapter lora"),
        # arXiv 2312.03732: at a high rank LoRA's own scale slows it.
        (
            {"approach": "lora", "model_kind": "generative", "labelled_examples": 500_000},
            "rslora qlora",
        ),
        ({"approach": "lora", "model_kind": "generative"}, "lora qlora"),
        (CPT, "full lora"),
        ({"approach": "no_training", "facts_change": True}, "rag"),
    ],
)
def test_the_method_follows_from_model_kind_and_labels(facts: dict[str, Any], methods: str) -> None:
    row = BOOK.first("methods", facts)
    assert row
    assert row.outcome["methods"] == methods


@pytest.mark.parametrize(
    ("facts", "stages"),
    [
        ({**CPT, "labelled_examples": 5000}, "continued_pretrain lora"),
        (
            {**CPT, "labelled_examples": 5000, "facts_change": True, "model_kind": "generative"},
            "continued_pretrain lora no_training",
        ),
        (
            {**CPT, "labelled_examples": 5000, "model_kind": "encoder"},
            "continued_pretrain full_finetune",
        ),
        ({**CPT, "labelled_examples": 500_000}, "continued_pretrain full_finetune"),
        ({"approach": "pretrain", "labelled_examples": 5000}, "pretrain full_finetune"),
        ({"approach": "lora", "facts_change": True}, "lora no_training"),
        ({"approach": "lora", "labelled_examples": 5000}, None),
        (CPT, None),
    ],
)
def test_stages_stand_in_the_order_of_training(facts: dict[str, Any], stages: str | None) -> None:
    row = BOOK.first("stages", facts)
    assert (row.outcome["stages"] if row else None) == stages
