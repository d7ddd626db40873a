"""Plans, runs and their results as text: predicted beside measured."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from advisor.estimation.documents import Range
from advisor.planning import Plan
from advisor.planning.plan import PlannedStage
from advisor.report.drawing import UNKNOWN, Show, cells, section, span, table_of, words
from advisor.runs.history import Answered, Findings, Headline, RunEntry
from advisor.safe_text import safe_text
from advisor.units import show_count, show_gb, show_hours, show_number, show_usd

LONGEST_SAMPLE = 200
LONGEST_VERDICT = 1000


def plan_lines(plan: Plan) -> Iterator[RenderableType]:
    """Yield what a launch would do: the job, and what it is expected to take."""
    base = safe_text(plan.base_model or "a model of its own")
    head = f"{words(plan.approach)} ({plan.method}) of {base} on {plan.gpus} × {plan.gpu}"
    yield Text(head, style="bold")
    for number, stage in enumerate(plan.stages, start=1):
        name = f"stage {number}, {words(stage.approach)} ({stage.method}): " if plan.earlier else ""
        yield Text(f"{name}{_work(stage)}")
    table = table_of("predicted (80 %)", "low", "mid", "high")
    for name, interval, show in _predicted(plan.predictions.model_dump()):
        table.add_row(name, *cells(interval, show))
    yield table
    yield from section("Warnings", [f"! {one}" for one in plan.warnings])


def _work(stage: PlannedStage) -> str:
    settings, data = stage.settings, stage.data
    read = (
        f"{show_count(data.records)} records ({words(data.form)}),"
        f" about {show_count(data.tokens)} tokens"
    )
    if not stage.steps:
        return f"{read} · {settings['eval_examples']} at most are asked, with and without examples"
    return (
        f"{read} · {stage.steps:,} steps of"
        f" {settings['micro_batch']} × {settings['gradient_accumulation']} sequences of"
        f" {settings['seq_len']} tokens · learning rate {settings['learning_rate']:g}"
    )


def result_lines(entry: RunEntry) -> Iterator[RenderableType]:
    """Yield how a run ended, predicted beside measured."""
    verdict = entry.verdict or f"the run is {entry.state}"
    yield Text(safe_text(verdict, LONGEST_VERDICT), style="bold")
    measured = entry.measured or {}
    table = table_of("", "predicted (80 %)", "measured", "inside")
    for name, interval, show in _predicted(entry.predicted):
        value = measured.get(_FIELD_OF[name])
        shown = "not measured" if value is None else show(value)
        table.add_row(name, span(interval, show), shown, _inside(interval, value))
    yield table
    yield from _found(entry.findings)


def _found(found: Findings) -> Iterator[RenderableType]:
    """Yield how the model scored beside its base, what it forgot, and their answers."""
    if found.headline:
        way = "higher" if found.headline.higher_is_better else "lower"
        scores = [f"{name}: {told}" for name, told in scores_of(found.headline)]
        yield from section(f"{safe_text(found.headline.title)} ({way} is better)", scores)
    if found.forgetting:
        before, after = found.forgetting
        told = f"loss on general text {before:.3g} before, {after:.3g} after"
        yield from section("Forgetting", [told])
    yield from section("Speed", [found.profile] if found.profile else [])
    yield from section("Memory was short", found.ladder)
    if found.samples:
        yield Text("\nSamples", style="bold")
        yield _samples(found.samples)


def _samples(answered: Sequence[Answered]) -> RenderableType:
    """Return the answers side by side; where nothing was trained, those shown examples."""
    trained = any(one.tuned is not None for one in answered)
    table = table_of("prompt", "base", "tuned" if trained else "base with examples")
    for one in answered:
        after = one.tuned if trained else one.prompted
        table.add_row(*(_excerpt(text) for text in (one.prompt, one.base, after)))
    return table


def scores_of(headline: Headline) -> list[tuple[str, str]]:
    """Return the score of each model that was measured, the trained one last."""
    values = {
        "base": headline.base,
        "base with examples": headline.prompted_base,
        "tuned": headline.tuned,
    }
    return [(name, f"{value:.3g}") for name, value in values.items() if value is not None]


def _excerpt(text: str | None) -> str:
    return "–" if text is None else safe_text(" ".join(text.split()), longest=LONGEST_SAMPLE)


def _inside(interval: Range | None, value: float | None) -> str:
    if interval is None or value is None:
        return "–"
    return "✓" if interval.low <= value <= interval.high else "✗"


_FIELD_OF = {
    "wall time": "wall_hours",
    "memory": "memory_gb_per_gpu",
    "tokens/s": "tokens_per_second_per_gpu",
    "cost": "cost_usd",
}


def _predicted(predictions: Mapping[str, Any]) -> list[tuple[str, Range | None, Show]]:
    shows: dict[str, Show] = {
        "wall time": show_hours,
        "memory": show_gb,
        "tokens/s": show_number,
        "cost": show_usd,
    }
    return [
        (name, Range.model_validate(found) if (found := predictions[field]) else None, shows[name])
        for name, field in _FIELD_OF.items()
    ]


def runs_lines(runs: Sequence[RunEntry]) -> Iterator[RenderableType]:
    """Yield the history as a table: predicted → measured."""
    if not runs:
        yield Text("No runs yet. Start one with: advisor launch")
        return
    table = table_of("run", "state", "method", "steps", "time", "memory")
    for one in runs:
        measured = one.measured or {}
        table.add_row(
            safe_text(one.run_id),
            one.state,
            f"{words(one.approach)} ({one.method})",
            f"{one.step}/{one.max_steps}",
            _arrow(one.predicted["wall_hours"], measured.get("wall_hours"), show_hours),
            _arrow(one.predicted["memory_gb_per_gpu"], measured.get("memory_gb_per_gpu"), show_gb),
        )
    yield table


def _arrow(predicted: Mapping[str, float] | None, measured: float | None, show: Show) -> str:
    before = show(predicted["mid"]) if predicted else UNKNOWN
    return f"{before} → {'not measured' if measured is None else show(measured)}"
