"""What the plan dialog says: what will be written and started, and what it is expected to take."""

from collections.abc import Iterator

from textual.content import Content

from advisor.errors import AdvisorError
from advisor.machine import Machine
from advisor.planning import Plan
from advisor.planning.inputs import TRAIN
from advisor.planning.plan import GENERATED_TEXT
from advisor.planning.sources import flattened
from advisor.report.drawing import span, words
from advisor.tui.naming import base_in_words, hardware_in_words
from advisor.tui.page import Page
from advisor.tui.store import Planned
from advisor.units import show_bytes, show_count, show_gb, show_hours, show_usd


def plan_page(planned: Planned, width: int) -> Content:
    """Return the plan for a confirmation."""
    page, plan, machine = Page(width), planned.proposal.plan, planned.proposal.machine
    if planned.obstacle is not None:
        for line in fault_lines(planned.obstacle):
            page.add(line, mark="✗", style="bold")
    base = base_in_words(plan.base_model)
    page.add(f"{words(plan.approach)} ({plan.method}) of {base}", style="bold")
    for name, told in _rows(plan, machine):
        page.add(told, mark=f"{name:<7}")
    for warning in plan.warnings:
        page.add(warning, mark="!")
    return page.content()


def why_page(planned: Planned, width: int) -> Content:
    """Return every setting of the plan that has a source, with its value."""
    page = Page(width)
    for stage in planned.proposal.plan.stages:
        page.head(f"{words(stage.approach)} ({stage.method})")
        held = flattened(stage.settings)
        for name, source in stage.sources.items():
            page.add(f"{words(name)} {_value(held[name])}", style="bold")
            page.add(source, indent=2)
    return page.content()


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _work(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield the steps of each stage, or what is asked where nothing is trained."""
    for stage in plan.stages:
        settings = stage.settings
        name = f" of {words(stage.approach)} ({stage.method})," if plan.earlier else " of"
        sizes = f"{settings['micro_batch']} × {settings['gradient_accumulation']}"
        if stage.steps:
            yield (
                "steps",
                f"{stage.steps:,}{name} {sizes} sequences of {settings['seq_len']} tokens",
            )
        else:
            yield "ask", f"{settings['eval_examples']} examples at most, nothing is trained"


def _read(plan: Plan) -> str:
    """Return the files that are given, those to train on first."""
    told = {
        f"{one.path} ({show_bytes(one.bytes)}{'' if one.role == TRAIN else f', {words(one.role)}'})"
        for stage in plan.stages
        for one in stage.data.files
        if one.path != GENERATED_TEXT
    }
    records = sum(stage.data.records for stage in plan.stages)
    return f"{show_count(records)} records: {', '.join(sorted(told))}"


def _rows(plan: Plan, machine: Machine) -> list[tuple[str, str]]:
    predicted = plan.predictions
    hardware = hardware_in_words(plan.gpus, plan.gpu)
    return [
        ("write", f"runs/{plan.run_id}, up to {show_gb(plan.disk_gb)}"),
        ("start", f"a process of its own on {hardware}, which outlives this one"),
        ("read", _read(plan)),
        *_work(plan),
        ("time", span(predicted.wall_hours, show_hours)),
        ("cost", span(predicted.cost_usd, show_usd)),
        ("memory", f"{span(predicted.memory_gb_per_gpu, show_gb)} of {_here(plan, machine)}"),
    ]


def _here(plan: Plan, machine: Machine) -> str:
    if not plan.is_local and not machine.gpus:
        return f"{plan.gpu}, which is not here"
    gpu = next(iter(machine.gpus), None)
    if gpu is not None:
        return f"{show_gb(gpu.memory_gb)} ({gpu.name})"
    return f"{show_gb(machine.ram_gb)} here, without a GPU"


def fault_lines(error: AdvisorError) -> list[str]:
    """Return an error as lines for people: what, where, what to do."""
    return [" – ".join(parts) for parts in error.told()]
