"""How far a figure may lie from its median: the 80 % intervals, from errors on published runs."""

from collections.abc import Mapping

from advisor.catalog import Utilisation
from advisor.estimation.activations import HALF
from advisor.estimation.documents import Range
from advisor.estimation.memory import Memory, fits_on, peak_memory
from advisor.estimation.training_job import TrainingJob

Table = Mapping[tuple[str, str], Utilisation]


def spread(mid: float, *, below: float, above: float) -> Range:
    """Return the range from `mid` divided by `below` to `mid` times `above`."""
    return Range.model_construct(low=mid / below, mid=mid, high=mid * above)


def speed_factors(job: TrainingJob, table: Table) -> tuple[float, float]:
    """Return the factors by which a job may be (faster, slower) than its median.

    The slow side is wider: more goes wrong with a run than goes better than planned.
    """
    case = "cpu" if job.device.is_cpu else job.scope
    return table["spread", f"{case} faster"].value, table["spread", f"{case} slower"].value


def memory_bounds(job: TrainingJob, memory: Memory, table: Table) -> tuple[float, float]:
    """Return the (10th, 90th) percentile of peak memory in GB.

    Where the whole model is trained in 16 bit, the lower end is that of states kept in 16 bit
    too: publications seldom say which they used, and on one GPU both are common.
    """
    low = memory.total / table["spread", f"memory {_kind(job)} below"].value
    high = memory.total * table["spread", f"memory {_kind(job)} above"].value
    if job.master_weights and not job.adapts and job.precision in HALF and job.gpus == 1:
        low = min(low, peak_memory(job._replace(master_weights=False)).total)
    return low, high


def surely_fits(job: TrainingJob, table: Table) -> bool:
    """Tell whether the 90th percentile of the peak memory fits the device, not only the median."""
    return fits_on(job, headroom=table["spread", f"memory {_kind(job)} above"].value)


def _kind(job: TrainingJob) -> str:
    if job.device.is_cpu:
        return "cpu"
    return "adapters" if job.adapts else "full"
