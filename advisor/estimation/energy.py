"""Electricity and carbon of a job: power x hours x PUE, at the grid of a place."""

import math
from collections.abc import Iterator

from advisor.catalog import Catalog
from advisor.estimation.documents import EnergyEstimate, Formula, Range
from advisor.estimation.training_job import LOCAL, Device, HourlyPrice, TrainingJob

ANY_PROVIDER = "any"
# Share of its rated power that a GPU draws in training, and the power of the rest of a server for
# each GPU, in W. Together 7.7 kW for 8 H100: training takes 76 % of the 10.2 kW that a DGX H100 is
# rated at (Newkirk et al. 2025, arXiv 2506.14551), at most 83 % (Latif et al. 2024, 2412.08602).
POWER_SHARE = 0.95
HOST_W = 300.0
WORKSTATION_W = 100.0
# A processor without a known rating.
CPU_W = 100.0
# Factors between which the power of a node lies eight times of ten: small batches leave GPUs
# waiting; no measured run drew more than 1.1 times the above (the two publications named there).
POWER_BELOW = 1.25
POWER_ABOVE = 1.15
ENERGY_FORMULA = Formula.model_construct(
    name="energy: power x hours x PUE; carbon: at the mean intensity of the grid",
    source="Newkirk et al. 2025, arXiv 2506.14551; Luccioni et al. 2022, arXiv 2211.02001",
)


def gpu_power_w(device: Device) -> float | None:
    """Return the watts that one GPU alone draws while training; None where it has no rating."""
    return None if device.tdp_w is None else device.tdp_w * POWER_SHARE


def power_w(device: Device) -> float | None:
    """Return the watts of one GPU and its share of the machine around it."""
    if device.is_cpu:
        return CPU_W
    own = gpu_power_w(device)
    host = HOST_W if device.form == "datacenter" else WORKSTATION_W
    return None if own is None else own + host


def hourly_kwh(device: Device, place: str, catalog: Catalog) -> float | None:
    """Return the kWh of one GPU-hour, cooling and losses of the place included."""
    watts = power_w(device)
    return None if watts is None else watts / 1000 * catalog.pue(place).value


def energy_of(job: TrainingJob, gpu_hours: Range, catalog: Catalog) -> EnergyEstimate | None:
    """Return energy and carbon of `gpu_hours`; None where the power of the device is not known."""
    place = place_of(job)
    each, watts = hourly_kwh(job.device, place, catalog), power_w(job.device)
    if each is None or watts is None:
        return None
    kwh = _spread_over(gpu_hours, each)
    grid = catalog.carbon(region_of(job))
    return EnergyEstimate.model_construct(
        kwh=kwh,
        co2_kg=_times(kwh, grid.value / 1000),
        watts_per_gpu=watts,
        pue=catalog.pue(place).value,
        grid=grid.name,
        grid_g_per_kwh=grid.value,
        grid_source=grid.source,
        grid_date=grid.date,
    )


def energy_remarks(job: TrainingJob, catalog: Catalog) -> Iterator[str]:
    """Yield whose grid was taken where that was not said, and what power was assumed."""
    asked, price = job.region, job.price
    if asked and catalog.find_grid(asked) is None:
        yield f"region: {asked} is not known, the world's average grid is used"
    elif not asked:
        yield f"region: {_place_words(price, catalog)}"
    if job.device.is_cpu:
        yield f"power: {CPU_W:.0f} W for the processor, whose rating is not known"
    elif job.device.tdp_w is None:
        yield f"power: that of {job.device.name} is not known, so neither is energy"


def _place_words(price: HourlyPrice | None, catalog: Catalog) -> str:
    found = catalog.find_grid(price.region) if price and price.region else None
    if price is None or found is None:
        return "the world's average grid"
    return f"{price.region} ({found.name}), where the price is asked"


def place_of(job: TrainingJob) -> str:
    """Return whose buildings the job runs in, as the table of power usage names them."""
    if job.device.local:
        return LOCAL
    return job.price.provider if job.price else ANY_PROVIDER


def region_of(job: TrainingJob) -> str | None:
    """Return the region asked for, else that of the price."""
    return job.region or (job.price.region if job.price else None)


def _spread_over(hours: Range, each: float) -> Range:
    """Return hours x power; the doubts of both are independent of one another."""
    below = math.hypot(math.log(hours.mid / hours.low), math.log(POWER_BELOW))
    above = math.hypot(math.log(hours.high / hours.mid), math.log(POWER_ABOVE))
    mid = hours.mid * each
    return Range.model_construct(low=mid / math.exp(below), mid=mid, high=mid * math.exp(above))


def _times(interval: Range, factor: float) -> Range:
    return Range.model_construct(
        low=interval.low * factor, mid=interval.mid * factor, high=interval.high * factor
    )
