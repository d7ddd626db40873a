"""How long the steps of a job take on its GPU."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from advisor.catalog import Utilisation
from advisor.estimation import processor
from advisor.estimation.demand import Demand, demand_of
from advisor.estimation.training_job import FSDP_LIKE, Device, TrainingJob
from advisor.estimation.work import operations

Table = Mapping[tuple[str, str], Utilisation]

# GPUs of one machine talk over its fast link; machines over a network.
GPUS_PER_MACHINE = 8
SLOWEST_HBM_GBS = 880.0
# Two things that overlap take a little longer than the longer of them.
OVERLAP = 3.0
# Frameworks that split tensors and layers come with kernels made for it.
TUNED = "tp_pp"


class Speed(NamedTuple):
    """Tokens per second of one GPU, and the share of its peak that the model's work reaches."""

    tokens_per_second: float
    mfu: float | None


class Rates(NamedTuple):
    """What one GPU reaches in a job: operations per second, bytes per second, seconds a start."""

    linear: float
    half: float
    attention: float
    memory: float
    scores: float
    launch: float
    unpack: float
    link: float
    network: float
    factor: float


def speed(job: TrainingJob, table: Table) -> Speed:
    """Return the throughput of one GPU in the middle of training, or over a whole run."""
    if job.device.is_cpu:
        seconds = processor.step_seconds(job, table)
    else:
        seconds = step_seconds(demand_of(job), rates_of(job, table))
        seconds *= processor.measured_factor(job)
    rate = throughput(job, seconds, table)
    peak = peak_flops(job)
    return Speed(rate, mfu=rate * operations(job).model / peak if peak else None)


def throughput(job: TrainingJob, seconds: float, table: Table) -> float:
    """Return the tokens per second of one GPU where a step of `job` takes `seconds`."""
    return job.step_tokens / seconds / job.gpus * availability(job, table)


def step_seconds(demand: Demand, rates: Rates) -> float:
    """Return the seconds of one optimizer step."""
    busy = (
        demand.linear / rates.linear
        + demand.half / rates.half
        + demand.attention / rates.attention
        + demand.moved / rates.memory
        + demand.scores_moved / rates.scores
        + demand.summed / rates.link
        + demand.unpacked / rates.unpack
    )
    busy *= rates.factor
    waits = demand.launches * rates.launch, demand.gathered / rates.network
    micro = _overlapped(busy, *waits) * (1 + demand.idle)
    step = micro * demand.accumulation
    return _overlapped(step, demand.reduced / rates.network) + demand.updated / rates.memory


def _overlapped(*seconds: float) -> float:
    """Return how long things take together that overlap; in between the longest and the sum."""
    return float(sum(each**OVERLAP for each in seconds) ** (1 / OVERLAP))


def rates_of(job: TrainingJob, table: Table) -> Rates:
    """Return what the GPU of `job` reaches."""
    device, tuned = job.device, job.sharding == TUNED
    half = device.tflops["bf16" if job.precision == "fp8" else job.precision] * 1e12
    reached = half * table["efficiency", efficiency_case(device, table)].value
    if tuned:
        reached *= table["factor", "split"].value
    bandwidth = device.memory_bandwidth_gbs * 1e9
    quantized = ("unpack", job.quantization or "nf4")
    light = "fused" if tuned or job.compiled else "eager" if job.shape.gated else "plain"
    return Rates(
        linear=reached * _precision_gain(job, table),
        half=reached,
        attention=half * _attention_share(job, table),
        memory=bandwidth * table["memory", light].value,
        scores=bandwidth * table["memory", "scores"].value if _eager(job) else 1e30,
        launch=table["launch", "eager" if light == "plain" else light].value,
        unpack=bandwidth * (table.get(quantized) or table["unpack", "nf4"]).value,
        link=max(device.interconnect_gbs, 1.0) * 1e9 * table["link", "share"].value,
        network=_network(job, table),
        factor=_factor(job, table) * _scale(job, table),
    )


def _precision_gain(job: TrainingJob, table: Table) -> float:
    """Return how much faster than 16-bit products at their share of the peak the blocks' are."""
    if job.shape.n_experts > 1:
        # The products of experts are too small for fp8 to pay.
        return table["factor", "moe"].value
    if job.precision in {"fp32", "tf32"}:
        return table["precision", job.precision].value
    if job.precision != "fp8":
        return 1.0
    stack = "fused" if job.sharding == TUNED else "eager"
    peaks = job.device.tflops["fp8"] / job.device.tflops["bf16"]
    return max(peaks * table["precision", f"fp8 {stack}"].value, 1.0)


def _attention_share(job: TrainingJob, table: Table) -> float:
    if job.sharding == TUNED:
        return table["attention", "fused"].value
    arch = job.device.arch.split(" ")[0]
    return (table.get(("attention", f"{arch} eager")) or table["attention", "eager"]).value


def _eager(job: TrainingJob) -> bool:
    return job.attention == "eager"


def _factor(job: TrainingJob, table: Table) -> float:
    if job.approach == "full_finetune" and job.sharding in FSDP_LIKE:
        return table["factor", "full_finetune"].value
    return 1.0


def _scale(job: TrainingJob, table: Table) -> float:
    """Return by how much steps slow down as machines that share weights wait for one another."""
    if job.sharding == TUNED:
        return 1.0
    machines = max(job.gpus / GPUS_PER_MACHINE, 1.0)
    return 1 + table["scale", "each doubling"].value * math.log2(machines)


def _network(job: TrainingJob, table: Table) -> float:
    """Return the bytes per second at which one GPU exchanges weights and gradients."""
    link = max(job.device.interconnect_gbs, 1.0) * 1e9 * table["link", "share"].value
    if job.cpu_offload:
        link = min(link, table["link", "host_gbs"].value * 1e9)
    if job.gpus <= GPUS_PER_MACHINE:
        return link
    arch = job.device.arch.split(" ")[0]
    row = table.get(("network", arch)) or table["network", "Ampere"]
    return min(link, row.value * 1e9)


def peak_flops(job: TrainingJob) -> float:
    """Return the dense peak of one GPU in operations per second; 0 for a processor."""
    return job.device.tflops.get(job.precision, 0.0) * 1e12


def availability(job: TrainingJob, table: Table) -> float:
    """Return the share of a whole run that its steady throughput holds."""
    if job.scope == "steady" or job.device.calibration:
        return 1.0
    size = "many" if job.gpus > GPUS_PER_MACHINE else "few"
    return table["availability", size].value


def efficiency_case(device: Device, table: Table) -> str:
    """Return the row of the efficiency table that fits the device best."""
    arch, kind = device.arch.split(" ")[0], memory_kind(device)
    cases = (f"{arch} {kind}", kind, "any")
    return next(case for case in cases if ("efficiency", case) in table)


def memory_kind(device: Device) -> str:
    """Return hbm, gddr or desktop: what limits a card beside its rated peak.

    Professional cards with GDDR are rated at full tensor speed but throttle on power; consumer
    cards are rated at half speed and hold it.
    """
    if device.form in {"desktop", "laptop"}:
        return "desktop"
    return "hbm" if device.memory_bandwidth_gbs >= SLOWEST_HBM_GBS else "gddr"
