"""The settings of a stage, written down from a draft and its recipe, each with its source."""

from collections.abc import Mapping
from typing import Any

from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation.training_job import TrainingJob
from advisor.job.bounds import HEADS, LORA_METHODS
from advisor.job.settings import Settings, SettingsError
from advisor.options.recipes import chosen_alpha
from advisor.planning.draft import Draft


def settings_of(draft: Draft) -> Settings:
    """Return the settings; `usage` with every fault where the lead's choices cannot be."""
    choices, recipe = draft.order.choices, draft.recipe
    rate = choices.learning_rate or draft.defaults.number("learning_rate")
    return checked(
        {
            **identity_of(draft),
            **_sizes(draft),
            **_method_parts(draft),
            **rhythm_of(draft),
            "learning_rate": rate,
            "schedule": draft.defaults.of("schedule").value,
            "warmup_share": draft.defaults.number("warmup_share"),
            "weight_decay": draft.defaults.number("weight_decay"),
            "max_grad_norm": recipe.max_grad_norm,
            "optimizer": _optimizer(draft.job),
            "replay_share": draft.replay.value,
            "merge": bool(choices.merge),
        }
    )


def checked(raw: Mapping[str, Any]) -> Settings:
    """Return the settings; `usage` with every fault where they cannot be."""
    try:
        return Settings.from_dict(raw)
    except SettingsError as error:
        faults = [
            Fault(field=one.field, expected=one.expected, found=one.found) for one in error.faults
        ]
    raise AdvisorError(ErrorName.USAGE, "the settings cannot be used", faults)


def identity_of(draft: Draft) -> dict[str, Any]:
    """Return what the stage is: its base, its objective, its data's peculiarities."""
    order, choices = draft.order, draft.order.choices
    return {
        "approach": draft.approach,
        "method": draft.method,
        "objective": draft.objective,
        "task": order.answers.task or "other",
        "base_model": order.start.base_model,
        "shape": _shape(draft.job) if draft.approach == "pretrain" else None,
        "tokenizer": draft.defaults.of("tokenizer").value,
        "new_tokens": choices.new_tokens or 0,
        "labels": list(order.inputs.labels) if draft.objective in HEADS else [],
        "bad_records": "skip" if choices.skip_bad_records else "stop",
        "group_by": choices.group_by,
        "seed": draft.defaults.count("seed") if choices.seed is None else choices.seed,
    }


def _sizes(draft: Draft) -> dict[str, Any]:
    job = draft.job
    return {
        "seq_len": job.seq_len,
        "micro_batch": job.micro_batch,
        "gradient_accumulation": job.gradient_accumulation,
        "packing": draft.layout.packing,
        "epochs": draft.epochs,
        "max_steps": draft.order.choices.max_steps,
        "precision": "auto",
        "gradient_checkpointing": job.gradient_checkpointing or "no",
        "validation_share": draft.held.value,
    }


def rhythm_of(draft: Draft) -> dict[str, Any]:
    """Return when a run logs, evaluates and saves, and what is asked of it at its end."""
    defaults, steps = draft.defaults, draft.steps
    patience = defaults.find("patience")
    often = draft.order.choices.save_every_steps
    return {
        "log_every_steps": max(1, steps // defaults.count("log_lines")),
        "eval_every_steps": max(1, steps // defaults.count("evaluations")),
        "save_every_steps": often or max(1, steps // defaults.count("checkpoints")),
        "patience": patience.value if patience else None,
        "eval_examples": defaults.count("eval_examples"),
        "shots": defaults.count("shots"),
        "samples": defaults.count("samples"),
    }


def _method_parts(draft: Draft) -> dict[str, Any]:
    """Return what only some methods have; of the others it is null."""
    bottleneck, virtual = (draft.defaults.find(name) for name in ("bottleneck", "virtual_tokens"))
    return {
        "lora": _lora(draft) if draft.method in LORA_METHODS else None,
        "targets": ia3_targets(draft.recipe.lora_targets) if draft.method == "ia3" else None,
        "bottleneck": bottleneck.value if bottleneck else None,
        "virtual_tokens": virtual.value if virtual else None,
        "quantization": "nf4" if draft.method == "qlora" else None,
    }


def _shape(job: TrainingJob) -> dict[str, int]:
    shape = job.shape
    return {
        "n_layers": shape.n_layers,
        "hidden": shape.hidden,
        "n_heads": shape.n_heads,
        "n_kv_heads": shape.n_kv_heads,
        "intermediate": shape.intermediate,
        "vocab": shape.vocab,
    }


def _optimizer(job: TrainingJob) -> str:
    """Return what the job's trainer calls it; paging is the 8-bit library's own matter."""
    return {"adamw_paged": "adamw_8bit", "adamw_8bit": "adamw_8bit", "adafactor": "adafactor"}.get(
        job.optimizer, "adamw"
    )


def _lora(draft: Draft) -> dict[str, Any]:
    recipe, rank = draft.recipe, draft.job.lora_rank
    return {
        "rank": rank,
        "alpha": chosen_alpha(recipe, rank),
        "dropout": recipe.lora_dropout or 0.0,
        "targets": recipe.lora_targets or "all-linear",
    }


def ia3_targets(written: str) -> str | list[str]:
    """Return the targets of a recipe as the job reads them."""
    return written if written == "all-linear" else written.split(",")
