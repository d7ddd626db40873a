"""What stands in the way of an option: what it needs, what there is, the nearest fix."""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

from advisor.catalog import Model
from advisor.estimation.documents import Estimate, EstimateRequest
from advisor.options.bases import Prompted
from advisor.options.project import Project
from advisor.units import (
    parse_count,
    parse_data_size,
    show_count,
    show_gb,
    show_hours,
    show_tokens,
    show_usd,
)

Lack = Literal["memory", "time", "money", "data", "licence", "privacy"]

ON_EXAMPLES = ("full_finetune", "lora")
PRIVATE = ("on_prem", "air_gapped")
# More passes over the same text than this teach nothing more. Source: Muennighoff et al. 2023,
# arXiv 2305.16264: the value of repeated text has decayed by then, 40 passes are worthless.
MOST_PASSES_OF_USE = 16
MOST_GPUS_NAMED = 512
# A smaller share of the data than this is another project.
LEAST_SHARE = 0.05


class Blocker(NamedTuple):
    """One thing that is short."""

    what: Lack
    needs: str
    has: str
    nearest_fix: str


def data_blockers(project: Project, approach: str) -> tuple[Blocker, ...]:
    """Return what the approach has too little of to learn from."""
    row = project.rules.first("data_needs", {**project.facts, "approach": approach})
    if row is None:
        return ()
    least, aim = row.outcome["at_least"], row.outcome["worth_from"]
    if approach in ON_EXAMPLES:
        found = _too_few_examples(project, parse_count(least), parse_count(aim))
    else:
        found = _too_little_text(
            project, parse_data_size(least).tokens, parse_data_size(aim).tokens
        )
    return (found,) if found else ()


def _too_few_examples(project: Project, least: float, aim: float) -> Blocker | None:
    count = project.answers.data.labelled_examples
    if count is not None and count >= least:
        return None
    if count is None:
        fix = f"answer labelled_examples, or label {show_count(aim)} examples"
    else:
        fix = f"label {show_count(aim - count)} {'more ' if count else ''}examples"
    has = "not answered" if count is None else f"{count} examples" if count else "none"
    needs = f"labelled examples, at least {show_count(least)}"
    return Blocker(what="data", needs=needs, has=has, nearest_fix=fix)


def _too_little_text(project: Project, least: float, aim: float) -> Blocker | None:
    text = project.answers.data.raw_text
    if text is not None and text.tokens >= least:
        return None
    fix = f"collect about {show_tokens(aim)} of text"
    if text is None:
        fix = f"answer raw_text, or {fix}"
    has = "not answered" if text is None else f"{text}" if text.amount else "none"
    needs = f"raw text, at least {show_tokens(least)}" if least > 1 else "raw text"
    return Blocker(what="data", needs=needs, has=has, nearest_fix=fix)


def limit_blockers(
    project: Project, request: EstimateRequest, estimate: Estimate
) -> tuple[Blocker, ...]:
    """Return where data, memory, deadline, budget, licence or privacy is exceeded."""
    found = (
        _repeated(project, request),
        None if estimate.fits else _memory(project, request, estimate),
        _time(project, request, estimate),
        _money(project, request, estimate),
        _licence(project, request),
        _privacy(project, request),
    )
    return tuple(one for one in found if one)


def prompt_blockers(project: Project, prompted: Prompted) -> tuple[Blocker, ...]:
    """Return why no model can be prompted where data may reach no hosted one."""
    if prompted.base or project.answers.privacy not in PRIVATE or not prompted.smallest_gb:
        return ()
    return (
        Blocker(
            what="memory",
            needs=f"{show_gb(prompted.smallest_gb)} for the smallest open chat model",
            has=show_gb(prompted.memory_gb),
            nearest_fix=f"a GPU such as {project.catalog.gpu_above(prompted.smallest_gb)}",
        ),
    )


def _repeated(project: Project, request: EstimateRequest) -> Blocker | None:
    text = project.answers.data.raw_text
    if request.tokens is None or text is None or not text.tokens:
        return None
    passes = request.tokens / text.tokens
    if passes <= MOST_PASSES_OF_USE:
        return None
    unique = request.tokens / MOST_PASSES_OF_USE
    return Blocker(
        what="data",
        needs=f"{show_tokens(request.tokens)} in at most {MOST_PASSES_OF_USE} passes",
        has=f"{show_tokens(text.tokens)}, read {passes:.0f} times",
        nearest_fix=f"collect {show_tokens(unique)}, or train for fewer epochs",
    )


def _memory(project: Project, request: EstimateRequest, estimate: Estimate) -> Blocker:
    catalog = project.catalog
    needed = estimate.memory_gb_per_gpu.high
    larger = catalog.gpu_above(needed)
    fix = f"a GPU such as {larger}" if larger else "more GPUs or a smaller base model"
    has = "the memory of this machine"
    if request.gpu and request.gpu != "local":
        has = f"{show_gb(catalog.gpu(request.gpu).memory_gb)} on each {request.gpu}"
    return Blocker(what="memory", needs=f"{show_gb(needed)} on each GPU", has=has, nearest_fix=fix)


def _time(project: Project, request: EstimateRequest, estimate: Estimate) -> Blocker | None:
    deadline, hours = project.answers.gpu_budget.deadline, estimate.wall_hours
    if deadline is None or hours.mid <= deadline:
        return None
    fixes = [f"allow {show_hours(hours.high)}"]
    times = hours.mid / deadline
    # Halving the time takes two times the GPUs at best.
    gpus = 2 ** math.ceil(math.log2((request.gpus or 1) * times))
    if request.gpu != "local" and gpus <= MOST_GPUS_NAMED:
        fixes.append(f"use at least {gpus} × {request.gpu}")
    fixes += _less_data(request, 1 / times)
    return Blocker(
        what="time",
        needs=show_hours(hours.mid),
        has=show_hours(deadline),
        nearest_fix=", or ".join(fixes),
    )


def _money(project: Project, request: EstimateRequest, estimate: Estimate) -> Blocker | None:
    budget, cost = project.answers.gpu_budget.budget_usd, estimate.cost_usd
    if budget is None or cost is None or cost.mid <= budget:
        return None
    fixes = [f"allow {show_usd(cost.high)}", *_less_data(request, budget / cost.mid)]
    return Blocker(
        what="money",
        needs=show_usd(cost.mid),
        has=show_usd(budget),
        nearest_fix=", or ".join(fixes),
    )


def _less_data(request: EstimateRequest, share: float) -> Iterator[str]:
    """Yield the part of the data that the limit pays for, where it is still worth the name."""
    if share < LEAST_SHARE:
        return
    if request.examples:
        yield f"train on {show_count(_rounded_down(request.examples * share))} of the examples"
    elif request.tokens:
        yield f"train on {show_tokens(_rounded_down(request.tokens * share))}"


def _rounded_down(value: float) -> float:
    """Return the value with two digits, never more than it was."""
    scale = 10.0 ** max(math.floor(math.log10(max(value, 1.0))) - 1, 0)
    return math.floor(value / scale) * scale


def _licence(project: Project, request: EstimateRequest) -> Blocker | None:
    model = project.catalog.find_model(request.model) if request.model else None
    if model is None or not project.answers.commercial_use or model.commercial_use != "no":
        return None
    return Blocker(
        what="licence",
        needs="a licence for commercial use",
        has=f"{model.licence} of {model.id}",
        nearest_fix=f"another base model, such as {_open_like(project, model)}",
    )


def _open_like(project: Project, model: Model) -> str:
    """Return the open model of the same kind and variant that is nearest in size."""
    models = project.catalog.models
    names = ("id", "kind", "variant", "commercial_use", "params")
    rows = zip(*(models.column(name) for name in names), strict=True)
    wanted = (model.kind, model.variant, "yes")
    near = (
        (abs(math.log(params / model.params)), id_)
        for id_, kind, variant, use, params in rows
        if (kind, variant, use) == wanted
    )
    return min(near, default=(0.0, "one under Apache-2.0"))[1]


def _privacy(project: Project, request: EstimateRequest) -> Blocker | None:
    if project.answers.privacy not in PRIVATE or request.provider in (None, "owned"):
        return None
    return Blocker(
        what="privacy",
        needs="own machines",
        has=f"rented from {request.provider}",
        nearest_fix="leave provider out, or answer owned",
    )
