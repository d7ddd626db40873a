"""An estimate as text: ranges, memory by part, money, energy, serving, what was assumed."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from advisor.estimation.documents import Estimate, Range, ServingEstimate
from advisor.report.drawing import Show, cells, section, span, table_of
from advisor.safe_text import safe_text
from advisor.units import show_count, show_gb, show_hours, show_number, show_usd

MOST_SERVICES = 6
MS_PER_HOUR = 3.6e6


def estimate_lines(found: Estimate) -> Iterator[RenderableType]:
    """Yield an estimate: its ranges, its memory by part, what it costs, and what was assumed."""
    table = table_of("80 % interval", "low", "mid", "high")
    for name, interval, show in _ranges(found):
        table.add_row(name, *cells(interval, show))
    yield table
    yield Text(f"{'fits' if found.fits else 'does not fit'} · basis {found.basis}", style="bold")
    parts = found.memory_gb_per_gpu.parts.model_dump().items()
    held = ", ".join(f"{name} {show_gb(size)}" for name, size in parts if size)
    disk = f"{show_gb(found.disk_gb)}, of it {show_gb(found.download_gb)} to be downloaded"
    yield from section("Memory and disk", [f"at the peak: {held}", f"disk: {disk}"])
    yield from section("Money and energy", list(_money(found)))
    yield from section("Serving it", list(serving_lines(found)))
    yield from section("Tuned by a service instead", list(hosted_lines(found)))
    yield from section("Assumed", found.assumptions)
    yield from section("Formulas", [f"{one.name} [{one.source}]" for one in found.formulas])


def serving_lines(found: Estimate) -> Iterator[str]:
    """Yield what serving takes, where the calls are known."""
    serving = found.serving
    if serving is None:
        return
    yield f"{_machines(serving)} at {show_count(serving.calls_per_day)} calls a day"
    if serving.usd_per_month:
        yield f"{_between(serving.usd_per_month, show_usd)} a month"
    most = _between(serving.most_calls_per_day, _show_roughly)
    yield f"one copy holds {show_gb(serving.memory_gb)} and carries {most} calls a day"
    met = {None: "", True: ", as fast as asked for", False: ", slower than asked for"}
    yield f"a call alone takes {_between(serving.latency_ms, _show_ms)}{met[serving.latency_met]}"
    if serving.compared_with:
        yield _break_even(serving)


def hosted_lines(found: Estimate) -> Iterator[str]:
    """Yield what services ask for tuning on the same tokens, the cheapest first."""
    for one in found.alternatives[:MOST_SERVICES]:
        doubt = "" if one.verified else ", not verified"
        yield f"{one.provider} {one.model}: {show_usd(one.usd)} ({one.price_date}{doubt})"
    more = len(found.alternatives) - MOST_SERVICES
    if more > 0:
        yield f"and {more} more: --json shows them"


def _ranges(found: Estimate) -> list[tuple[str, Range | None, Show]]:
    energy = found.energy
    return [
        ("wall time", found.wall_hours, show_hours),
        ("GPU hours", found.gpu_hours, show_number),
        ("cost", found.cost_usd, show_usd),
        ("tokens/s on each GPU", found.tokens_per_second_per_gpu, show_number),
        ("memory on each GPU", found.memory_gb_per_gpu, show_gb),
        ("energy", energy.kwh if energy else None, lambda kwh: f"{show_number(kwh)} kWh"),
        ("CO2e", energy.co2_kg if energy else None, lambda kg: f"{show_number(kg)} kg"),
    ]


def _money(found: Estimate) -> Iterator[str]:
    if found.cost_usd:
        dated = f" ({found.cost_usd.price_date})" if found.cost_usd.price_date else ""
        yield f"price: {safe_text(found.cost_usd.price_source, longest=400)}{dated}"
    if found.energy:
        energy = found.energy
        yield (
            f"power: {energy.watts_per_gpu:.0f} W for each GPU with its share of the machine, "
            f"x {energy.pue:g} for the building"
        )
        yield (
            f"grid: {energy.grid}, {energy.grid_g_per_kwh:g} g CO2e a kWh "
            f"[{energy.grid_source}, {energy.grid_date}]"
        )


def _machines(serving: ServingEstimate) -> str:
    gpus = serving.copies * serving.gpus_per_copy
    copies = "" if serving.copies == 1 else f" ({serving.copies} copies)"
    return f"{gpus} × {serving.gpu}{copies}"


def _break_even(serving: ServingEstimate) -> str:
    if serving.break_even_calls_per_day is None:
        return f"never cheaper than {serving.compared_with}"
    calls = _show_roughly(serving.break_even_calls_per_day)
    return f"cheaper than {serving.compared_with} from {calls} calls a day on"


def _between(interval: Range, show: Show) -> str:
    """Return the median and, where they differ, the ends of its interval."""
    if interval.low == interval.high:
        return f"about {show(interval.mid)}"
    return f"about {show(interval.mid)} ({span(interval, show)})"


def _show_roughly(count: float) -> str:
    """Return a count with two digits: more of them nobody knows."""
    return show_count(float(f"{count:.2g}"))


def _show_ms(milliseconds: float) -> str:
    return show_hours(milliseconds / MS_PER_HOUR)
