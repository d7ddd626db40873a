"""The job that a plan is for: base, hardware, data counted, sizes and steps settled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from advisor.catalog import Catalog, Recipe
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation.documents import EstimateRequest
from advisor.estimation.training_job import TrainingJob
from advisor.job.faults import DataError
from advisor.job.records import Survey, survey
from advisor.machine import Machine
from advisor.options.layout import complete_request
from advisor.planning.bases import REHEARSAL_BASE, base_model, characters_per_token, require_base
from advisor.planning.plan import LOCAL
from advisor.recommendation import OptionEntry, Recommendation


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Workshop:
    """What a plan is made with: facts of the catalogue and of this machine."""

    catalog: Catalog
    machine: Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
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


def draft_job(
    recommendation: Recommendation,
    data: Sequence[Path],
    choices: LeadChoices,
    workshop: Workshop,
) -> Draft:
    """Return the job of the recommended option, or of what the lead chose instead."""
    option = _chosen(recommendation, choices)
    base = _base_of(option, choices, workshop.catalog)
    gpu, gpus = _hardware(recommendation, option, base)
    method = _method(option, choices, gpu, workshop.machine)
    surveyed = _surveyed(data)
    tokens = round(surveyed.characters / characters_per_token(base, data))
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
    return Draft(
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


def _base_of(option: OptionEntry, choices: LeadChoices, catalog: Catalog) -> str | None:
    if option.approach == "pretrain":
        return None
    name = base_model(choices.base_model or option.base_model or "")
    if catalog.find_model(name) is None:
        require_base(name)
    return name


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
