"""A chosen option becomes plan.json: every setting of the job, and what is predicted of it."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from advisor.catalog import Catalog, Recipe
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation import TrainingJob, estimate_job
from advisor.estimation.documents import Estimate, EstimateRequest, Range
from advisor.job.faults import DataError
from advisor.job.records import Survey, read_records, survey
from advisor.job.settings import Settings, SettingsError
from advisor.machine import Machine
from advisor.options.layout import complete_request
from advisor.places import PACKAGE
from advisor.recommendation import OptionEntry, Recommendation
from advisor.units import BYTES_PER_TOKEN

REHEARSAL = "rehearsal"
REHEARSAL_BASE = PACKAGE / "rehearsal" / "base"
LOCAL = "local"
ADAPTERS = ("lora", "rslora", "dora", "qlora")
SAMPLED_RECORDS = 200
PROGRESS_LINES = 50
CHECKPOINTS_A_RUN = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadChoices:
    """What the lead settles himself; each is applied as given, None where it is left open."""

    approach: str | None = None
    method: str | None = None
    base_model: str | None = None
    seed: int | None = None
    max_steps: int | None = None
    epochs: float | None = None
    seq_len: int | None = None
    micro_batch: int | None = None
    learning_rate: float | None = None
    lora_rank: int | None = None
    save_every_steps: int | None = None

    def made(self) -> dict[str, object]:
        """Return the choices that were made, by name."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in chosen.items() if value is not None}


class PlannedFile(BaseModel):
    """One input of the job, as it was when the plan was made."""

    path: str
    bytes: int
    records: int
    sha256: str


class PlannedData(BaseModel):
    """The data of the job; `tokens` of one pass are estimated from a sample."""

    files: tuple[PlannedFile, ...]
    records: int
    form: str
    tokens: int


class Predictions(BaseModel):
    """What the estimate says of this job, kept to be compared with what is measured."""

    wall_hours: Range
    memory_gb_per_gpu: Range
    tokens_per_second_per_gpu: Range
    cost_usd: Range | None
    price_per_gpu_hour_usd: float | None


class Plan(BaseModel):
    """One training job, complete: what is trained, on what, with which settings."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    schema_: Literal["advisor.plan/1"] = Field(default="advisor.plan/1", alias="schema")
    run_id: str
    project: str | None
    approach: str
    method: str
    objective: str
    base_model: str | None
    gpu: str
    gpus: int
    data: PlannedData
    steps: int
    settings: dict[str, Any]
    predictions: Predictions
    estimate: Estimate
    recipe_source: str
    warnings: tuple[str, ...]

    @property
    def is_local(self) -> bool:
        """Tell whether the plan is for this machine, whatever it has."""
        return self.gpu == LOCAL


@dataclass(frozen=True, kw_only=True, slots=True)
class Workshop:
    """What a plan is made with: facts of the catalogue and of this machine."""

    catalog: Catalog
    machine: Machine


def make_plan(
    recommendation: Recommendation,
    data: Sequence[Path],
    *,
    choices: LeadChoices,
    workshop: Workshop,
    run_id: str,
) -> Plan:
    """Return the plan of the recommended option, or of what the lead chose instead.

    Raises:
        AdvisorError: nothing to launch (`infeasible`), `data_unusable`, `model_unusable`, or
            settings that cannot be (`usage`).
    """
    draft = _draft(recommendation, data, choices, workshop)
    estimate = estimate_job(draft.job, workshop.catalog)
    settings = _settings(draft, choices)
    return Plan(
        run_id=run_id,
        project=recommendation.answers.project,
        approach=draft.option.approach,
        method=draft.method,
        objective=draft.job.objective,
        base_model=draft.base_model,
        gpu=draft.gpu,
        gpus=draft.job.gpus,
        data=_planned_data(draft),
        steps=draft.steps,
        settings=settings.to_dict(),
        predictions=_predictions(estimate, draft.job),
        estimate=estimate,
        recipe_source=f"{draft.recipe.source} ({draft.recipe.date})",
        warnings=tuple(_warnings(recommendation, draft, choices)),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    """The job with its data counted, before its settings are written down."""

    option: OptionEntry
    method: str
    base_model: str | None
    gpu: str
    survey: Survey
    tokens: int
    epochs: float
    steps: int
    recipe: Recipe
    job: TrainingJob


def _draft(
    recommendation: Recommendation,
    data: Sequence[Path],
    choices: LeadChoices,
    workshop: Workshop,
) -> _Draft:
    option = _chosen(recommendation, choices)
    base = _base_model(option, choices)
    gpu, gpus = _hardware(recommendation, option, base)
    method = _method(option, choices, gpu, workshop.machine)
    surveyed = _surveyed(data)
    tokens = round(surveyed.characters / _characters_per_token(base, data))
    request = _request(option, method, base, choices)
    sized = complete_request(
        request.model_copy(update={"gpu": gpu, "gpus": gpus, "tokens": max(1, tokens)}),
        catalog=workshop.catalog,
        machine=workshop.machine,
    )
    recipe = workshop.catalog.recipe(option.approach, method, params=sized.shape.params)
    epochs = choices.epochs if choices.epochs is not None else float(recipe.epochs)
    trained = tokens * (1 - recipe.validation_share) * epochs
    steps = choices.max_steps or max(1, math.ceil(trained / sized.step_tokens))
    job = complete_request(
        sized.request.model_copy(update={"tokens": max(1.0, steps * sized.step_tokens)}),
        catalog=workshop.catalog,
        machine=workshop.machine,
    )
    return _Draft(
        option=option,
        method=method,
        base_model=base,
        gpu=gpu,
        survey=surveyed,
        tokens=tokens,
        epochs=epochs,
        steps=steps,
        recipe=recipe,
        job=job,
    )


def _chosen(recommendation: Recommendation, choices: LeadChoices) -> OptionEntry:
    recommended = recommendation.recommended
    wanted = choices.approach or (recommended.approach if recommended else None)
    if wanted is None:
        fixes = [blocker.nearest_fix for one in recommendation.options for blocker in one.blockers]
        fault = Fault(
            field="approach", expected="a feasible option", found="none", hint="; ".join(fixes[:3])
        )
        raise AdvisorError(ErrorName.WILL_NOT_FIT, "nothing is feasible as answered", [fault])
    if wanted == "no_training":
        step = recommended.next_step if recommended else None
        fault = Fault(
            field="approach",
            expected="an approach that trains",
            found="no_training",
            hint=f"{step or 'use a model as it is'}; to train all the same, give --approach",
        )
        raise AdvisorError(ErrorName.NOTHING_TO_TRAIN, "the advice is not to train", [fault])
    return next(one for one in recommendation.options if one.approach == wanted)


def _base_model(option: OptionEntry, choices: LeadChoices) -> str | None:
    """Return the base as the job will load it: a folder's path or a hub id."""
    if option.approach == "pretrain":
        return None
    name = choices.base_model or option.base_model or ""
    if name == REHEARSAL:
        return str(REHEARSAL_BASE)
    if _looks_like_path(name):
        folder = Path(name).expanduser().resolve()
        if not (folder / "config.json").is_file():
            raise _no_model(name, "a folder with config.json", "give the folder of a model")
        return str(folder)
    return name


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or Path(name).is_dir() or name.count("/") != 1


def _no_model(name: str, expected: str, hint: str) -> AdvisorError:
    fault = Fault(field="base_model", expected=expected, found=name, hint=hint)
    return AdvisorError(ErrorName.MODEL_UNUSABLE, "the base model cannot be used", [fault])


def require_base(plan: Plan) -> None:
    """Raise `model_unusable` where the base model is a hub id that this machine does not hold."""
    name = plan.base_model
    if name is None or Path(name).is_dir() or os.environ.get("ADVISOR_ALLOW_DOWNLOAD") == "1":
        return
    cache = os.environ.get("HF_HUB_CACHE") or Path(
        os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface", "hub"
    )
    folder = Path(cache) / f"models--{name.replace('/', '--')}" / "snapshots"
    if not any(folder.glob("*/config.json")):
        raise _no_model(
            name,
            "a model folder, or a hub model in the local cache",
            "download it first, set ADVISOR_ALLOW_DOWNLOAD=1, or give --base-model rehearsal",
        )


def _hardware(
    recommendation: Recommendation, option: OptionEntry, base: str | None
) -> tuple[str, int]:
    """Return the GPU and its count; a rehearsal is always on this machine."""
    budget = recommendation.answers.gpu_budget
    if base == str(REHEARSAL_BASE) or budget.gpu == LOCAL:
        return LOCAL, 1
    if option.estimate is not None and option.estimate.request.gpu is not None:
        return option.estimate.request.gpu, option.estimate.request.gpus or 1
    return budget.gpu or LOCAL, budget.gpus or 1


def _method(option: OptionEntry, choices: LeadChoices, gpu: str, machine: Machine) -> str:
    """Return the method; 4-bit weights need CUDA, elsewhere 16-bit ones take their place."""
    method = choices.method or option.method
    has_cuda = any(one.vendor == "NVIDIA" for one in machine.gpus)
    if method == "qlora" and gpu == LOCAL and not has_cuda:
        return "lora"
    return method


def _surveyed(data: Sequence[Path]) -> Survey:
    try:
        return survey(data)
    except DataError as error:
        faults = [
            Fault(path=one.path, line=one.line, found=one.reason, hint=one.hint)
            for one in error.faults
        ]
    raise AdvisorError(ErrorName.DATA_UNUSABLE, "the data cannot be used", faults)


def _characters_per_token(base: str | None, data: Sequence[Path]) -> float:
    """Count with the base's own tokenizer on a sample where it lies on disk."""
    file = Path(base or "") / "tokenizer.json"
    if base is None or not file.is_file():
        return BYTES_PER_TOKEN
    from tokenizers import Tokenizer  # noqa: PLC0415 - only a plan counts tokens

    tokenizer = Tokenizer.from_file(str(file))
    sample = [record for record, _ in zip(read_records(data), range(SAMPLED_RECORDS), strict=False)]
    texts = [part for record in sample for part in record.content[1:]]
    tokens = sum(len(encoding.ids) for encoding in tokenizer.encode_batch(texts))
    return sum(map(len, texts)) / max(1, tokens)


def _request(
    option: OptionEntry, method: str, base: str | None, choices: LeadChoices
) -> EstimateRequest:
    """Return the option's request for this base, without what belonged to the recommended one."""
    kept = option.estimate.request.model_dump(exclude_none=True) if option.estimate else {}
    for name in ("examples", "epochs", "tokens"):
        kept.pop(name, None)
    if base is not None:
        kept["model"] = base
    kept.setdefault("objective", "clm")
    chosen = {
        "approach": option.approach,
        "method": method,
        "seq_len": choices.seq_len,
        "micro_batch": choices.micro_batch,
        "lora_rank": choices.lora_rank,
    }
    return EstimateRequest.model_validate(
        {**kept, **{name: value for name, value in chosen.items() if value is not None}}
    )


def _settings(draft: _Draft, choices: LeadChoices) -> Settings:
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
        "gradient_checkpointing": job.gradient_checkpointing == "yes",
        "lora": _lora(draft) if draft.method in ADAPTERS else None,
        "quantization": "nf4" if draft.method == "qlora" else None,
        "validation_share": recipe.validation_share,
        "seed": 0 if choices.seed is None else choices.seed,
        "log_every_steps": max(1, draft.steps // PROGRESS_LINES),
        "save_every_steps": choices.save_every_steps or max(1, draft.steps // CHECKPOINTS_A_RUN),
        "samples": 3,
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


def _lora(draft: _Draft) -> dict[str, Any]:
    recipe, rank = draft.recipe, draft.job.lora_rank
    scale = (recipe.lora_alpha or rank) / (recipe.lora_rank or rank)
    return {
        "rank": rank,
        "alpha": rank * scale,
        "dropout": recipe.lora_dropout or 0.0,
        "targets": recipe.lora_targets or "all-linear",
    }


def _planned_data(draft: _Draft) -> PlannedData:
    return PlannedData(
        files=tuple(
            PlannedFile(
                path=str(Path(one.path).resolve()),
                bytes=one.bytes,
                records=one.records,
                sha256=one.sha256,
            )
            for one in draft.survey.files
        ),
        records=draft.survey.records,
        form=draft.survey.form,
        tokens=draft.tokens,
    )


def _predictions(estimate: Estimate, job: TrainingJob) -> Predictions:
    cost = estimate.cost_usd
    return Predictions(
        wall_hours=estimate.wall_hours,
        memory_gb_per_gpu=Range.model_validate(estimate.memory_gb_per_gpu.model_dump()),
        tokens_per_second_per_gpu=estimate.tokens_per_second_per_gpu,
        cost_usd=Range.model_validate(cost.model_dump()) if cost else None,
        price_per_gpu_hour_usd=job.price.usd if job.price else None,
    )


def _warnings(recommendation: Recommendation, draft: _Draft, choices: LeadChoices) -> list[str]:
    warnings = []
    advised: Mapping[str, object] = (
        recommendation.recommended.model_dump() if recommendation.recommended else {}
    )
    for name, value in choices.made().items():
        if name in ("approach", "method", "base_model") and value != advised.get(name):
            warnings.append(f"{name} is {value} as you chose; the advice is {advised.get(name)}")
    warnings += _rate_warnings(draft.recipe, choices)
    if choices.method is None and draft.method != draft.option.method:
        warnings.append(f"{draft.option.method} needs CUDA: {draft.method} is run here instead")
    tunes = draft.option.approach in ("lora", "full_finetune")
    if tunes and draft.survey.form == "text":
        warnings.append("the data is plain text: loss counts every token, not only answers")
    return warnings


def _rate_warnings(recipe: Recipe, choices: LeadChoices) -> list[str]:
    rate = choices.learning_rate
    if rate is None or 1 / 5 <= rate / recipe.learning_rate <= 5:  # noqa: PLR2004
        return []
    suits = f"{recipe.learning_rate:g} that suits {recipe.approach} with {recipe.method}"
    return [f"learning rate {rate:g} is far from the {suits} ({recipe.source})"]
