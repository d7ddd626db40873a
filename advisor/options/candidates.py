"""For each approach the base model, method and hardware that best suit the answers."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from advisor.answers import Answers
from advisor.catalog import Catalog, PretrainingShape
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation import estimate_job
from advisor.estimation.documents import Estimate, EstimateRequest
from advisor.estimation.interval import surely_fits
from advisor.estimation.training_job import TrainingJob
from advisor.machine import Machine
from advisor.options.blockers import Blocker, data_blockers, limit_blockers
from advisor.options.layout import complete_request
from advisor.options.shapes import filled_shapes, passes_over, shape_fields
from advisor.tables import APPROACHES, Approach, RuleBook

Setting = Literal["owned", "cloud"]

SIZES_TRIED = 3
OBJECTIVES = {"generative": "clm", "encoder": "mlm", "seq2seq": "seq2seq"}


class Option(NamedTuple):
    """One approach made concrete: what would be trained, on what, at what price."""

    approach: Approach
    method: str
    objective: str
    base_model: str | None
    job: TrainingJob | None
    estimate: Estimate | None
    blockers: tuple[Blocker, ...]

    @property
    def feasible(self) -> bool:
        """Tell whether nothing stands in the way."""
        return not self.blockers


class Project(NamedTuple):
    """The answers with all that the choice of candidates looks up."""

    answers: Answers
    facts: Mapping[str, object]
    catalog: Catalog
    rules: RuleBook
    machine: Machine | None

    @property
    def setting(self) -> Setting:
        """Tell whether the hardware is the project's own, where only energy is paid for."""
        budget = self.answers.gpu_budget
        private = self.answers.privacy in ("on_prem", "air_gapped")
        own = budget.provider == "owned" or (budget.provider is None and private)
        return "owned" if own or budget.gpu == "local" else "cloud"


def facts_of(answers: Answers, rules: RuleBook) -> dict[str, object]:
    """Return what the tables test: the answers by name, the kind of model chosen where left out."""
    facts = answers.facts()
    if facts["model_kind"] is None:
        row = rules.first("model_kind", facts)
        facts["model_kind"] = row.outcome["kind"] if row else "generative"
    return facts


def build_options(project: Project) -> tuple[Option, ...]:
    """Return one option for each approach.

    Raises:
        AdvisorError: `answers_invalid` where the GPU or the provider is not in the catalogue.
    """
    _check_names(project)
    return tuple(_option(project, approach) for approach in APPROACHES)


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
            faults.append(Fault(field="gpu_budget.provider", expected=known, found=budget.provider))
    if faults:
        raise AdvisorError(ErrorName.ANSWERS_INVALID, "the answers cannot be used", faults)


def _option(project: Project, approach: Approach) -> Option:
    facts = {**project.facts, "approach": approach}
    row = project.rules.first("methods", facts)
    methods = row.outcome["methods"].split() if row else ["full"]
    if approach == "no_training":
        return _untrained(project, methods[0])
    if blockers := data_blockers(project.answers, approach):
        return _unpriced(project, approach, methods[0], blockers)
    return _first_that_fits(project, approach, methods)


def _untrained(project: Project, method: str) -> Option:
    return Option(
        approach="no_training",
        method=method,
        objective=_objective(project, "no_training"),
        base_model=None,
        job=None,
        estimate=None,
        blockers=(),
    )


def _unpriced(
    project: Project, approach: Approach, method: str, blockers: tuple[Blocker, ...]
) -> Option:
    return Option(
        approach=approach,
        method=method,
        objective=_objective(project, approach),
        base_model=None if approach == "pretrain" else _bases(project)[0],
        job=None,
        estimate=None,
        blockers=blockers,
    )


def _first_that_fits(project: Project, approach: Approach, methods: list[str]) -> Option:
    """Return the first candidate that surely fits, else that likely does, else the least blocked.

    Surely: the upper end of the memory interval fits too.
    """
    best: Option | None = None
    for request in _requests(project, approach, methods):
        job = complete_request(request, catalog=project.catalog, machine=project.machine)
        estimate = estimate_job(job, project.catalog)
        option = Option(
            approach=approach,
            method=request.method or "full",
            objective=_objective(project, approach),
            base_model=None if approach == "pretrain" else request.model,
            job=job,
            estimate=estimate,
            blockers=limit_blockers(project.answers, request, estimate, catalog=project.catalog),
        )
        if option.feasible and surely_fits(job, project.catalog.utilisation):
            return option
        if best is None or len(option.blockers) < len(best.blockers):
            best = option
    assert best is not None  # noqa: S101 - every ladder has a rung
    return best


def _requests(
    project: Project, approach: Approach, methods: list[str]
) -> Iterator[EstimateRequest]:
    """Yield the candidates, best first: the largest base, the smallest hardware, the method."""
    shapes = _shapes(project) if approach == "pretrain" else _bases(project)
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
    budget = project.answers.gpu_budget
    fields: dict[str, Any] = {
        "approach": approach,
        "method": method,
        "objective": _objective(project, approach),
        "gpu": gpu,
        "gpus": gpus,
        "provider": "owned" if project.setting == "owned" else budget.provider,
        "spot": budget.spot,
        "region": budget.region,
        "scope": "whole_run",
        **_work(project, approach, shape, method),
        **(shape_fields(shape) if isinstance(shape, PretrainingShape) else {"model": shape}),
    }
    # Every value is ours or was checked with the answers.
    return EstimateRequest.model_construct(**fields)


def _work(
    project: Project, approach: Approach, shape: str | PretrainingShape, method: str
) -> dict[str, object]:
    data = project.answers.data
    if approach in ("full_finetune", "lora"):
        return {"examples": data.labelled_examples}
    assert data.raw_text is not None  # noqa: S101 - the data blockers saw to it
    if isinstance(shape, PretrainingShape):
        tokens = data.raw_text.tokens
        return {"tokens": tokens * passes_over(tokens, shape)}
    params = project.catalog.model(shape).params
    recipe = project.catalog.recipe(approach, method, params=params)
    return {"tokens": data.raw_text.tokens * recipe.epochs}


def _shapes(project: Project) -> list[PretrainingShape]:
    """Return the largest shape that the text can fill, then the next smaller ones.

    Text for a large model is no case for a tiny one: what fits no budget two sizes down is told
    as infeasible.
    """
    text = project.answers.data.raw_text
    return filled_shapes(text.tokens if text else 0.0, project.catalog)[:SIZES_TRIED]


def _bases(project: Project) -> list[str]:
    """Return the base models to try, best first, that the licence allows."""
    row = project.rules.first("base_models", project.facts)
    names = row.outcome["candidates"].split() if row else []
    if project.answers.commercial_use is False:
        return names
    allowed = [name for name in names if project.catalog.model(name).commercial_use != "no"]
    return allowed or names


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
