"""A plan: the settings that suit its data, and what speaks against the lead's own."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from advisor.catalog import load_catalog
from advisor.catalog.reading import Table
from advisor.errors import AdvisorError, ErrorName
from advisor.estimation.documents import EstimateRequest
from advisor.estimation.memory import peak_memory
from advisor.estimation.training_job import ADAPTER_WIDTH, VIRTUAL_TOKENS
from advisor.estimation.work import operations
from advisor.job.bounds import METHODS_OF
from advisor.job.settings import Settings
from advisor.machine import Machine
from advisor.options.layout import complete_request
from advisor.options.recipes import chosen_alpha
from advisor.planning import LeadChoices, Plan, Workshop, make_plan
from advisor.planning.defaults import PlanSetting
from advisor.planning.sources import flattened
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


BASES = {
    "decoder": BASE,
    "encoder": "answerdotai/ModernBERT-base",
    "seq2seq": "google/flan-t5-base",
    "rehearsal": "rehearsal",
}
ROWS = {
    "text": [{"text": "The tenant pays the rent on the first day of the month. " * 20}] * 50,
    "pairs": [PAIR] * 300,
    "messages": [
        {"messages": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b."}]}
    ]
    * 300,
    "labels": [{"text": f"note {number}", "label": "abc"[number % 3]} for number in range(300)],
    "tags": [{"tokens": ["Ann", "left"], "tags": ["B-PER", "O"]}] * 300,
}
ADDING = ("lora", "rslora", "dora", "qlora", "ia3", "adapter")
WITH_TOKENS = ("prefix", "prompt", "p_tuning")


def rows(folder: Path, name: str) -> Path:
    """Write the rows of a form and return their file."""
    path = folder / f"{name}.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS[name]))
    return path


def plan_of(
    base: str, data: list[Path], answers: dict[str, object] | None = None, **chosen: Any
) -> Plan:
    """Return the plan for a kind of base; an approach `advised` is left to the advice."""
    kind = {"encoder": "encoder", "seq2seq": "seq2seq"}.get(base, "generative")
    advice = recommend(
        {**ANSWERS, "model_kind": kind, **(answers or {})}, MACHINE, catalog=CATALOG, explore=False
    )
    named = None if chosen.get("approach") == "pretrain" else BASES[base]
    choices = LeadChoices(**{"base_model": named, **chosen})
    workshop = Workshop(catalog=CATALOG, machine=MACHINE)
    return make_plan(advice, data, choices=choices, workshop=workshop, run_id="a-run")


# Base, form of the data, approach, methods, and what is learned then.
TRAINED = [
    ("decoder", "text", "pretrain", ("full",), "clm"),
    ("encoder", "text", "pretrain", ("full",), "mlm"),
    ("seq2seq", "text", "pretrain", ("full",), "seq2seq"),
    ("decoder", "text", "continued_pretrain", ("full", *ADDING, *WITH_TOKENS), "clm"),
    ("encoder", "text", "continued_pretrain", ("full", *ADDING, "prefix"), "mlm"),
    ("seq2seq", "text", "continued_pretrain", ("full", *ADDING, *WITH_TOKENS), "seq2seq"),
    ("decoder", "pairs", "full_finetune", ("full",), "clm"),
    ("decoder", "messages", "lora", (*ADDING, *WITH_TOKENS), "clm"),
    ("seq2seq", "pairs", "lora", (*ADDING, *WITH_TOKENS), "seq2seq"),
    ("encoder", "labels", "full_finetune", ("full", "frozen"), "classification"),
    ("encoder", "labels", "lora", (*ADDING, *WITH_TOKENS), "classification"),
    ("encoder", "tags", "lora", (*ADDING, "prefix"), "extraction"),
    ("decoder", "labels", "lora", (*ADDING, "prefix"), "classification"),
    ("seq2seq", "tags", "full_finetune", ("full", "frozen"), "extraction"),
    ("rehearsal", "pairs", "lora", (*ADDING, *WITH_TOKENS), "clm"),
    ("rehearsal", "labels", "full_finetune", ("full", "frozen"), "classification"),
    ("rehearsal", "pairs", "no_training", ("zero_shot", "few_shot"), "clm"),
]
CELLS = [
    (base, form, approach, method, objective)
    for base, form, approach, methods, objective in TRAINED
    for method in methods
]
LABELS = {"labels": ["a", "b", "c"], "tags": ["B-PER", "O"]}


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Plan]:
    """Return the plan of every cell."""
    folder = tmp_path_factory.mktemp("forms")
    files = {form: rows(folder, form) for form in ROWS}
    return {
        cell: plan_of(cell[0], [files[cell[1]]], approach=cell[2], method=cell[3]) for cell in CELLS
    }


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_every_method_is_planned_for_what_its_base_and_its_data_give(
    plans: dict[tuple[str, ...], Plan], cell: tuple[str, ...]
) -> None:
    plan, (_, form, approach, method, objective) = plans[cell], cell
    settings = Settings.from_dict(plan.settings)
    assert (settings.approach, settings.method) == (approach, method)
    assert settings.objective == plan.objective == objective
    assert list(settings.labels) == LABELS.get(form, [])
    # Only rows of text are joined, and none that virtual tokens precede.
    joined = objective in ("clm", "mlm") and method not in WITH_TOKENS
    assert settings.packing == (joined and settings.trains)
    assert settings.threads is None
    assert plan.sources


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_every_value_of_a_plan_says_where_it_is_from(
    plans: dict[tuple[str, ...], Plan], cell: tuple[str, ...]
) -> None:
    plan = plans[cell]
    held = {name: value for name, value in flattened(plan.settings).items() if value is not None}
    named = SOURCED_ALWAYS if plan.steps else SOURCED_UNTRAINED
    assert {name for name in held if name in named and not plan.sources.get(name)} == set()
    assert set(plan.sources) <= set(held)


SOURCED_UNTRAINED = {"seq_len", "eval_examples", "shots", "samples", "validation_share", "seed"}
SOURCED_ALWAYS = SOURCED_UNTRAINED | {
    *("learning_rate", "schedule", "warmup_share", "weight_decay", "max_grad_norm", "optimizer"),
    *("epochs", "micro_batch", "gradient_accumulation", "packing", "replay_share", "patience"),
    *("lora.rank", "lora.alpha", "lora.dropout", "lora.targets", "targets", "bottleneck"),
    *("virtual_tokens", "eval_every_steps", "log_every_steps", "save_every_steps", "tokenizer"),
}


def test_what_the_lead_chose_is_said_to_be_his_choice(pairs: Path) -> None:
    plan = planned(pairs, "lora", learning_rate=1e-4, lora_rank=32, seq_len=512, seed=3)
    for name in ("learning_rate", "lora.rank", "seq_len", "seed"):
        assert plan.sources[name] == "your choice"
    assert "your choice" not in plan.sources["epochs"]


def test_the_rank_says_which_tokens_it_covers(pairs: Path) -> None:
    plan = planned(pairs, "lora")
    assert plan.sources["lora.rank"].startswith("least rank whose parameters")
    assert "completion tokens" in plan.sources["lora.rank"]


def test_a_run_is_evaluated_about_ten_times_and_gives_up_on_over_fitting(pairs: Path) -> None:
    plan = planned(pairs, "lora")
    assert 8 <= plan.steps / plan.settings["eval_every_steps"] <= 20
    assert plan.settings["patience"] == 3
    assert planned(pairs, "continued_pretrain").settings["patience"] is None


def test_little_data_takes_smaller_steps_so_that_there_are_enough_of_them(tmp_path: Path) -> None:
    few = plan_of("rehearsal", [rows(tmp_path, "text")], approach="continued_pretrain")
    assert few.steps >= 90
    assert "fewer than 100" in few.sources["gradient_accumulation"]


@pytest.mark.parametrize(
    ("method", "approach"),
    [("ia3", "lora"), ("full", "full_finetune"), ("few_shot", "no_training"), ("rslora", "lora")],
)
def test_a_method_without_an_approach_leads_to_its_own(
    pairs: Path, method: str, approach: str
) -> None:
    assert plan_of("decoder", [pairs], method=method).approach == approach


IMPOSSIBLE = {
    "completions for an encoder": ("encoder", "pairs", "lora", {}, "an encoder writes no"),
    "labels to pretrain on": ("decoder", "labels", "pretrain", {}, "plain text for pretrain"),
    "labels to read on": ("decoder", "labels", "continued_pretrain", {}, "plain text for"),
    "labels without training": ("decoder", "labels", "no_training", {}, "no head"),
    "an encoder that answers": ("encoder", "text", "no_training", {}, "a base that writes"),
    "a prompt for a head": (
        *("decoder", "labels", "lora", {"method": "prompt"}),
        "another method for classification",
    ),
    "masked words on the rehearsal base": (
        *("encoder", "text", "lora", {"base_model": "rehearsal"}),
        "an encoder, to learn mlm",
    ),
}


@pytest.mark.parametrize(
    ("base", "form", "approach", "chosen", "words"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys()
)
def test_what_cannot_be_trained_is_refused_in_one_line_with_what_to_do(
    tmp_path: Path, base: str, form: str, approach: str, chosen: dict[str, Any], words: str
) -> None:
    with pytest.raises(AdvisorError) as raised:
        plan_of(base, [rows(tmp_path, form)], approach=approach, **chosen)
    assert raised.value.name is ErrorName.OBJECTIVE_UNSUPPORTED
    (fault,) = raised.value.faults
    assert words in str(fault.expected)
    assert fault.found
    assert fault.hint


def test_a_head_on_the_rehearsal_base_rehearses_an_encoder(tmp_path: Path) -> None:
    plan = plan_of("encoder", [rows(tmp_path, "labels")], approach="lora", base_model="rehearsal")
    assert plan.objective == "classification"


def test_a_frozen_backbone_without_a_head_is_a_setting_that_cannot_be(pairs: Path) -> None:
    with pytest.raises(AdvisorError) as raised:
        plan_of("decoder", [pairs], approach="full_finetune", method="frozen")
    assert raised.value.name is ErrorName.USAGE
    assert "trains a head" in str(raised.value.faults[0].expected)


def test_labels_for_a_generative_model_are_told_to_end_in_a_head(tmp_path: Path) -> None:
    plan = plan_of("decoder", [rows(tmp_path, "labels")], approach="lora")
    assert any("a head for classification" in one for one in plan.warnings)


def test_rows_of_several_forms_with_labels_are_refused(tmp_path: Path) -> None:
    data = [rows(tmp_path, "labels"), rows(tmp_path, "pairs")]
    with pytest.raises(AdvisorError) as raised:
        plan_of("decoder", data, approach="lora")
    assert "rows of one form" in str(raised.value.faults[0].expected)


IN_STAGES: dict[str, object] = {
    "language_novelty": "unseen",
    "data": {"raw_text": "2B tokens", "labelled_examples": 1000},
}


def test_text_and_pairs_are_planned_as_stages_that_build_on_each_other(tmp_path: Path) -> None:
    data = [rows(tmp_path, "text"), rows(tmp_path, "pairs")]
    plan = plan_of("decoder", data, IN_STAGES)
    (first,) = plan.earlier
    assert (first.approach, plan.approach) == ("continued_pretrain", "lora")
    assert first.settings["base_model"] == plan.base_model == BASE
    assert plan.settings["base_model"] == "stages/1/model"
    assert first.settings["merge"]
    assert [file.path for file in first.data.files] == [str(data[0])]
    assert [file.path for file in plan.data.files] == [str(data[1])]
    assert (first.data.form, plan.data.form) == ("text", "prompt_completion")
    for stage in plan.stages:
        assert Settings.from_dict(stage.settings)


def test_the_predictions_of_stages_add_up(tmp_path: Path) -> None:
    data = [rows(tmp_path, "text"), rows(tmp_path, "pairs")]
    plan = plan_of("decoder", data, IN_STAGES)
    (first,) = plan.earlier
    last = plan_of("decoder", data[1:], IN_STAGES, approach="lora")
    assert plan.predictions.wall_hours
    assert first.predictions.wall_hours
    assert last.predictions.wall_hours
    mids = first.predictions.wall_hours.mid + last.predictions.wall_hours.mid
    assert plan.predictions.wall_hours.mid == pytest.approx(mids)
    # Errors of different jobs cancel in part: the interval is narrower than the sum of its parts.
    highs = first.predictions.wall_hours.high + last.predictions.wall_hours.high
    assert mids < plan.predictions.wall_hours.high < highs
    fullest = max(
        one.memory_gb_per_gpu.mid
        for one in (first.predictions, last.predictions)
        if one.memory_gb_per_gpu
    )
    assert plan.predictions.memory_gb_per_gpu
    assert plan.predictions.memory_gb_per_gpu.mid == fullest


@pytest.mark.parametrize(("form", "approach"), [("text", "continued_pretrain"), ("pairs", "lora")])
def test_with_data_for_one_stage_alone_that_one_is_planned_and_told(
    tmp_path: Path, form: str, approach: str
) -> None:
    plan = plan_of("decoder", [rows(tmp_path, form)], IN_STAGES)
    assert plan.approach == approach
    assert plan.earlier == ()
    assert any("is planned alone" in one for one in plan.warnings)


def test_where_the_advice_is_not_to_train_the_base_is_measured(pairs: Path) -> None:
    answers = {
        "prompt_tried": "good_enough",
        "language_novelty": "covered",
        "data": {"labelled_examples": 500},
        "privacy": "on_prem",
    }
    plan = plan_of("rehearsal", [pairs], answers)
    settings = Settings.from_dict(plan.settings)
    assert (settings.approach, settings.method, settings.shots) == ("no_training", "few_shot", 4)
    assert settings.validation_share * plan.data.records == pytest.approx(100)
    assert plan.estimate is None
    assert plan.predictions.wall_hours is plan.predictions.memory_gb_per_gpu is None
    assert any("nothing is trained" in one for one in plan.warnings)


def test_what_little_there_is_is_held_out_but_for_the_examples_that_are_shown(
    tmp_path: Path,
) -> None:
    path = tmp_path / "few.jsonl"
    path.write_text(f"{json.dumps(PAIR)}\n" * 20)
    assert plan_of("rehearsal", [path], approach="no_training").settings["validation_share"] == 0.9


def test_a_rehearsal_has_general_text_to_see_what_is_forgotten(pairs: Path) -> None:
    plan = plan_of("rehearsal", [pairs], approach="lora")
    (general,) = (file for file in plan.data.files if file.role == "general")
    assert general.path == "data/general.jsonl"
    again = plan_of("rehearsal", [pairs], approach="lora")
    assert again.data.files == plan.data.files
    assert plan.data.records == 2000
    given = plan_of("rehearsal", [pairs], approach="lora", general_data=pairs)
    assert [file.path for file in given.data.files if file.role == "general"] == [str(pairs)]


def test_general_text_is_mixed_in_where_a_base_reads_on(tmp_path: Path, text: Path) -> None:
    general = rows(tmp_path, "text")
    alone = planned(text, "continued_pretrain")
    assert alone.settings["replay_share"] == 0.0
    assert any("needs --general-data" in one for one in alone.warnings)
    mixed = planned(text, "continued_pretrain", general_data=general)
    assert mixed.settings["replay_share"] == 0.05
    assert "2403.08763" in mixed.sources["replay_share"]
    assert not any("needs --general-data" in one for one in mixed.warnings)
    assert planned(text, "lora", general_data=general).settings["replay_share"] == 0.0


def test_validation_data_of_ones_own_takes_the_place_of_what_is_held_out(
    tmp_path: Path, pairs: Path
) -> None:
    other = rows(tmp_path, "messages")
    plan = planned(pairs, "lora", validation_data=other, out_of_domain_data=other)
    assert plan.settings["validation_share"] == 0.0
    assert [file.role for file in plan.data.files] == ["train", "validation", "out_of_domain"]


def test_bad_records_are_skipped_only_where_the_lead_says_so(tmp_path: Path) -> None:
    path = rows(tmp_path, "pairs")
    path.write_text(path.read_text() + '{"neither": 1}\n')
    with pytest.raises(AdvisorError) as raised:
        plan_of("decoder", [path], approach="lora")
    assert raised.value.name is ErrorName.DATA_UNUSABLE
    plan = plan_of("decoder", [path], approach="lora", skip_bad_records=True)
    assert plan.settings["bad_records"] == "skip"
    assert plan.data.records == 300
    assert any("1 bad record" in one for one in plan.warnings)


def test_every_fault_of_all_roles_is_told_at_once(tmp_path: Path) -> None:
    choices = {"validation_data": tmp_path / "none.jsonl", "general_data": tmp_path / "no.txt"}
    with pytest.raises(AdvisorError) as raised:
        plan_of("decoder", [tmp_path / "nothing.jsonl"], approach="lora", **choices)
    named = {Path(str(fault.path)).name for fault in raised.value.faults}
    assert named == {"none.jsonl", "no.txt", "nothing.jsonl"}


def test_short_labels_make_padded_rows_no_longer_than_they_need(tmp_path: Path) -> None:
    short = plan_of("encoder", [rows(tmp_path, "labels")], approach="full_finetune")
    assert short.settings["seq_len"] == 64
    assert short.predictions.tokens_per_second_per_gpu
    assert short.estimate
    # What is predicted are tokens that are no padding: no more than are worked on.
    worked = short.estimate.tokens_per_second_per_gpu.mid
    assert 0 < short.predictions.tokens_per_second_per_gpu.mid <= worked


def test_scores_are_priced_where_they_are_made_alone() -> None:
    request = EstimateRequest(model=BASE, method="lora", gpu="h100-sxm5-80gb", seq_len=1024)
    job = complete_request(request, catalog=CATALOG)
    fewer = job._replace(labelled_share=0.1)
    assert peak_memory(fewer).logits < peak_memory(job).logits
    assert operations(fewer).head == pytest.approx(operations(job).head / 10)
    assert operations(fewer).linear == operations(job).linear


def test_the_table_of_plan_settings_is_whole_and_agrees_with_the_estimates() -> None:
    rows_of_table = Table(CATALOG.folder / "plan_settings.csv", PlanSetting).all()
    for row in rows_of_table:
        assert row.why, row.setting
        assert row.source, row.setting
        assert re.fullmatch(r"[0-9]{4}-[0-9]{2}", row.date), row.setting
        assert set(filter(None, row.approach.split("|"))) <= set(METHODS_OF)
        assert row.objective in ("", "clm", "mlm", "seq2seq", "classification", "extraction")
    values = {(row.setting, row.method): row.value for row in rows_of_table}
    assert values["bottleneck", "adapter"] == str(ADAPTER_WIDTH)
    for method in WITH_TOKENS:
        assert values["virtual_tokens", method] == str(VIRTUAL_TOKENS)


def test_little_data_holds_out_enough_to_tell_a_gain(tmp_path: Path) -> None:
    few, some, many = (jsonl(tmp_path / f"{count}.jsonl", count) for count in (100, 320, 5000))
    shares = [planned(path, "lora").settings["validation_share"] for path in (few, some, many)]
    assert shares == [0.2, 0.125, CATALOG.recipe("lora", "lora", params=8e9).validation_share]


def jsonl(path: Path, count: int) -> Path:
    path.write_text(f"{json.dumps(PAIR)}\n" * count)
    return path
