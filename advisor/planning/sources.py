"""Where each value of a plan is from: the lead, a publication, or how it was derived."""

from collections.abc import Mapping
from typing import Any, Final

from advisor.estimation.shape import lora_params
from advisor.job.bounds import HEADS, LORA_METHODS
from advisor.job.settings import Settings
from advisor.options.project import facts_of
from advisor.planning.defaults import advised, recipe_source
from advisor.planning.draft import Draft, Workshop
from advisor.units import show_count

YOURS = "your choice"
FITS = "the largest power of two, within a step, that surely fits in memory"
ANSWERED = "the answers"
RANK_SOURCE = (
    "Tinker documentation, LoRA primer; Schulman et al. 2025, LoRA Without Regret (2025-09)"
)
PASSES_SOURCE = (
    "Hoffmann et al. 2022, arXiv 2203.15556; Muennighoff et al. 2023, arXiv 2305.16264 (2023-05)"
)
# The setting that a choice of the lead becomes, where its name is another.
SETTING_OF: Final[Mapping[str, str]] = {
    "lora_rank": "lora.rank",
    "skip_bad_records": "bad_records",
    "validation_data": "validation_share",
}
# What is looked up in the plan's own table, or in the recipe, by the name of the setting.
LOOKED_UP: Final[Mapping[str, str]] = {
    "learning_rate": "learning_rate",
    "schedule": "schedule",
    "warmup_share": "warmup_share",
    "weight_decay": "weight_decay",
    "max_grad_norm": "max_grad_norm",
    "optimizer": "optimizer",
    "tokenizer": "tokenizer",
    "bottleneck": "bottleneck",
    "virtual_tokens": "virtual_tokens",
    "patience": "patience",
    "eval_examples": "eval_examples",
    "shots": "shots",
    "samples": "samples",
    "seed": "seed",
    "log_every_steps": "log_lines",
    "eval_every_steps": "evaluations",
    "save_every_steps": "checkpoints",
}
A_RUN = ("log_every_steps", "eval_every_steps", "save_every_steps")


def sources_of(draft: Draft, settings: Settings, workshop: Workshop) -> dict[str, str]:
    """Return where each setting of a stage is from, by its name; a null setting needs none."""
    found = {**_looked_up(draft), **_sizes(draft), **_rest(draft), **_lora(draft, workshop)}
    for name in draft.order.choices.made():
        found[SETTING_OF.get(name, name)] = YOURS
    held = flattened(settings.to_dict())
    return {name: source for name, source in found.items() if held.get(name) is not None}


def flattened(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by name; what LoRA alone has as `lora.rank` and so on."""
    inner = {f"lora.{name}": value for name, value in (raw.get("lora") or {}).items()}
    return {**raw, **inner}


def _looked_up(draft: Draft) -> dict[str, str]:
    told = {}
    for setting, name in LOOKED_UP.items():
        chosen = draft.defaults.find(name)
        if chosen is not None:
            times = f"{chosen.value} a run, " if setting in A_RUN else ""
            told[setting] = f"{times}{chosen.source}"
    return told


def _sizes(draft: Draft) -> dict[str, str]:
    """Return how rows and batches came to their sizes."""
    job = draft.job
    batch = draft.defaults.of("tokens_per_step")
    per_step = f"{job.step_tokens:,.0f} tokens a step on all devices"
    fewer = job.step_tokens < float(batch.value)
    because = draft.defaults.of("least_steps").source if fewer else batch.source
    return {
        "seq_len": _length(draft),
        "micro_batch": FITS,
        "gradient_accumulation": f"{per_step}: {because}",
        "packing": "joined rows waste no padding" if draft.layout.packing else _padded(draft),
        "gradient_checkpointing": "what fits in memory, recomputed only where it must be",
        "epochs": _epochs(draft),
        "validation_share": draft.held.source,
        "replay_share": draft.replay.source,
    }


def _length(draft: Draft) -> str:
    length, recipe = draft.layout.seq_len, draft.recipe
    context = draft.job.shape.max_context
    if length == recipe.seq_len:
        return draft.defaults.of("seq_len").source
    if context is not None and recipe.seq_len > context > length - 1:
        return f"the base reads {context:,} tokens, virtual ones among them"
    return "the least power of two that holds the longest example of the sample"


def _padded(draft: Draft) -> str:
    if draft.objective in ("clm", "mlm"):
        return "virtual tokens stand before each row: rows of like length are padded together"
    return f"rows are not joined for {draft.objective}: those of like length are padded together"


def _epochs(draft: Draft) -> str:
    recipe, records = draft.recipe, draft.order.inputs.train.records
    if draft.approach == "pretrain":
        return f"20 tokens a parameter, in at most 4 passes: {PASSES_SOURCE}"
    amount = draft.tokens if draft.approach == "continued_pretrain" else records
    unit = "tokens" if draft.approach == "continued_pretrain" else "examples"
    few = recipe.few_below is not None and amount < recipe.few_below
    which = f"fewer than {recipe.few_below:,.0f} {unit}" if few else f"{amount:,} {unit}"
    return f"{which}: {recipe.epochs_source} ({recipe.date})"


def _rest(draft: Draft) -> dict[str, str]:
    """Return where the names and switches are from."""
    answers = draft.order.answers
    heads = draft.objective in HEADS
    return {
        "objective": f"the base and its data: {draft.order.inputs.train.form}",
        "task": ANSWERED if answers.task else "not answered",
        "labels": "every label in the data" if heads else "no head to train",
        "precision": "bf16, fp16 or fp32, as the hardware allows",
        "new_tokens": "the base's own vocabulary",
        "targets": draft.defaults.of("lora_targets").source,
        "quantization": "QLoRA, arXiv 2305.14314 (2023-05)",
        "bad_records": "no record is left out unasked",
        "merge": "an adapter stays apart, unless a later stage starts from it",
        "loss_on": "answers are learned, prompts are given: of plain text every token counts",
    }


def _lora(draft: Draft, workshop: Workshop) -> dict[str, str]:
    if draft.method not in LORA_METHODS:
        return {}
    facts = facts_of(draft.order.answers, workshop.rules)
    facts |= {"approach": draft.approach, "method": draft.method}
    told = {"lora.rank": _rank(draft), "lora.dropout": draft.defaults.of("lora_dropout").source}
    for setting in ("alpha", "targets"):
        found = advised(workshop.rules, facts, f"lora_{setting}")
        told[f"lora.{setting}"] = found.source if found else draft.recipe.source
    return told


def _rank(draft: Draft) -> str:
    recipe, rank = draft.recipe, draft.rank
    if recipe.lora_rank == recipe.lora_rank_most:
        return recipe_source(recipe)
    params = show_count(lora_params(draft.job.shape, rank, draft.job.lora_targets))
    tokens = show_count(draft.completion_tokens)
    if lora_params(draft.job.shape, rank, draft.job.lora_targets) < draft.completion_tokens:
        return f"the highest rank tried, as {tokens} completion tokens ask for more: {RANK_SOURCE}"
    return f"least rank whose parameters ({params}) cover {tokens} completion tokens: {RANK_SOURCE}"
