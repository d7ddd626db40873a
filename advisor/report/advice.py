"""Recommendations, estimates and facts as text: the verdict first, then what it rests on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from advisor.estimation.documents import Estimate, Range
from advisor.recommendation import (
    FlipEntry,
    OptionEntry,
    Reason,
    Recommendation,
    SimilarCaseEntry,
)
from advisor.report.drawing import UNKNOWN, Show, cells, section, span, table_of, words
from advisor.safe_text import safe_text
from advisor.units import show_count, show_gb, show_hours, show_number, show_usd

MOST_REASONS = 6
_NO_BASE = {"pretrain": "own", "no_training": "any"}


def recommendation_lines(found: Recommendation) -> Iterator[RenderableType]:
    """Yield a recommendation: verdict, options, reasons, conflicts, what to do next."""
    yield _verdict(found)
    yield _options(found.options)
    yield from section("Why", [_reason(one) for one in _strongest(found)])
    yield from section("Conflicts", [_conflict(one.rules, one.why) for one in found.conflicts])
    yield from section("Base model", _base(found))
    yield from section("Settings", _settings(found))
    blocked = [_blockers(one) for one in found.options if one.blockers]
    yield from section("In the way", blocked)
    asked = [f"{one.question.replace('_', '-')}: {one.why}" for one in found.ask_next or ()]
    yield from section("Answer next", asked)
    yield from section("Would change it", [_flip(one) for one in found.flips or ()])
    yield from section("Projects like it", [_similar(one) for one in found.similar_cases])
    yield from section("Checklist", found.checklist)
    yield from section("Warnings", [f"! {one}" for one in found.warnings])


def _verdict(found: Recommendation) -> Text:
    best = found.recommended
    if best is None:
        return Text("Nothing is feasible as answered.", style="bold")
    verdict = Text(safe_text(best.summary), style="bold")
    if len(best.stages) > 1:
        verdict.append(f"\nIn stages: {', then '.join(words(one) for one in best.stages)}.")
    if best.confidence is not None:
        verdict.append(f"\nConfidence {best.confidence:.0%}, as such advice fared on known cases.")
    if best.next_step:
        verdict.append(f"\nFirst: {best.next_step}.")
    if found.documents_only.approach not in (None, best.approach):
        verdict.append(f"\nThe articles alone would say: {words(found.documents_only.approach)}.")
    return verdict


def _base(found: Recommendation) -> list[str]:
    best = found.recommended
    if best is None or best.base_model is None:
        return []
    others = ", ".join(best.alternatives)
    lines = [f"{best.base_model}: {'; '.join(best.base_reasons)}"]
    return [*lines, f"also looked at: {others}"] if others else lines


def _settings(found: Recommendation) -> list[str]:
    settings = found.recommended.settings if found.recommended else ()
    carried_out = [f"{words(one.name)} {one.value}" for one in settings if one.applied]
    advised = [f"{words(one.name)} {one.value}: {one.why}" for one in settings if not one.applied]
    return ([", ".join(carried_out)] if carried_out else []) + advised


def _similar(case: SimilarCaseEntry) -> str:
    return f"{case.project} ({case.year}) chose {words(case.chose)}: {case.outcome} [{case.source}]"


def _options(options: Sequence[OptionEntry]) -> Table:
    table = table_of("approach", "method", "base model", "score", "time", "cost", "memory")
    for one in options:
        mark = "✓" if one.feasible else "✗"
        estimate = one.estimate
        table.add_row(
            f"{mark} {words(one.approach)}",
            one.method,
            (one.base_model or _NO_BASE.get(one.approach, "–")).rpartition("/")[2],
            f"{one.score:g}",
            span(estimate.wall_hours, show_hours) if estimate else "–",
            span(estimate.cost_usd, show_usd) if estimate else "–",
            span(estimate.memory_gb_per_gpu, show_gb) if estimate else "–",
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


def _flip(flip: FlipEntry) -> str:
    name, value = next(iter(flip.change.items()))
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    to = words(flip.to) if flip.to else "nothing is feasible"
    return f"{words(name)} = {words(shown)} → {to}: {flip.why}"


def _conflict(rules: Sequence[str], why: str) -> str:
    return f"{why} [{', '.join(rules)}]"


def _blockers(option: OptionEntry) -> str:
    parts = [
        f"{one.what}: needs {one.needs}, has {one.has} → {one.nearest_fix}"
        for one in option.blockers
    ]
    return f"{words(option.approach)} – {'; '.join(parts)}"


def estimate_lines(found: Estimate) -> Iterator[RenderableType]:
    """Yield an estimate: its ranges, its memory by part, and what was assumed."""
    table = table_of("80 % interval", "low", "mid", "high")
    rows: list[tuple[str, Range | None, Show]] = [
        ("wall time", found.wall_hours, show_hours),
        ("GPU hours", found.gpu_hours, show_number),
        ("cost", found.cost_usd, show_usd),
        ("tokens/s on each GPU", found.tokens_per_second_per_gpu, show_number),
        ("memory on each GPU", found.memory_gb_per_gpu, show_gb),
    ]
    for name, interval, show in rows:
        table.add_row(name, *cells(interval, show))
    yield table
    yield Text(f"{'fits' if found.fits else 'does not fit'} · basis {found.basis}", style="bold")
    parts = found.memory_gb_per_gpu.parts.model_dump().items()
    yield Text("memory: " + ", ".join(f"{name} {show_gb(size)}" for name, size in parts if size))
    if found.cost_usd:
        yield Text(f"price: {found.cost_usd.price_source} ({found.cost_usd.price_date})")
    yield from section("Assumed", found.assumptions)
    yield from section("Formulas", [f"{one.name} [{one.source}]" for one in found.formulas])


def catalog_lines(kind: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """Yield one kind of fact as a table; `--json` has every column and source."""
    columns = {
        "gpus": ("id", "memory_gb", "bf16_tflops", "memory_bandwidth_gbs", "tdp_w", "verified"),
        "models": ("id", "params", "kind", "licence", "release_date", "licence_verified"),
        "prices": ("provider", "gpu", "usd_per_gpu_hour", "spot_usd_per_gpu_hour", "date"),
    }[kind]
    table = table_of(*columns)
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
