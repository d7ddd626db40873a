"""Plans, runs and their results as text: predicted beside measured."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from advisor.estimation.documents import Range
from advisor.planning import Plan
from advisor.report.drawing import UNKNOWN, Show, cells, section, span, table_of, words
from advisor.runs.history import RunEntry
from advisor.safe_text import safe_text
from advisor.units import show_count, show_gb, show_hours, show_number, show_usd


def plan_lines(plan: Plan) -> Iterator[RenderableType]:
    """Yield what a launch would do: the job, and what it is expected to take."""
    base = safe_text(plan.base_model or "a model of its own")
    head = f"{words(plan.approach)} ({plan.method}) of {base} on {plan.gpus} × {plan.gpu}"
    yield Text(head, style="bold")
    settings = plan.settings
    yield Text(
        f"{show_count(plan.data.records)} records ({plan.data.form}),"
        f" about {show_count(plan.data.tokens)} tokens · {plan.steps:,} steps of"
        f" {settings['micro_batch']} × {settings['gradient_accumulation']} sequences of"
        f" {settings['seq_len']} tokens · learning rate {settings['learning_rate']:g}"
    )
    table = table_of("predicted (80 %)", "low", "mid", "high")
    for name, interval, show in _predicted(plan.predictions.model_dump()):
        table.add_row(name, *cells(interval, show))
    yield table
    yield from section("Warnings", [f"! {one}" for one in plan.warnings])


def result_lines(entry: RunEntry) -> Iterator[RenderableType]:
    """Yield how a run ended, predicted beside measured."""
    yield Text(safe_text(entry.verdict or f"the run is {entry.state}"), style="bold")
    measured = entry.measured or {}
    table = table_of("", "predicted (80 %)", "measured", "inside")
    for name, interval, show in _predicted(entry.predicted):
        value = measured.get(_FIELD_OF[name])
        shown = "not measured" if value is None else show(value)
        table.add_row(name, span(interval, show), shown, _inside(interval, value))
    yield table


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
