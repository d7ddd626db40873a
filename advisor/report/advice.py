"""Recommendations as text: the verdict first, then what it rests on."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from advisor.recommendation import (
    FlipEntry,
    FrontEntry,
    OptionEntry,
    Reason,
    Recommendation,
    SimilarCaseEntry,
)
from advisor.report.drawing import section, span, table_of, words
from advisor.report.estimates import hosted_lines, serving_lines
from advisor.safe_text import safe_text
from advisor.units import show_gb, show_hours, show_usd

MOST_REASONS = 6
_NO_BASE = {"pretrain": "own", "no_training": "any"}


def recommendation_lines(found: Recommendation) -> Iterator[RenderableType]:
    """Yield a recommendation: verdict, options, reasons, conflicts, what to do next."""
    yield _verdict(found)
    yield _options(found.options)
    yield from section("Why", [_reason(one) for one in _strongest(found)])
    yield from section("Cheaper or faster", _near(found.front or ()))
    yield from section("Conflicts", [_conflict(one.rules, one.why) for one in found.conflicts])
    yield from section("Base model", _base(found))
    yield from section("Settings", _settings(found))
    if found.estimate:
        yield from section("Serving it", list(serving_lines(found.estimate)))
        yield from section("Tuned by a service instead", list(hosted_lines(found.estimate)))
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


def _near(front: Sequence[FrontEntry]) -> list[str]:
    """Return a line for each way to run what is recommended, where there is more than one."""
    return [_near_line(one) for one in front] if len(front) > 1 else []


def _near_line(one: FrontEntry) -> str:
    changes = f"other {' and '.join(one.changes)} than answered" if one.changes else ""
    notes = ", ".join(note for note in (*one.marks, changes) if note)
    takes = f"{span(one.wall_hours, show_hours)}, {span(one.cost_usd, show_usd)}"
    return f"{one.gpus} × {one.gpu}: {takes}{f' ({notes})' if notes else ''}"


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
