"""A chosen option becomes a plan: its job drafted, priced, and written down."""

from collections.abc import Sequence
from pathlib import Path

from advisor.estimation import estimate_job
from advisor.estimation.documents import Estimate, Range
from advisor.planning.draft import Draft, LeadChoices, Workshop, draft_job
from advisor.planning.objections import objections
from advisor.planning.plan import Plan, PlannedData, PlannedFile, Predictions
from advisor.planning.writing import settings_of
from advisor.recommendation import Recommendation


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
    draft = draft_job(recommendation, data, choices, workshop)
    estimate = estimate_job(draft.job, workshop.catalog)
    settings = settings_of(draft, choices)
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
        predictions=_predictions(estimate, draft),
        estimate=estimate,
        recipe_source=f"{draft.recipe.source} ({draft.recipe.date})",
        warnings=tuple(objections(recommendation, draft, choices, workshop)),
    )


def _planned_data(draft: Draft) -> PlannedData:
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
