"""What stands in the way of an option: what it needs, what there is, the nearest fix."""

from typing import Literal, NamedTuple

from advisor.answers import Answers
from advisor.catalog import Catalog
from advisor.estimation.documents import Estimate, EstimateRequest
from advisor.units import show_gb, show_hours, show_usd

Lack = Literal["memory", "time", "money", "data", "licence", "privacy"]


class Blocker(NamedTuple):
    """One thing that is short."""

    what: Lack
    needs: str
    has: str
    nearest_fix: str


def data_blockers(answers: Answers, approach: str) -> tuple[Blocker, ...]:
    """Return what the approach has nothing to learn from."""
    data = answers.data
    count: float | None
    if approach in ("full_finetune", "lora"):
        count, question, needs = data.labelled_examples, "labelled_examples", "labelled examples"
    else:
        count = data.raw_text.amount if data.raw_text else None
        question, needs = "raw_text", "raw text"
    if count:
        return ()
    has = "not answered" if count is None else "none"
    fix = f"answer {question}" if count is None else f"collect {needs}"
    return (Blocker(what="data", needs=needs, has=has, nearest_fix=fix),)


def limit_blockers(
    answers: Answers, request: EstimateRequest, estimate: Estimate, *, catalog: Catalog
) -> tuple[Blocker, ...]:
    """Return where memory, deadline, budget, licence or privacy is exceeded."""
    budget = answers.gpu_budget
    found = []
    if not estimate.fits:
        found.append(_memory(request, estimate, catalog))
    if budget.deadline is not None and estimate.wall_hours.mid > budget.deadline:
        found.append(
            Blocker(
                what="time",
                needs=show_hours(estimate.wall_hours.mid),
                has=show_hours(budget.deadline),
                nearest_fix=f"allow {show_hours(estimate.wall_hours.high)} or use more GPUs",
            )
        )
    cost = estimate.cost_usd
    if budget.budget_usd is not None and cost is not None and cost.mid > budget.budget_usd:
        found.append(
            Blocker(
                what="money",
                needs=show_usd(cost.mid),
                has=show_usd(budget.budget_usd),
                nearest_fix=f"allow {show_usd(cost.high)}",
            )
        )
    return (*found, *_rights(answers, request, catalog))


def _memory(request: EstimateRequest, estimate: Estimate, catalog: Catalog) -> Blocker:
    needed = estimate.memory_gb_per_gpu.high
    larger = sorted(
        (gpu.memory_gb, gpu.id)
        for gpu in catalog.gpus.values()
        if gpu.vendor == "NVIDIA" and gpu.memory_gb > needed
    )
    fix = f"a GPU such as {larger[0][1]}" if larger else "more GPUs or a smaller base model"
    has = "the memory of this machine"
    if request.gpu and request.gpu != "local":
        has = f"{show_gb(catalog.gpu(request.gpu).memory_gb)} on each {request.gpu}"
    return Blocker(what="memory", needs=f"{show_gb(needed)} on each GPU", has=has, nearest_fix=fix)


def _rights(answers: Answers, request: EstimateRequest, catalog: Catalog) -> tuple[Blocker, ...]:
    found = []
    model = catalog.find_model(request.model) if request.model else None
    if model is not None and answers.commercial_use and model.commercial_use == "no":
        found.append(
            Blocker(
                what="licence",
                needs="a licence for commercial use",
                has=model.licence,
                nearest_fix="another base model",
            )
        )
    rented = request.provider not in (None, "owned")
    if answers.privacy in ("on_prem", "air_gapped") and rented:
        found.append(
            Blocker(
                what="privacy",
                needs="own machines",
                has=f"rented from {request.provider}",
                nearest_fix="leave provider out, or answer owned",
            )
        )
    return tuple(found)
