"""The job that a plan is for: base, hardware, data counted, sizes and steps settled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from advisor.catalog import Catalog, PretrainingShape, Recipe
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation.documents import EstimateRequest
from advisor.estimation.training_job import LORA_METHODS, TrainingJob
from advisor.job.faults import DataError
from advisor.job.records import Survey, survey
from advisor.machine import Machine
from advisor.options.layout import complete_request
from advisor.options.named import look_up
from advisor.options.recipes import chosen_epochs, chosen_rank, recipe_of
from advisor.options.shapes import filled_shapes, passes_over, shape_fields
from advisor.planning.bases import REHEARSAL, base_model, require_base
from advisor.planning.counting import Sample, sample_of
from advisor.planning.plan import LOCAL
from advisor.recommendation import OptionEntry, Recommendation
from advisor.tables import RuleBook


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
    """What a plan is made with: facts of the catalogue and of this machine, and the tables."""

    catalog: Catalog
    machine: Machine
    rules: RuleBook = field(default_factory=RuleBook)


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """The job with its data counted, before its settings are written down.

    `tokens` are those of one pass over the data. `rank` is the one that suits the data, whatever
    the lead chose.
    """

    option: OptionEntry
    method: str
    base_model: str | None
    gpu: str
    survey: Survey
    sample: Sample
    tokens: int
    rank: int
    epochs: float
    steps: int
    recipe: Recipe
    job: TrainingJob

    @property
    def fill(self) -> float:
        """Return the share of a row that holds tokens and no padding."""
        return self.sample.fill(self.job.seq_len)

    @property
    def completion_tokens(self) -> float:
        """Return the tokens of one pass that the loss counts."""
        return float(self.survey.records * self.sample.learned_per_record)


def draft_job(
    recommendation: Recommendation,
    data: Sequence[Path],
    choices: LeadChoices,
    workshop: Workshop,
) -> Draft:
    """Return the job of the recommended option, or of what the lead chose instead."""
    option = _chosen(recommendation, choices)
    base = _base_of(option, choices, workshop.catalog)
    gpu, gpus = _hardware(recommendation, option, choices)
    method = _method(option, choices, gpu, workshop.machine)
    surveyed = _surveyed(data)
    sample = sample_of(base, data)
    tokens = max(1, round(surveyed.records * sample.tokens_per_record))
    # A model of one's own is sized by the text that is really there, not by what was answered.
    model = base or filled_shapes(tokens, workshop.catalog)[0]
    request = _request(option, method, model, choices).model_copy(
        update={"gpu": gpu, "gpus": gpus, "tokens": tokens}
    )
    shape = look_up(request, catalog=workshop.catalog, machine=workshop.machine).shape
    recipe = recipe_of(workshop.catalog, option.approach, method, params=shape.params)
    rank = chosen_rank(recipe, shape, surveyed.records * sample.learned_per_record)
    if method in LORA_METHODS:
        request = request.model_copy(update={"lora_rank": choices.lora_rank or rank})
    sized = complete_request(request, catalog=workshop.catalog, machine=workshop.machine)
    epochs = choices.epochs or _epochs(option.approach, recipe, model, surveyed.records, tokens)
    rows = surveyed.records * sample.rows_per_record(sized.seq_len)
    trained = rows * (1 - recipe.validation_share) * epochs
    steps = choices.max_steps or max(1, math.ceil(trained * sized.seq_len / sized.step_tokens))
    job = complete_request(
        sized.request.model_copy(update={"tokens": steps * sized.step_tokens}),
        catalog=workshop.catalog,
        machine=workshop.machine,
    )
    return Draft(
        option=option,
        method=method,
        base_model=base,
        gpu=gpu,
        survey=surveyed,
        sample=sample,
        tokens=tokens,
        rank=rank,
        epochs=epochs,
        steps=steps,
        recipe=recipe,
        job=job,
    )


def _epochs(
    approach: str, recipe: Recipe, model: str | PretrainingShape, records: int, tokens: int
) -> float:
    """Return the passes over the data that is really there: its text, or its examples."""
    if isinstance(model, PretrainingShape):
        return float(passes_over(tokens, model))
    return float(chosen_epochs(recipe, tokens if approach == "continued_pretrain" else records))


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
    option = next(one for one in recommendation.options if one.approach == wanted)
    _require_trainable(option)
    return option


def _require_trainable(option: OptionEntry) -> None:
    objective = option.estimate.request.objective if option.estimate else "clm"
    if objective not in (None, "clm"):
        fault = Fault(
            field="model_kind",
            expected="a generative model: the job trains the causal objective (clm)",
            found=str(objective),
            hint="answer model_kind: generative, or train this one elsewhere",
        )
        raise AdvisorError(ErrorName.OBJECTIVE_UNSUPPORTED, "the job cannot train this", [fault])


def _base_of(option: OptionEntry, choices: LeadChoices, catalog: Catalog) -> str | None:
    if option.approach == "pretrain":
        return None
    name = base_model(choices.base_model or option.base_model or "")
    if catalog.find_model(name) is None:
        require_base(name)
    return name


def _hardware(
    recommendation: Recommendation, option: OptionEntry, choices: LeadChoices
) -> tuple[str, int]:
    """Return the GPU and its count; a rehearsal is always on this machine."""
    budget = recommendation.answers.gpu_budget
    if choices.base_model == REHEARSAL or budget.gpu == LOCAL:
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
    option: OptionEntry, method: str, base: str | PretrainingShape, choices: LeadChoices
) -> EstimateRequest:
    """Return what to price: the option's place and price, this base, the lead's own sizes."""
    advised = option.estimate.request if option.estimate else EstimateRequest()
    chosen = {
        "approach": option.approach,
        "method": method,
        "objective": "clm",
        "provider": advised.provider,
        "spot": advised.spot,
        "region": advised.region,
        "scope": advised.scope,
        "seq_len": choices.seq_len,
        "micro_batch": choices.micro_batch,
        **(shape_fields(base) if isinstance(base, PretrainingShape) else {"model": base}),
    }
    return EstimateRequest.model_validate(
        {name: value for name, value in chosen.items() if value is not None}
    )
