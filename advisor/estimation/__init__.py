"""One concrete job gives its memory, time, money and carbon, each as an 80 % interval."""

from collections.abc import Iterator

from advisor.catalog import Catalog
from advisor.estimation import processor
from advisor.estimation.compute import speed
from advisor.estimation.documents import (
    CostRange,
    Estimate,
    EstimateRequest,
    Formula,
    MemoryParts,
    MemoryRange,
    Range,
    read_request,
)
from advisor.estimation.energy import ENERGY_FORMULA, energy_of, energy_remarks
from advisor.estimation.hosted import alternatives_to, hosted_remarks
from advisor.estimation.interval import Table, interval_remark, memory_bounds, speed_factors, spread
from advisor.estimation.memory import Memory, peak_memory, usable_gb
from advisor.estimation.money import price_remarks
from advisor.estimation.serving import SERVING_FORMULA, serving_of, serving_remarks
from advisor.estimation.states import HALF
from advisor.estimation.training_job import TrainingJob
from advisor.estimation.work import operations

__all__ = [
    "Estimate",
    "EstimateRequest",
    "TrainingJob",
    "estimate_job",
    "price_job",
    "read_request",
    "told",
]

GB = 1e9
SECONDS_PER_HOUR = 3600.0
# A plan keeps two checkpoints: the newest intact one, and the one being written.
CHECKPOINTS = 2
_FORMULAS = (
    Formula.model_construct(
        name="operations per token: 6N, 4N on a frozen base, 2N for recomputation; attention",
        source="Kaplan et al. 2020, arXiv 2001.08361; Korthikanti et al. 2022, arXiv 2205.05198",
    ),
    Formula.model_construct(
        name="weights, gradients and optimizer states per parameter, and how sharding spreads them",
        source="Rajbhandari et al. 2020 (ZeRO), arXiv 1910.02054",
    ),
    Formula.model_construct(
        name="activations per token and block",
        source="counted on the modelling code of transformers 5.23 with PyTorch 2.13",
    ),
    Formula.model_construct(
        name="efficiency and 80 % intervals",
        source="published runs, each group of publications with one vote (utilisation.csv)",
    ),
    ENERGY_FORMULA,
)


def estimate_job(job: TrainingJob, catalog: Catalog) -> Estimate:
    """Return what `job` takes. Pure: the same job and catalogue give the same estimate."""
    return told(price_job(job, catalog), job, catalog)


def price_job(job: TrainingJob, catalog: Catalog) -> Estimate:
    """Return the estimate of `job` as far as it decides: memory, time and money."""
    # The parts are ours and of the right type: checking each would cost every start its share.
    table = catalog.utilisation
    rate = speed(job, table)
    tokens_per_second = rate.tokens_per_second
    hours = hours_of(job, tokens_per_second, table)
    faster, slower = speed_factors(job, table)
    gpu_hours = spread(hours * job.gpus, below=faster, above=slower)
    memory = memory_range(job, catalog)
    return Estimate.model_construct(
        request=job.request,
        wall_hours=spread(hours, below=faster, above=slower),
        gpu_hours=gpu_hours,
        cost_usd=_cost(job, gpu_hours),
        tokens_per_second_per_gpu=spread(tokens_per_second, below=slower, above=faster),
        mfu=None if rate.mfu is None else spread(rate.mfu, below=slower, above=faster),
        tokens=job.tokens,
        flops=operations(job).model * job.tokens,
        memory_gb_per_gpu=memory,
        fits=memory.mid <= usable_gb(job),
        disk_gb=disk_gb(job),
        download_gb=download_gb(job),
        energy_kwh=None,
        co2_kg=None,
        basis="calibrated" if job.device.calibration else "analytic",
        formulas=_FORMULAS,
        assumptions=(),
    )


def told(estimate: Estimate, job: TrainingJob, catalog: Catalog) -> Estimate:
    """Return the estimate of `job` with all that is only told: what decides is left as it is.

    Energy, serving, services that tune instead, and what was taken for granted.
    """
    energy = energy_of(job, estimate.gpu_hours, catalog)
    serving = serving_of(job, catalog)
    return estimate.model_copy(
        update={
            "energy_kwh": energy.kwh.mid if energy else None,
            "co2_kg": energy.co2_kg.mid if energy else None,
            "energy": energy,
            "serving": serving,
            "alternatives": alternatives_to(job, catalog),
            "formulas": _FORMULAS if serving is None else (*_FORMULAS, SERVING_FORMULA),
            "assumptions": (
                *job.assumptions,
                *_doubts(estimate.memory_gb_per_gpu, usable_gb(job)),
                interval_remark(job, catalog.utilisation),
                *price_remarks(job, catalog),
                *energy_remarks(job, catalog),
                *hosted_remarks(job),
                *serving_remarks(job, serving, catalog),
            ),
        }
    )


def hours_of(job: TrainingJob, tokens_per_second: float, table: Table) -> float:
    """Return the hours of wall time at a throughput of each GPU."""
    seconds = job.tokens / (tokens_per_second * job.gpus) + _startup(job, table)
    return seconds / SECONDS_PER_HOUR


def _startup(job: TrainingJob, table: Table) -> float:
    """Return the seconds of a whole run that are no training; a benchmark has none."""
    measured = processor.startup_seconds(job)
    if measured is not None and job.scope == "whole_run":
        return measured
    return table["startup", "whole_run seconds"].value if job.scope == "whole_run" else 0.0


def memory_range(job: TrainingJob, catalog: Catalog) -> MemoryRange:
    """Return the peak memory of one GPU with its interval and parts."""
    memory = peak_memory(job)
    low, high = memory_bounds(job, memory, catalog.utilisation)
    return MemoryRange.model_construct(low=low, mid=memory.total, high=high, parts=_parts(memory))


def _doubts(memory: MemoryRange, usable: float) -> Iterator[str]:
    """Yield a line where the interval of the peak reaches over what the device has."""
    if memory.low <= usable < memory.high:
        which = "fits" if memory.mid <= usable else "does not fit"
        yield f"fits: the median peak {which} {usable:.1f} GB, but its interval reaches over it"


def _parts(memory: Memory) -> MemoryParts:
    return MemoryParts.model_construct(
        weights=memory.weights,
        gradients=memory.gradients,
        optimizer=memory.optimizer,
        activations=memory.activations,
        logits=memory.logits,
        communication=memory.communication,
        framework=memory.framework,
    )


def _cost(job: TrainingJob, gpu_hours: Range) -> CostRange | None:
    price = job.price
    if price is None:
        return None
    return CostRange.model_construct(
        low=gpu_hours.low * price.usd,
        mid=gpu_hours.mid * price.usd,
        high=gpu_hours.high * price.usd,
        price_source=f"{price.provider}: {price.source}",
        price_date=price.date,
    )


def download_gb(job: TrainingJob) -> float:
    """Return the size of the base model's files; nothing is downloaded for pretraining."""
    return 0.0 if job.approach == "pretrain" else 2.0 * job.shape.params / GB


def disk_gb(job: TrainingJob) -> float:
    """Return the space for the base, the checkpoints (with optimizer states) and the result."""
    trained = job.trained_params
    weight = 4.0 if job.master_weights or job.precision not in HALF else 2.0
    checkpoint = (weight + 2 * weight) * trained
    result = weight * trained
    return download_gb(job) + (CHECKPOINTS * checkpoint + result) / GB
