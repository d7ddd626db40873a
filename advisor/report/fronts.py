"""A front of time against money as text: a drawing, a table, and what it rests on."""

import math
from collections.abc import Iterator, Sequence
from string import ascii_letters

from rich.console import RenderableType
from rich.text import Text

from advisor.estimation.documents import EstimateRequest
from advisor.report.drawing import section, span, table_of
from advisor.safe_text import safe_text
from advisor.search.documents import FrontRow, MethodEntry, Nearest, Offer, Search
from advisor.units import show_count, show_gb, show_hours, show_usd

WIDTH, HEIGHT = 56, 12
# What the labels of the time axis take on the left.
MARGIN = 12


def search_lines(found: Search) -> Iterator[RenderableType]:
    """Yield a search: how much was looked at, the front, and the ends for each method."""
    yield _summary(found)
    if found.nearest:
        yield from _nearest_lines(found.nearest)
    elif len(found.front) > 1:
        yield Text("")
        yield from map(Text, drawn(found.front))
    if found.front:
        yield Text("")
        yield from _front_lines(found.front)
    if len(found.methods) > 1 and found.front:
        yield Text("\nMethods, each at its cheapest and its fastest", style="bold")
        yield _method_table(found.methods)
    yield from section("Assumed", found.assumptions)


def _summary(found: Search) -> Text:
    kinds = found.gpus - found.unpriced
    looked = f"{show_count(found.searched)} combinations on {kinds} kind{'s'[: kinds != 1]} of GPU"
    limits = [
        f"within {show_hours(found.deadline_hours)}" if found.deadline_hours is not None else "",
        f"for {show_usd(found.budget_usd)}" if found.budget_usd is not None else "",
    ]
    within = " and ".join(limit for limit in limits if limit)
    kept = f", {show_count(found.feasible)} {within}" if within else ""
    return Text(f"{looked}: {show_count(found.fitting)} fit{kept}", style="bold")


def _nearest_lines(nearest: Nearest) -> Iterator[RenderableType]:
    show = {"memory": show_gb, "time": show_hours, "money": show_usd}
    missing = [
        f"{one.what}: needs {show[one.what](one.needs)}, has {show[one.what](one.has)}"
        for one in nearest.short
    ]
    yield Text("Nothing is feasible. The nearest:", style="bold")
    yield from _front_lines([nearest.row])
    yield from section("Short of", missing)


def drawn(front: Sequence[FrontRow]) -> list[str]:
    """Return the front as lines of text: money to the right, time upwards, both by powers."""
    across = [_log(row.cost_usd.mid) for row in front]
    upwards = [_log(row.wall_hours.mid) for row in front]
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    columns = [_place(value, across, WIDTH) for value in across]
    heights = [_place(value, upwards, HEIGHT) for value in upwards]
    for name, column, height in reversed(list(zip(_names(front), columns, heights, strict=True))):
        grid[HEIGHT - 1 - height][column] = name
    slowest, fastest = show_hours(front[0].wall_hours.mid), show_hours(front[-1].wall_hours.mid)
    labels = {0: slowest, HEIGHT - 1: fastest}
    lines = [
        f"{labels.get(place, ''):>{MARGIN - 2}} ┤{''.join(cells)}".rstrip()
        for place, cells in enumerate(grid)
    ]
    cheapest, dearest = show_usd(front[0].cost_usd.mid), show_usd(front[-1].cost_usd.mid)
    space = " " * MARGIN
    return [
        *lines,
        f"{space[:-1]}└{'─' * WIDTH}",
        f"{space}{cheapest}{dearest:>{WIDTH - len(cheapest)}}",
    ]


def _log(value: float) -> float:
    return math.log(max(value, 1e-9))


def _place(value: float, values: Sequence[float], cells: int) -> int:
    low, high = min(values), max(values)
    return round((value - low) / (high - low) * (cells - 1)) if high > low else 0


def _names(front: Sequence[FrontRow]) -> list[str]:
    """Return a letter for each row; those beyond the alphabet share a dot."""
    return [
        ascii_letters[place] if place < len(ascii_letters) else "·" for place in range(len(front))
    ]


def _front_lines(front: Sequence[FrontRow]) -> Iterator[Text]:
    """Yield two lines for each row, so that 80 columns hold them: what it takes, and how."""
    cells = [
        (
            name,
            _hardware(row.request.gpu, row.request.gpus),
            span(row.wall_hours, show_hours),
            span(row.cost_usd, show_usd),
            f"≤ {show_gb(row.memory_gb_per_gpu.high)}",
        )
        for name, row in zip(_names(front), front, strict=True)
    ]
    head = ("", "GPUs", "time", "cost", "memory of each")
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    yield _line(head, widths, style="dim")
    for row, line in zip(front, cells, strict=True):
        yield _line(line, widths)
        how = [*_layout(row.request), *row.marks]
        yield Text(f"{' ' * (widths[0] + 2)}{', '.join(how)}")


def _line(cells: Sequence[str], widths: Sequence[int], style: str = "") -> Text:
    padded = (f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
    return Text("  ".join(padded).rstrip(), style=style)


def _hardware(gpu: str | None, gpus: int | None) -> str:
    return f"{gpus} × {safe_text(gpu or '')}"


def _layout(request: EstimateRequest) -> Iterator[str]:
    yield str(request.method)
    if request.sharding == "tp_pp":
        yield f"tensors over {request.tensor_parallel}, layers over {request.pipeline_parallel}"
    elif request.sharding != "single":
        yield str(request.sharding)
    if request.gradient_checkpointing != "no":
        full = request.gradient_checkpointing == "yes"
        yield "checkpointing" if full else "selective checkpointing"
    yield f"micro-batch {request.micro_batch}"


def _method_table(methods: Sequence[MethodEntry]) -> RenderableType:
    table = table_of("method", "cheapest", "", "fastest", "")
    for entry in methods:
        ends = (entry.cheapest, entry.fastest)
        table.add_row(entry.method, *(cell for offer in ends for cell in _offer_cells(offer)))
    return table


def _offer_cells(offer: Offer | None) -> tuple[str, str]:
    return (show_hours(offer.wall_hours), show_usd(offer.cost_usd)) if offer else ("–", "–")
