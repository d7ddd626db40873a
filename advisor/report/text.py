"""Documents as text for a terminal: the verdict first, then what it rests on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from advisor.estimation.documents import Estimate, Range
from advisor.planning import Plan
from advisor.recommendation import OptionEntry, Reason, Recommendation
from advisor.runs.history import RunEntry
from advisor.safe_text import safe_text
from advisor.units import show_count, show_gb, show_hours, show_number, show_usd

MOST_REASONS = 6
UNKNOWN = "unknown"
Show = Any


def recommendation_lines(found: Recommendation) -> Iterator[RenderableType]:
    """Yield a recommendation: verdict, options, reasons, conflicts, what to do next."""
    yield _verdict(found)
    yield _options(found.options)
    yield from _section("Why", [_reason(one) for one in _strongest(found)])
    yield from _section("Conflicts", [_conflict(one.rules, one.why) for one in found.conflicts])
    blocked = [_blockers(one) for one in found.options if one.blockers]
    yield from _section("In the way", blocked)
    asked = [f"{one.question.replace('_', '-')}: {one.why}" for one in found.ask_next]
    yield from _section("Answer next", asked)
    yield from _section("Warnings", [f"! {one}" for one in found.warnings])


def _verdict(found: Recommendation) -> Text:
    best = found.recommended
    if best is None:
        return Text("Nothing is feasible as answered.", style="bold")
    verdict = Text(safe_text(best.summary), style="bold")
    if len(best.stages) > 1:
        verdict.append(f"\nIn stages: {', then '.join(_words(one) for one in best.stages)}.")
    if best.confidence is not None:
        verdict.append(f"\nConfidence {best.confidence:.0%}, as such advice fared on known cases.")
    if best.next_step:
        verdict.append(f"\nFirst: {best.next_step}.")
    if found.documents_only.approach not in (None, best.approach):
        verdict.append(f"\nThe articles alone would say: {_words(found.documents_only.approach)}.")
    return verdict


def _options(options: Sequence[OptionEntry]) -> Table:
    table = _table("approach", "method", "base model", "score", "time", "cost", "memory")
    for one in options:
        mark = "✓" if one.feasible else "✗"
        estimate = one.estimate
        table.add_row(
            f"{mark} {_words(one.approach)}",
            one.method,
            (one.base_model or "own").rpartition("/")[2],
            f"{one.score:g}",
            _range(estimate.wall_hours, show_hours) if estimate else "–",
            _range(estimate.cost_usd, show_usd) if estimate else "–",
            _range(estimate.memory_gb_per_gpu, show_gb) if estimate else "–",
        )
    return table


def _strongest(found: Recommendation) -> list[Reason]:
    best = found.recommended.approach if found.recommended else None
    speaking = [one for one in found.reasons if one.weights.get(best or "", 0) > 0]
    return sorted(speaking, key=lambda one: -one.weights[best or ""])[:MOST_REASONS]


def _reason(reason: Reason) -> str:
    source = reason.source
    return (
        f"{reason.because}: {reason.says}"
        f" [{source.publisher}, {source.section}; {reason.evidence}; {reason.rule}]"
    )


def _conflict(rules: Sequence[str], why: str) -> str:
    return f"{why} [{', '.join(rules)}]"


def _blockers(option: OptionEntry) -> str:
    parts = [
        f"{one.what}: needs {one.needs}, has {one.has} → {one.nearest_fix}"
        for one in option.blockers
    ]
    return f"{_words(option.approach)} – {'; '.join(parts)}"


def estimate_lines(found: Estimate) -> Iterator[RenderableType]:
    """Yield an estimate: its ranges, its memory by part, and what was assumed."""
    table = _table("80 % interval", "low", "mid", "high")
    rows: list[tuple[str, Range | None, Show]] = [
        ("wall time", found.wall_hours, show_hours),
        ("GPU hours", found.gpu_hours, show_number),
        ("cost", found.cost_usd, show_usd),
        ("tokens/s on each GPU", found.tokens_per_second_per_gpu, show_number),
        ("memory on each GPU", found.memory_gb_per_gpu, show_gb),
    ]
    for name, interval, show in rows:
        table.add_row(name, *_cells(interval, show))
    yield table
    yield Text(f"{'fits' if found.fits else 'does not fit'} · basis {found.basis}", style="bold")
    parts = found.memory_gb_per_gpu.parts.model_dump().items()
    yield Text("memory: " + ", ".join(f"{name} {show_gb(size)}" for name, size in parts if size))
    if found.cost_usd:
        yield Text(f"price: {found.cost_usd.price_source} ({found.cost_usd.price_date})")
    yield from _section("Assumed", found.assumptions)
    yield from _section("Formulas", [f"{one.name} [{one.source}]" for one in found.formulas])


def plan_lines(plan: Plan) -> Iterator[RenderableType]:
    """Yield what a launch would do: the job, and what it is expected to take."""
    base = safe_text(plan.base_model or "a model of its own")
    head = f"{_words(plan.approach)} ({plan.method}) of {base} on {plan.gpus} × {plan.gpu}"
    yield Text(head, style="bold")
    settings = plan.settings
    yield Text(
        f"{show_count(plan.data.records)} records ({plan.data.form}),"
        f" about {show_count(plan.data.tokens)} tokens · {plan.steps:,} steps of"
        f" {settings['micro_batch']} × {settings['gradient_accumulation']} sequences of"
        f" {settings['seq_len']} tokens · learning rate {settings['learning_rate']:g}"
    )
    table = _table("predicted (80 %)", "low", "mid", "high")
    for name, interval, show in _predicted(plan.predictions.model_dump()):
        table.add_row(name, *_cells(interval, show))
    yield table
    yield from _section("Warnings", [f"! {one}" for one in plan.warnings])


def result_lines(entry: RunEntry) -> Iterator[RenderableType]:
    """Yield how a run ended, predicted beside measured."""
    yield Text(safe_text(entry.verdict or f"the run is {entry.state}"), style="bold")
    measured = entry.measured or {}
    table = _table("", "predicted (80 %)", "measured", "inside")
    for name, interval, show in _predicted(entry.predicted):
        value = measured.get(_FIELD_OF[name])
        shown = "not measured" if value is None else show(value)
        known = interval is not None and value is not None
        inside = ("✓" if interval.low <= value <= interval.high else "✗") if known else "–"  # type: ignore[union-attr]
        table.add_row(name, _range(interval, show), shown, inside)
    yield table


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
    table = _table("run", "state", "method", "steps", "time", "memory")
    for one in runs:
        measured = one.measured or {}
        table.add_row(
            safe_text(one.run_id),
            one.state,
            f"{_words(one.approach)} ({one.method})",
            f"{one.step}/{one.max_steps}",
            _arrow(one.predicted["wall_hours"], measured.get("wall_hours"), show_hours),
            _arrow(one.predicted["memory_gb_per_gpu"], measured.get("memory_gb_per_gpu"), show_gb),
        )
    yield table


def _arrow(predicted: Mapping[str, float] | None, measured: float | None, show: Show) -> str:
    before = show(predicted["mid"]) if predicted else UNKNOWN
    return f"{before} → {'not measured' if measured is None else show(measured)}"


def catalog_lines(kind: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """Yield one kind of fact as a table; `--json` has every column and source."""
    columns = {
        "gpus": ("id", "memory_gb", "bf16_tflops", "memory_bandwidth_gbs", "tdp_w", "verified"),
        "models": ("id", "params", "kind", "licence", "release_date", "licence_verified"),
        "prices": ("provider", "gpu", "usd_per_gpu_hour", "spot_usd_per_gpu_hour", "date"),
    }[kind]
    table = _table(*columns)
    for row in rows:
        table.add_row(*(_fact(row[name]) for name in columns))
    yield table
    yield Text("each fact has its source and date: --json shows them")


def _fact(value: object) -> str:
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, (int, float)):
        return show_count(value)
    return safe_text(value)


def _section(title: str, lines: Sequence[str]) -> Iterator[RenderableType]:
    if not lines:
        return
    yield Text(f"\n{title}", style="bold")
    for line in lines:
        yield Padding(Text(safe_text(line, longest=600)), (0, 0, 0, 2))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _cells(interval: Range | None, show: Show) -> tuple[str, str, str]:
    if interval is None:
        return (UNKNOWN, UNKNOWN, UNKNOWN)
    return (show(interval.low), show(interval.mid), show(interval.high))


def _range(interval: Range | None, show: Show) -> str:
    if interval is None:
        return UNKNOWN
    return f"{show(interval.low)} – {show(interval.high)}"


def _words(approach: str | None) -> str:
    return (approach or "nothing").replace("_", " ")
