"""Chosen options become a plan: each stage drafted, priced, and written down."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation import estimate_job
from advisor.estimation.documents import Estimate, Range
from advisor.planning.bases import REHEARSAL, base_model, kind_of_base, require_base
from advisor.planning.draft import (
    Draft,
    LeadChoices,
    Order,
    Start,
    Workshop,
    draft_job,
    wanted_kind,
)
from advisor.planning.general import general_text
from advisor.planning.inputs import GENERAL, Inputs, read_inputs
from advisor.planning.objections import objections
from advisor.planning.plan import (
    GENERATED_TEXT,
    LOCAL,
    Plan,
    PlannedData,
    PlannedFile,
    PlannedStage,
    Predictions,
)
from advisor.planning.purpose import DECODER
from advisor.planning.sources import sources_of
from advisor.planning.stages import (
    NO_TRAINING,
    of_earlier_stage,
    of_later_stage,
    option_of,
    stages_of,
)
from advisor.planning.untrained import NOT_ESTIMATED, UNKNOWN, measured_settings
from advisor.planning.writing import settings_of
from advisor.recommendation import OptionEntry, Recommendation


def make_plan(
    recommendation: Recommendation,
    data: Sequence[Path],
    *,
    choices: LeadChoices,
    workshop: Workshop,
    run_id: str,
) -> Plan:
    """Return the plan of what is recommended, or of what the lead chose instead.

    Raises:
        AdvisorError: nothing to launch (`will_not_fit`), `data_unusable`, `model_unusable`, data
            and base that do not go together (`objective_unsupported`), or settings that cannot be
            (`usage`).
    """
    inputs = read_inputs(data, choices.data_by_role(), skip_bad=bool(choices.skip_bad_records))
    found, remarks = stages_of(recommendation, inputs, choices)
    stages = [(approach, _with_general(approach, given, choices)) for approach, given in found]
    first = option_of(recommendation, stages[0][0])
    gpu, gpus = _hardware(recommendation, first, choices)
    order = Order(
        option=first,
        answers=recommendation.answers,
        start=_start(recommendation, first, choices, workshop),
        inputs=stages[0][1],
        gpu=gpu,
        gpus=gpus,
        choices=choices,
    )
    named = {
        "run_id": run_id,
        "project": recommendation.answers.project,
        "gpu": gpu,
        "gpus": gpus,
    }
    if first.approach == NO_TRAINING:
        told = (*remarks, *_measured_remarks(first), NOT_ESTIMATED)
        return Plan.model_validate({**dict(_measured(order, workshop)), **named, "warnings": told})
    drafts = _drafts(recommendation, stages, order, workshop)
    planned = [_planned(draft, workshop) for draft in drafts]
    last = planned[-1].model_copy(
        update={
            "base_model": order.start.base_model,
            "predictions": _together([one.predictions for one in planned]),
        }
    )
    skipped = inputs.skipped
    spoken = (
        *remarks,
        *([f"{skipped:,} bad records are skipped"] if skipped else []),
        *(remark for draft in drafts for remark in draft.remarks),
        *objections(recommendation, drafts[-1], choices, workshop),
    )
    return Plan.model_validate(
        {**dict(last), **named, "earlier": tuple(planned[:-1]), "warnings": spoken}
    )


def _with_general(approach: str, inputs: Inputs, choices: LeadChoices) -> Inputs:
    """Return the inputs of a stage; what is trained of the embedded base has general text."""
    forgets = approach not in ("pretrain", NO_TRAINING)
    if choices.base_model != REHEARSAL or not forgets or inputs.has(GENERAL):
        return inputs
    return replace(inputs, generated=general_text().facts(GENERATED_TEXT))


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


def _start(
    recommendation: Recommendation, option: OptionEntry, choices: LeadChoices, workshop: Workshop
) -> Start:
    """Return what the first stage starts from; a base that nobody knows must be here."""
    if option.approach == "pretrain":
        wanted = wanted_kind(recommendation.answers, workshop.rules)
        return Start(base_model=None, like=None, kind=wanted)
    if not (choices.base_model or option.base_model):
        fault = Fault(
            field="--base-model",
            expected="a model that can be run here",
            found="the advice names a service, or no model",
            hint="name an open model, or rehearsal",
        )
        raise AdvisorError(ErrorName.MODEL_UNUSABLE, "there is no base model", [fault])
    name = base_model(choices.base_model or option.base_model or "")
    if workshop.catalog.find_model(name) is None:
        require_base(name)
    return Start(base_model=name, like=name, kind=kind_of_base(name, workshop.catalog))


def _drafts(
    recommendation: Recommendation,
    stages: Sequence[tuple[str, Inputs]],
    order: Order,
    workshop: Workshop,
) -> list[Draft]:
    """Return the draft of each stage; each starts from the model of the one before."""
    drafts: list[Draft] = []
    for number, (approach, inputs) in enumerate(stages, start=1):
        choices = order.choices
        if number < len(stages):
            choices = of_earlier_stage(choices)
        if drafts:
            choices, order = of_later_stage(choices), _going_on(order, drafts[-1], number - 1)
        stage = replace(
            order, option=option_of(recommendation, approach), inputs=inputs, choices=choices
        )
        drafts.append(draft_job(stage, workshop))
    return drafts


def _going_on(order: Order, before: Draft, number: int) -> Order:
    kind = before.order.start.kind or DECODER
    start = Start(base_model=f"stages/{number}/model", like=before.like, kind=kind)
    return replace(order, start=start)


def _planned(draft: Draft, workshop: Workshop) -> PlannedStage:
    estimate = estimate_job(draft.job, workshop.catalog)
    settings = settings_of(draft)
    return PlannedStage(
        approach=draft.approach,
        method=draft.method,
        objective=draft.objective,
        base_model=draft.order.start.base_model,
        data=_planned_data(draft.order.inputs, draft.tokens),
        steps=draft.steps,
        settings=settings.to_dict(),
        sources=sources_of(draft, settings, workshop),
        predictions=_predictions(estimate, draft),
        estimate=estimate,
        recipe_source=f"{draft.recipe.source} ({draft.recipe.date})",
    )


def _measured(order: Order, workshop: Workshop) -> PlannedStage:
    """Return the plan of a measurement: nothing of it is estimated."""
    settings, sources, tokens = measured_settings(order, workshop)
    return PlannedStage(
        approach=settings.approach,
        method=settings.method,
        objective=settings.objective,
        base_model=settings.base_model,
        data=_planned_data(order.inputs, tokens),
        steps=0,
        settings=settings.to_dict(),
        sources=sources,
        predictions=UNKNOWN,
        estimate=None,
        recipe_source=None,
    )


def _measured_remarks(option: OptionEntry) -> Iterable[str]:
    yield "nothing is trained: the base is measured on held-out data, with and without examples"
    if option.method == "rag":
        yield "retrieval, which is advised, is described in recommendation.json and not launched"


def _planned_data(inputs: Inputs, tokens: int) -> PlannedData:
    return PlannedData(
        files=tuple(
            PlannedFile(
                path=one.path if one == inputs.generated else str(Path(one.path).resolve()),
                bytes=one.bytes,
                records=one.records,
                sha256=one.sha256,
                role=role,
            )
            for role, one in inputs.by_role()
        ),
        records=inputs.train.records,
        form=inputs.train.form,
        tokens=tokens,
    )


def _predictions(estimate: Estimate, draft: Draft) -> Predictions:
    """Return what will be compared: the estimate counts padding as work, the job does not."""
    cost, price = estimate.cost_usd, draft.job.price
    speed = estimate.tokens_per_second_per_gpu
    return Predictions(
        wall_hours=estimate.wall_hours,
        memory_gb_per_gpu=Range.model_validate(estimate.memory_gb_per_gpu.model_dump()),
        tokens_per_second_per_gpu=Range(
            low=speed.low * draft.fill, mid=speed.mid * draft.fill, high=speed.high * draft.fill
        ),
        cost_usd=Range.model_validate(cost.model_dump()) if cost else None,
        price_per_gpu_hour_usd=price.usd if price else None,
    )


def _together(stages: Sequence[Predictions]) -> Predictions:
    """Return the predictions of all stages together; see `Predictions`."""
    last = stages[-1]
    if len(stages) == 1:
        return last
    return last.model_copy(
        update={
            "wall_hours": _combined([one.wall_hours for one in stages], summed),
            "cost_usd": _combined([one.cost_usd for one in stages], summed),
            "memory_gb_per_gpu": _combined([one.memory_gb_per_gpu for one in stages], _fullest),
        }
    )


def _combined(
    ranges: Sequence[Range | None], combine: Callable[[Sequence[Range]], Range]
) -> Range | None:
    known = [one for one in ranges if one is not None]
    return combine(known) if len(known) == len(ranges) else None


def summed(ranges: Sequence[Range]) -> Range:
    """Return the 80 % interval of a sum of jobs whose errors are independent."""
    mid = sum(one.mid for one in ranges)
    below = math.hypot(*(one.mid - one.low for one in ranges))
    above = math.hypot(*(one.high - one.mid for one in ranges))
    return Range(low=mid - below, mid=mid, high=mid + above)


def _fullest(ranges: Sequence[Range]) -> Range:
    return max(ranges, key=lambda one: one.mid)
