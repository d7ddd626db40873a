"""What the run screen says of a run: state, progress, and predicted beside actual."""

from collections.abc import Mapping
from typing import Any

from textual.content import Content

from advisor.estimation.documents import Range
from advisor.machine import LocalGpu
from advisor.report.drawing import Show, span, words
from advisor.report.runs import scores_of
from advisor.runs.history import Findings, RunEntry
from advisor.tui.naming import base_in_words
from advisor.tui.page import Page
from advisor.tui.watching import RUNNING, RunView
from advisor.units import show_gb, show_hours, show_number, show_usd

MARKS: Mapping[str, str] = {
    "created": "·",
    RUNNING: "►",
    "done": "✓",
    "failed": "✗",
    "interrupted": "!",
}
BAR_CELLS = 24
UNMEASURED = "not yet"


def mark_of(state: str) -> str:
    """Return the sign of a state; the word stands beside it."""
    return MARKS.get(state, "?")


def head_page(view: RunView, width: int) -> Content:
    """Return the run's name and state, its bar, and what went wrong if anything did."""
    page, entry, now = Page(width), view.entry, view.progress
    state = entry.state if view.alive or entry.state != RUNNING else "interrupted"
    page.row((f"{mark_of(state)} {state}  ", "bold"), (entry.run_id, "bold"))
    base = base_in_words(entry.base_model)
    page.row((f"{words(entry.approach)} ({entry.method}) of {base}", "dim"))
    page.row((f"{_bar(now.step, now.max_steps or entry.max_steps)}  ", ""), (_told(view), ""))
    if view.trouble:
        page.add(view.trouble, mark="✗", style="bold")
    elif entry.verdict:
        page.add(entry.verdict, mark="✓", style="bold")
    elif state == "interrupted":
        page.add(f"go on with: advisor resume {entry.folder}", mark="!")
    return page.content()


def _bar(step: int, steps: int) -> str:
    full = round(BAR_CELLS * min(1.0, step / max(1, steps)))
    return f"▕{'█' * full}{'░' * (BAR_CELLS - full)}▏ {step:,}/{steps:,} steps"


def _told(view: RunView) -> str:
    now = view.progress
    told = [] if view.entry.state == "done" else [now.doing]
    if now.loss is not None:
        told.append(f"loss {now.loss:.3g}")
    if view.validation:
        told.append(f"validation {view.validation[-1][1]:.3g}")
    if view.alive and now.seconds_left and now.phase == "training":
        told.append(f"{show_hours(now.seconds_left / 3600)} left")
    return " · ".join(told)


def compared_page(view: RunView, gpus: tuple[LocalGpu, ...] | None, width: int) -> Content:
    """Return predicted beside actual, then what the process takes of the machine."""
    page, entry = Page(width), view.entry
    page.row((f"{'':<9}{'predicted':<18}{'actual':<10}", "dim"))
    measured = entry.measured or {}
    rows: tuple[tuple[str, str, float | None, Show], ...] = (
        ("time", "wall_hours", view.hours_in_all, show_hours),
        ("memory", "memory_gb_per_gpu", view.progress.memory_gb, show_gb),
        ("tokens/s", "tokens_per_second_per_gpu", view.progress.tokens_per_second, show_number),
        ("cost", "cost_usd", None, show_usd),
    )
    for name, field, live, show in rows:
        final = measured.get(field)
        _compared(page, name, (entry.predicted.get(field), final or live), show)
    page.gap()
    _add_findings(page, entry.findings)
    for line in _vital_lines(view, gpus):
        page.add(line)
    return page.content()


def _add_findings(page: Page, found: Findings) -> None:
    """Add what a finished run found: its score beside the base's, and what it cost and met."""
    if found.headline:
        way = "higher" if found.headline.higher_is_better else "lower"
        page.add(f"{found.headline.title}, {way} is better", style="dim")
        page.add(" · ".join(f"{name} {told}" for name, told in scores_of(found.headline)))
    if found.forgetting:
        before, after = found.forgetting
        page.add(f"loss on general text {before:.3g} → {after:.3g}")
    if found.profile:
        page.add(found.profile)
    for rung in found.ladder:
        page.add(f"memory was short: {rung}", mark="!")
    if found != Findings():
        page.gap()


def _compared(page: Page, name: str, pair: tuple[Any, float | None], show: Show) -> None:
    predicted, actual = pair
    told = span(Range.model_validate(predicted) if predicted else None, show)
    shown = UNMEASURED if actual is None else show(actual)
    page.row((f"{name:<9}", "dim"), (f"{told:<18}{shown:<10}", ""), (_inside(*pair), "bold"))


def _inside(predicted: Mapping[str, float] | None, actual: float | None) -> str:
    if not predicted or actual is None:
        return ""
    if actual < predicted["low"]:
        return "▼ under"
    return "▲ over" if actual > predicted["high"] else "✓ in"


def _vital_lines(view: RunView, gpus: tuple[LocalGpu, ...] | None) -> list[str]:
    lines = []
    if view.vitals is not None:
        lines.append(f"CPU      {view.vitals.cpu_percent:.0f} % of a core")
        lines.append(f"process  {show_gb(view.vitals.memory_gb)} of memory")
    if gpus is not None:
        names = ", ".join(gpu.name for gpu in gpus)
        lines.append(f"GPU      {names or 'none found: training on the CPU'}")
    return lines


def run_row(entry: RunEntry, width: int) -> Content:
    """Return one run of the list: two lines, the second predicted → measured."""
    page, measured = Page(width), entry.measured or {}
    steps = f"{entry.step:,}/{entry.max_steps:,}"
    page.row(
        (f"{mark_of(entry.state)} {entry.state:<11} ", "bold"),
        (entry.run_id, ""),
        (f"  {words(entry.approach)} ({entry.method}) {steps} steps", "dim"),
    )
    pairs = (
        ("time", "wall_hours", show_hours),
        ("memory", "memory_gb_per_gpu", show_gb),
        ("tokens/s", "tokens_per_second_per_gpu", show_number),
    )
    told = [
        f"{name} {_arrow(entry.predicted.get(field), measured.get(field), show)}"
        for name, field, show in pairs
    ]
    page.row((f"  {' · '.join(told)}", "dim"))
    return page.content()


def _arrow(predicted: Mapping[str, float] | None, measured: float | None, show: Show) -> str:
    before = show(predicted["mid"]) if predicted else "unknown"
    return f"{before} → {'?' if measured is None else show(measured)}"
