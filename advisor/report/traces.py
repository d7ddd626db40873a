"""A trace as text: what the real model holds beside what the formula says, part by part."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from advisor.estimation.documents import Trace
from advisor.report.drawing import table_of
from advisor.units import show_gb

# A part below this share of all says nothing by its own difference.
NEGLIGIBLE = 0.001
_STACKS = {
    "n_layers": "blocks",
    "n_encoder_layers": "encoder blocks",
    "n_decoder_layers": "decoder blocks",
}


def trace_lines(found: Trace) -> Iterator[RenderableType]:
    """Yield a trace: the difference first, then the parts, then how it was come by."""
    yield Text(f"\nSecond opinion, traced in {found.seconds:g} s", style="bold")
    table = table_of("memory of tensors", "traced", "formula", "difference")
    for name, part in found.parts.items():
        matters = part.traced > NEGLIGIBLE * found.traced_gb
        difference = f"{part.formula / part.traced - 1:+.1%}" if matters else "–"
        table.add_row(name, show_gb(part.traced), show_gb(part.formula), difference)
    total = (show_gb(found.traced_gb), show_gb(found.formula_gb), f"{found.difference:+.1%}")
    table.add_row("all", *total, style="bold")
    yield table
    yield Text(f"fullest moment: {found.moment}")
    yield from map(Text, found.notes)
    yield Text(
        f"one step of the model's own code with {_depths(found)}, extended to its full depth "
        f"({', '.join(f'{name} {version}' for name, version in found.versions.items())})"
    )


def _depths(found: Trace) -> str:
    return " and then ".join(
        " + ".join(f"{count} {_STACKS[stack]}" for stack, count in depth.items())
        for depth in found.depths
    )
