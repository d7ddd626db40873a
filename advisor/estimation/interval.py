"""How far a figure may lie from its median: the 80 % intervals, from errors on published runs."""

from collections.abc import Mapping

from advisor.catalog import Utilisation
from advisor.estimation import processor
from advisor.estimation.compute import efficiency_case
from advisor.estimation.documents import Range
from advisor.estimation.memory import Memory, peak_memory, usable_gb
from advisor.estimation.states import HALF
from advisor.estimation.training_job import FSDP_LIKE, TrainingJob

Table = Mapping[tuple[str, str], Utilisation]

# Rates that this many groups of publications agree on are well known; fewer leave more open.
DENSE_GROUPS = 4


def spread(mid: float, *, below: float, above: float) -> Range:
    """Return the range from `mid` divided by `below` to `mid` times `above`."""
    return Range.model_construct(low=mid / below, mid=mid, high=mid * above)


def _evidence_rows(job: TrainingJob, table: Table) -> dict[str, Utilisation]:
    """Return the rates that few runs tell of, by what they are measured on."""
    rows = {f"{job.device.arch} cards": table["efficiency", efficiency_case(job.device, table)]}
    if job.shape.n_experts > 1:
        rows["mixtures of experts"] = table["factor", "moe"]
    if job.approach == "full_finetune" and job.sharding in FSDP_LIKE:
        rows["sharded full fine-tuning"] = table["factor", "full_finetune"]
    return rows


def evidence(job: TrainingJob, table: Table) -> str:
    """Return how much was published of jobs like `job`: dense, thin or none."""
    groups = min(row.groups for row in _evidence_rows(job, table).values())
    if groups >= DENSE_GROUPS:
        return "dense"
    return "thin" if groups else "none"


def interval_remark(job: TrainingJob, table: Table) -> str:
    """Return what the interval of time rests on."""
    if processor.time_factor(job):
        return "interval of time: the errors of calibrating this machine"
    if job.device.is_cpu:
        return "interval of time: wide, as this processor was not measured (advisor calibrate)"
    rows = _evidence_rows(job, table)
    what = min(rows, key=lambda name: rows[name].groups)
    groups = rows[what].groups
    if not groups:
        return f"interval of time: wide, as no published run on {what} is known"
    width = "" if groups >= DENSE_GROUPS else "wide, "
    teams = "1 team" if groups == 1 else f"{groups} teams"
    return f"interval of time: {width}from errors on published runs; {teams} published {what}"


def speed_case(job: TrainingJob, table: Table) -> str:
    """Return the case of the spread that fits the speed of `job`."""
    return "cpu" if job.device.is_cpu else f"{job.scope} {evidence(job, table)}"


def speed_factors(job: TrainingJob, table: Table) -> tuple[float, float]:
    """Return the factors by which a job may be (faster, slower) than its median.

    They are quantiles of the errors on groups of publications that were left out of the fit.
    """
    own = processor.time_factor(job)
    if own:
        return own, own
    case = speed_case(job, table)
    return table["spread", f"{case} faster"].value, table["spread", f"{case} slower"].value


def memory_case(job: TrainingJob) -> str:
    """Return the case of the spread that fits the memory of `job`."""
    if job.device.is_cpu:
        return "memory cpu"
    return "memory adapters" if job.adapts else "memory full"


def memory_bounds(job: TrainingJob, memory: Memory, table: Table) -> tuple[float, float]:
    """Return the (10th, 90th) percentile of peak memory in GB.

    Where nobody says whether states are kept in fp32, and it was taken that they are not, the
    upper end holds for both.
    """
    own = processor.memory_factor(job)
    if own:
        return memory.total / own, memory.total * own
    case = memory_case(job)
    below, above = table["spread", f"{case} below"].value, table["spread", f"{case} above"].value
    high = memory.total * above
    if job.precision in HALF and not (job.adapts or job.master_weights or job.request.states):
        high = max(high, peak_memory(job._replace(master_weights=True)).total)
    return memory.total / below, high


def surely_fits(job: TrainingJob, table: Table) -> bool:
    """Tell whether the 90th percentile of the peak memory fits the device, not only the median."""
    return memory_bounds(job, peak_memory(job), table)[1] <= usable_gb(job)
