"""The settings of the job, written down from a draft and its recipe."""

from typing import Any

from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation.training_job import TrainingJob
from advisor.job.bounds import LORA_METHODS
from advisor.job.settings import Settings, SettingsError
from advisor.options.recipes import chosen_alpha
from advisor.planning.draft import Draft, LeadChoices

PROGRESS_LINES = 50
CHECKPOINTS_A_RUN = 10
SAMPLES = 3


def settings_of(draft: Draft, choices: LeadChoices) -> Settings:
    """Return the settings; `usage` with every fault where the lead's choices cannot be."""
    recipe, job = draft.recipe, draft.job
    raw: dict[str, Any] = {
        "approach": draft.option.approach,
        "method": draft.method,
        "base_model": draft.base_model,
        "shape": _shape(job) if draft.option.approach == "pretrain" else None,
        "seq_len": job.seq_len,
        "micro_batch": job.micro_batch,
        "gradient_accumulation": job.gradient_accumulation,
        "packing": True,
        "epochs": draft.epochs,
        "max_steps": choices.max_steps,
        "learning_rate": choices.learning_rate or recipe.learning_rate,
        "schedule": recipe.schedule,
        "warmup_share": recipe.warmup_share,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "optimizer": _optimizer(job),
        "precision": "auto",
        "gradient_checkpointing": job.gradient_checkpointing or "no",
        "lora": _lora(draft) if draft.method in LORA_METHODS else None,
        "quantization": "nf4" if draft.method == "qlora" else None,
        "validation_share": recipe.validation_share,
        "seed": 0 if choices.seed is None else choices.seed,
        "log_every_steps": max(1, draft.steps // PROGRESS_LINES),
        "save_every_steps": choices.save_every_steps or max(1, draft.steps // CHECKPOINTS_A_RUN),
        "samples": SAMPLES,
    }
    try:
        return Settings.from_dict(raw)
    except SettingsError as error:
        faults = [
            Fault(field=one.field, expected=one.expected, found=one.found) for one in error.faults
        ]
    raise AdvisorError(ErrorName.USAGE, "the settings cannot be used", faults)


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
