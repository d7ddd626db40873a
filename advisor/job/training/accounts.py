"""Writes profile/phases.json: where the time went, how well the device was used, what to change."""

from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Final

import torch

from ..files import say, write_json
from .bottleneck import bound_of
from .profiling import phase_table, seconds_of_a_span
from .progress import Progress

if TYPE_CHECKING:
    from .loop import Loop

PEAK_SECONDS: Final = 0.3
PEAK_SIZE: Final = {"cpu": 1024, "cuda": 8192}


def write_profile(loop: "Loop") -> str:
    """Write the account of the run; return the sentence on what it was bound by."""
    progress, device = loop.progress, loop.task.hardware.device
    table = phase_table(progress.phases, total=progress.seconds)
    peak, source = _peak(loop)
    shares = _shares(progress, table)
    name, sentence = bound_of(shares)
    document = {
        "steps": progress.step,
        "seconds": table,
        "tokens_per_second": round(progress.tokens_per_second, 2),
        "padding_share": shares["padding"],
        "flops_per_token": progress.flops_per_token,
        "peak_flops": peak,
        "peak_source": source,
        "mfu": _mfu(progress, peak, loop.args.world_size),
        "memory_gb_after": progress.memory_after,
        "operator_shares": progress.operators,
        "energy_joules": progress.joules,
        "instrumented_share": _instrumented(progress, device),
        "bound_by": name,
        "sentence": sentence,
    }
    folder = loop.task.folder / "profile"
    folder.mkdir(exist_ok=True)
    write_json(folder / "phases.json", document)
    say(sentence)
    return sentence


def _shares(progress: Progress, table: Mapping[str, float]) -> dict[str, float | None]:
    total = sum(seconds for name, seconds in table.items() if name != "profile") or 1.0
    padding = 1 - progress.all.tokens / progress.slots if progress.slots else None
    shares = {name: seconds / total for name, seconds in table.items()}
    return {**shares, **progress.operators, "padding": padding and round(padding, 4)}


def _mfu(progress: Progress, peak: float | None, devices: int) -> float | None:
    """Return the share of the peak that went into the model's own arithmetic."""
    if peak is None or progress.flops_per_token is None:
        return None
    achieved = progress.flops_per_token * progress.tokens_per_second / devices
    return round(achieved / peak, 4)


def _peak(loop: "Loop") -> tuple[float, str]:
    """Return the operations a second that the device can do, and where that is known from."""
    hardware = loop.task.hardware
    dtype = hardware.mixed or torch.float32
    name = str(dtype).removeprefix("torch.")
    return measured_peak(hardware.device, dtype), f"measured: a large matrix product in {name}"


def measured_peak(device: str, dtype: torch.dtype) -> float:
    """Return the operations a second of the fastest of several large matrix products."""
    size = PEAK_SIZE[device]
    one = torch.ones(size, size, device=device, dtype=dtype)
    out = torch.empty_like(one)
    fastest, began = float("inf"), perf_counter()
    while perf_counter() - began < PEAK_SECONDS:
        started = perf_counter()
        torch.mm(one, one, out=out)
        if device == "cuda":
            torch.cuda.synchronize()
        fastest = min(fastest, perf_counter() - started)
    return 2 * size**3 / fastest


def _instrumented(progress: Progress, device: str) -> float | None:
    """Return the share of the time that measuring took: timed phases, and accounts of steps."""
    if not progress.seconds:
        return None
    spent = progress.spans * seconds_of_a_span(device) + progress.bookkeeping
    return round(spent / progress.seconds, 6)
