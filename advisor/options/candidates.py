"""For each approach the base model, method and hardware that best suit the answers."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from advisor.answers import GpuBudget
from advisor.catalog import PretrainingShape
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation.documents import Estimate, EstimateRequest
from advisor.estimation.shape import shape_of_model
from advisor.estimation.training_job import TrainingJob
from advisor.options.bases import Bases, bases_for, prompted_base
from advisor.options.blockers import Blocker, data_blockers, limit_blockers, prompt_blockers
from advisor.options.project import Project
from advisor.options.recipes import chosen_epochs, recipe_of, work_on_examples
from advisor.options.shapes import filled_shapes, passes_over, shape_fields
from advisor.tables import APPROACHES, Approach, RuleBook

SIZES_TRIED = 3
OBJECTIVES = {"generative": "clm", "encoder": "mlm", "seq2seq": "seq2seq"}


# What options read of the answers by themselves, and the tables that they ask.
_READ = frozenset(
    {"model_kind", "language", "raw_text", "labelled_examples", "privacy", "commercial_use"}
) | frozenset(GpuBudget.model_fields)
_TABLES = ("methods", "base_models", "base_needs", "data_needs", "hardware", "model_kind")


# Copied for each candidate, which is quicker than to make one.
_BLANK = EstimateRequest.model_construct()


class Option(NamedTuple):
    """One approach made concrete: what would be trained, on what, at what price.

    `base_reasons` say why this base; `alternatives` what else was looked at, and what was against.
    """

    approach: Approach
    method: str
    objective: str
    base_model: str | None
    job: TrainingJob | None
    estimate: Estimate | None
    blockers: tuple[Blocker, ...]
    base_reasons: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()

    @property
    def feasible(self) -> bool:
        """Tell whether nothing stands in the way."""
        return not self.blockers


def build_options(project: Project) -> tuple[Option, ...]:
    """Return one option for each approach.

    Raises:
        AdvisorError: `answers_invalid` where the GPU or the provider is not in the catalogue.
    """
    _check_names(project)
    return tuple(build_option(project, approach) for approach in APPROACHES)


def facts_for_options(rules: RuleBook) -> frozenset[str]:
    """Return the facts that options depend on; no other fact changes one of them."""
    asked = (row.conditions for name in _TABLES for row in rules.choices(name))
    return _READ | {condition.fact for conditions in asked for condition in conditions}


def _check_names(project: Project) -> None:
    budget = project.answers.gpu_budget
    faults = []
    if budget.gpu not in (None, "local"):
        try:
            project.catalog.gpu(budget.gpu)
        except AdvisorError as error:
            faults += [
                Fault(field="gpu_budget.gpu", expected=one.expected, found=one.found, hint=one.hint)
                for one in error.faults
            ]
    if budget.provider not in (None, "owned"):
        providers = project.catalog.providers
        if budget.provider not in providers:
            known = ", ".join(sorted({*providers, "owned"}))
            faults.append(
                Fault(field="gpu_budget.provider", expected=known, found=f'"{budget.provider}"')
            )
    if faults:
        raise AdvisorError(ErrorName.ANSWERS_INVALID, "the answers cannot be used", faults)


def build_option(project: Project, approach: Approach) -> Option:
    """Return the option of one approach; the names in the answers must be of the catalogue."""
    facts = {**project.facts, "approach": approach}
    row = project.rules.first("methods", facts)
    methods = row.outcome["methods"].split() if row else ["full"]
    if approach == "no_training":
        return _untrained(project, methods[0])
    if blockers := data_blockers(project, approach):
        return _unpriced(project, approach, methods[0], blockers)
    return _first_that_fits(project, approach, methods)


def _untrained(project: Project, method: str) -> Option:
    prompted = prompted_base(project)
    base = prompted.base
    return Option(
        approach="no_training",
        method=method,
        objective=_objective(project, "no_training"),
        base_model=base.name if base else None,
        job=None,
        estimate=None,
        blockers=prompt_blockers(project, prompted),
        base_reasons=base.why if base else (),
        alternatives=prompted.others,
    )


def _unpriced(
    project: Project, approach: Approach, method: str, blockers: tuple[Blocker, ...]
) -> Option:
    bases = bases_for(project, approach)
    base = bases.tried[0] if bases.tried else None
    return Option(
        approach=approach,
        method=method,
        objective=_objective(project, approach),
        base_model=base.name if base else None,
        job=None,
        estimate=None,
        blockers=blockers,
        base_reasons=base.why if base else (),
        alternatives=bases.others,
    )


def _first_that_fits(project: Project, approach: Approach, methods: list[str]) -> Option:
    """Return the first candidate that fits on the GPUs, or on fewer where all cost too much."""
    bases = bases_for(project, approach)
    found = _least_blocked(project, approach, _requests(project, approach, methods, bases), bases)
    if {blocker.what for blocker in found.blockers} != {"money"}:
        return found
    requests = _requests(project, approach, methods, bases)
    cheapest = min(requests, key=lambda request: _dollars(project, request))
    on_fewer = _least_blocked(project, approach, _on_fewer(cheapest), bases)
    return on_fewer if on_fewer.feasible else found


def _dollars(project: Project, request: EstimateRequest) -> float:
    estimate = project.prices.of(request).estimate
    cost = estimate.cost_usd if estimate.fits else None
    return cost.mid if cost else float("inf")


def _on_fewer(request: EstimateRequest) -> Iterator[EstimateRequest]:
    """Yield the same job on fewer GPUs: the powers of two below, and the same number at last."""
    gpus = request.gpus or 1
    for power in reversed(range((gpus - 1).bit_length())):
        yield request.model_copy(update={"gpus": 2**power})
    yield request


def _least_blocked(
    project: Project, approach: Approach, requests: Iterable[EstimateRequest], bases: Bases
) -> Option:
    """Return the first candidate that surely fits, else that likely does, else the least blocked.

    Surely: the upper end of the memory interval fits too.
    """
    best: Option | None = None
    reasons = {base.name: base.why for base in bases.tried}
    for request in requests:
        job, estimate, sure = project.prices.of(request)
        option = Option(
            approach=approach,
            method=request.method or "full",
            objective=_objective(project, approach),
            base_model=None if approach == "pretrain" else request.model,
            job=job,
            estimate=estimate,
            blockers=limit_blockers(project, request, estimate),
            base_reasons=reasons.get(request.model or "", ()),
            alternatives=bases.others,
        )
        if option.feasible and sure:
            return option
        if best is None or len(option.blockers) < len(best.blockers):
            best = option
    assert best is not None  # noqa: S101 - every ladder has a rung
    return best


def _requests(
    project: Project,
    approach: Approach,
    methods: list[str],
    bases: Bases,
) -> Iterator[EstimateRequest]:
    """Yield the candidates, best first: the largest base, the smallest hardware, the method."""
    names = [base.name for base in bases.tried]
    shapes = _shapes(project) if approach == "pretrain" else names
    for shape in shapes:
        for gpu, gpus in _hardware(project):
            for method in methods:
                yield _request(project, approach, shape, gpu=gpu, gpus=gpus, method=method)


def _request(
    project: Project,
    approach: Approach,
    shape: str | PretrainingShape,
    *,
    gpu: str,
    gpus: int,
    method: str,
) -> EstimateRequest:
    budget, serving = project.answers.gpu_budget, project.answers.serving
    fields: dict[str, Any] = {
        "approach": approach,
        "method": method,
        "objective": _objective(project, approach),
        "gpu": gpu,
        "gpus": gpus,
        "provider": "owned" if project.setting == "owned" else budget.provider,
        "spot": budget.spot,
        "region": budget.region,
        "privacy": project.answers.privacy,
        "calls_per_day": serving.calls_per_day,
        "latency_ms": serving.latency_ms or None,
        "scope": "whole_run",
        **_work(project, approach, shape, method),
        **(shape_fields(shape) if isinstance(shape, PretrainingShape) else {"model": shape}),
    }
    # Every value is ours or was checked with the answers.
    return _BLANK.model_copy(update=fields)


def _work(
    project: Project, approach: Approach, shape: str | PretrainingShape, method: str
) -> dict[str, object]:
    data = project.answers.data
    tokens = data.raw_text.tokens if data.raw_text else 0.0
    if isinstance(shape, PretrainingShape):
        return {"tokens": tokens * passes_over(tokens, shape)}
    base = shape_of_model(project.catalog.model(shape))
    recipe = recipe_of(project.catalog, approach, method, params=base.params)
    if approach in ("full_finetune", "lora"):
        examples, objective = data.labelled_examples or 0, _objective(project, approach)
        return work_on_examples(recipe, base, examples, objective=objective)
    return {"tokens": tokens * chosen_epochs(recipe, tokens)}


def _shapes(project: Project) -> list[PretrainingShape]:
    """Return the largest shape that the text can fill, then the next smaller ones.

    Text for a large model is no case for a tiny one: what fits no budget two sizes down is told
    as infeasible.
    """
    text = project.answers.data.raw_text
    return filled_shapes(text.tokens if text else 0.0, project.catalog)[:SIZES_TRIED]


def _hardware(project: Project) -> list[tuple[str, int]]:
    """Return the GPUs to try; what was answered is kept, and only the rest is chosen."""
    budget = project.answers.gpu_budget
    if budget.gpu is not None:
        if budget.gpus is not None or budget.gpu == "local":
            return [(budget.gpu, budget.gpus or 1)]
        return [(budget.gpu, count) for count in (1, 2, 4, 8)]
    row = project.rules.first("hardware", project.facts)
    rungs = [rung.split(":") for rung in row.outcome["gpus_tried"].split()] if row else []
    if budget.gpus is None:
        return [(gpu, int(count)) for gpu, count in rungs]
    return [(gpu, budget.gpus) for gpu in dict.fromkeys(gpu for gpu, _ in rungs)]


def _objective(project: Project, approach: Approach) -> str:
    kind = str(project.facts["model_kind"])
    if kind == "encoder" and approach in ("full_finetune", "lora"):
        return "classification"
    return OBJECTIVES[kind]
