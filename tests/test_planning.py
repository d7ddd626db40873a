"""A plan: the settings that suit its data, and what speaks against the lead's own."""

import json
from pathlib import Path

import pytest

from advisor.catalog import load_catalog
from advisor.machine import Machine
from advisor.options.recipes import chosen_alpha
from advisor.planning import LeadChoices, Plan, Workshop, make_plan
from advisor.recommendation import recommend

CATALOG = load_catalog()
MACHINE = Machine(platform="Linux x86_64", cpu="c", cores=4, ram_gb=16.0, disk_gb=100.0)
ANSWERS = {
    "domain": "legal",
    "language_novelty": "covered",
    "data": {"raw_text": "2B tokens", "labelled_examples": 8000},
    "gpu_budget": {"gpu": "h100-sxm5-80gb", "gpus": 8},
}
PAIR = {"prompt": "Which clause is it? " * 5, "completion": "It is the clause on termination. "}
BASE = "Qwen/Qwen3-8B-Base"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(PAIR) + "\n" for _ in range(2000)))
    return path


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("The tenant pays the rent on the first day of the month.\n\n" * 2000)
    return path


def planned(data: Path, approach: str, **chosen: object) -> Plan:
    """Return the plan of one approach for the lead's choices, on the base of the catalogue."""
    choices = LeadChoices(approach=approach, base_model=BASE, **chosen)  # type: ignore[arg-type]
    advice = recommend(ANSWERS, MACHINE, catalog=CATALOG, explore=False)
    workshop = Workshop(catalog=CATALOG, machine=MACHINE)
    return make_plan(advice, [data], choices=choices, workshop=workshop, run_id="a-run")


def objections(plan: Plan) -> list[str]:
    """Return the warnings that are not about the choice of approach, method or base."""
    return [one for one in plan.warnings if "as you chose" not in one]


OUT_OF_PLACE = {
    "full's rate with LoRA": ("lora", {"learning_rate": 2e-5}, "is one for full fine-tuning"),
    "LoRA's rate with full": ("full_finetune", {"learning_rate": 2e-4}, "is one for LoRA"),
    "pretraining's rate": ("full_finetune", {"learning_rate": 3e-4}, "is one for pretraining"),
    "a rate of nothing": ("lora", {"learning_rate": 0.5}, "is far from the 0.0002 that suits"),
    "a rank without LoRA": ("full_finetune", {"lora_rank": 32}, "trains no LoRA"),
    "a rank past the bound": ("lora", {"lora_rank": 512}, "above 256"),
    "a rank below the usual": ("lora", {"lora_rank": 4}, "is below the 16"),
    "too many epochs": ("lora", {"epochs": 20.0}, "20 epochs over the examples"),
    "a cutting length": ("lora", {"seq_len": 16}, "100% of the examples"),
    "a length past the base": ("lora", {"seq_len": 100_000}, "that the base was made for"),
    "a method that taught nothing": ("lora", {"method": "dora"}, "DoRA helps mostly"),
}


@pytest.mark.parametrize(
    ("approach", "chosen", "words"), OUT_OF_PLACE.values(), ids=OUT_OF_PLACE.keys()
)
def test_a_value_that_belongs_elsewhere_is_taken_and_objected_to(
    pairs: Path, approach: str, chosen: dict[str, object], words: str
) -> None:
    plan = planned(pairs, approach, **chosen)
    assert any(words in one for one in plan.warnings), plan.warnings


SUITING: dict[str, tuple[str, dict[str, object]]] = {
    "the advice itself": ("lora", {}),
    "a rate of LoRA": ("lora", {"learning_rate": 1e-4}),
    "a rate of full": ("full_finetune", {"learning_rate": 1e-5}),
    "a rank within bounds": ("lora", {"lora_rank": 64}),
    "a few epochs": ("lora", {"epochs": 4.0}),
    "a longer row": ("lora", {"seq_len": 2048}),
}


@pytest.mark.parametrize(("approach", "chosen"), SUITING.values(), ids=SUITING.keys())
def test_a_value_that_suits_the_method_is_not_objected_to(
    pairs: Path, approach: str, chosen: dict[str, object]
) -> None:
    assert objections(planned(pairs, approach, **chosen)) == []


def test_more_than_four_passes_over_raw_text_are_objected_to_whatever_is_trained(
    text: Path,
) -> None:
    # Muennighoff et al. 2023, arXiv 2305.16264: up to 4 epochs.
    for approach in ("continued_pretrain", "lora"):
        many, few = (planned(text, approach, epochs=epochs) for epochs in (10.0, 4.0))
        assert any("10 epochs over raw text" in one for one in many.warnings)
        assert not any("epochs over" in one for one in few.warnings)


def test_a_rank_too_small_for_the_completions_is_told_with_the_one_that_suits(
    tmp_path: Path,
) -> None:
    path = tmp_path / "long.jsonl"
    row = json.dumps({"prompt": "Write.", "completion": "a long answer " * 2000})
    path.write_text(f"{row}\n" * 1000)
    plan = planned(path, "lora", lora_rank=2)
    assert any("too few to hold" in one and "16 suits this data" in one for one in plan.warnings)


@pytest.mark.parametrize("approach", ["lora", "full_finetune", "continued_pretrain", "pretrain"])
def test_a_plan_trains_with_what_its_recipe_and_its_data_ask_for(
    pairs: Path, text: Path, approach: str
) -> None:
    raw = approach in ("continued_pretrain", "pretrain")
    plan = planned(text if raw else pairs, approach)
    params = CATALOG.model(BASE).params
    recipe = CATALOG.recipe(approach, plan.method, params=params)
    if approach != "pretrain":
        assert plan.settings["learning_rate"] == recipe.learning_rate
        assert plan.settings["epochs"] == (4 if raw else 3)
    if plan.settings["lora"]:
        rank = plan.settings["lora"]["rank"]
        assert rank == plan.estimate.request.lora_rank
        assert plan.settings["lora"]["alpha"] == chosen_alpha(recipe, rank)


def test_raw_text_is_adapted_at_the_highest_rank(text: Path) -> None:
    plan = planned(text, "continued_pretrain", method="qlora")
    # arXiv 2405.09673: rank 256, alpha twice the rank.
    assert plan.settings["lora"]["rank"] == 256
    assert plan.settings["lora"]["alpha"] == 512
