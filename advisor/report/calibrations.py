"""What a calibration measured, as text."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from advisor.machine.calibration import Calibration
from advisor.report.drawing import table_of
from advisor.safe_text import safe_text
from advisor.units import show_gb, show_number


def calibration_lines(found: Calibration) -> Iterator[RenderableType]:
    """Yield what this machine reaches, and how real runs compare with the formulas."""
    yield Text(f"{safe_text(found.device)}, measured {found.date}", style="bold")
    rates = found.rates
    table = table_of("part of a training step", "measured")
    table.add_row("matrix products", _gflops(rates.matrix_gflops))
    table.add_row("matrix products in bf16", _gflops(rates.matrix_bf16_gflops))
    table.add_row("attention", _gflops(rates.attention_gflops))
    table.add_row("memory", f"{show_number(rates.memory_gbs)} GB/s")
    for name, nanoseconds in (
        ("a number computed and kept", rates.element_ns),
        ("an input dropped out", rates.dropout_ns),
        ("a score of the vocabulary", rates.score_ns),
        ("a parameter updated", rates.update_ns),
    ):
        table.add_row(name, f"{nanoseconds:.2f} ns")
    yield table
    yield from _runs(found)


def _gflops(rate: float | None) -> str:
    return "does not run" if rate is None else f"{show_number(rate)} GFLOP/s"


def _runs(found: Calibration) -> Iterator[RenderableType]:
    table = table_of("real runs", "all weights", "LoRA")
    table.add_row(
        "steps took, times the sum of their parts",
        f"{found.full.time_factor:.2f}",
        f"{found.adapters.time_factor:.2f}",
    )
    table.add_row(
        "memory kept of what comes and goes",
        f"{found.full.kept_share:.0%}",
        f"{found.adapters.kept_share:.0%}",
    )
    table.add_row(
        "start, evaluation and end",
        f"{found.scratch.seconds:.1f} s",
        f"{found.based.seconds:.1f} s",
    )
    yield table
    yield Text(
        f"A run holds {show_gb(found.process_gb)} before its first tensor. The runs lie within"
        f" {found.time_error - 1:.0%} (time) and {found.memory_error - 1:.0%} (memory) of the fit."
    )
