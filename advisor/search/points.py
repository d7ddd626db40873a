"""The fastest layout of each method on each count of each GPU, and what it takes."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from advisor.estimation import hours_of
from advisor.estimation.compute import Rates, Table, rates_of, speed, step_seconds, throughput
from advisor.estimation.demand import Demand, demand_of
from advisor.estimation.interval import memory_bounds
from advisor.estimation.memory import peak_memory, usable_gb
from advisor.estimation.money import choose_price
from advisor.estimation.training_job import Device, HourlyPrice, TrainingJob
from advisor.options.layout import Choice, every_layout
from advisor.search.space import Space, classes_of


class Limits(NamedTuple):
    """What a run may take at most, by its median: hours of wall time, and USD."""

    deadline: float | None = None
    budget: float | None = None


class Point(NamedTuple):
    """One layout on one count of one GPU; `most_gb` is the upper end of its peak memory."""

    job: TrainingJob
    hours: float
    usd: float
    most_gb: float
    usable_gb: float

    @property
    def fits(self) -> bool:
        """Tell whether the upper end of the peak fits."""
        return self.most_gb <= self.usable_gb

    def excess(self, limits: Limits) -> float:
        """Return by what factor the worst limit is exceeded; at most 1 where all are kept."""
        return max(
            self.most_gb / self.usable_gb,
            _times_over(self.hours, limits.deadline),
            _times_over(self.usd, limits.budget),
        )


def _times_over(value: float, limit: float | None) -> float:
    """Return how many times the limit a value is; 0 where there is none."""
    if limit is None or value == 0:
        return 0.0
    return value / limit if limit else math.inf


class Found(NamedTuple):
    """The best point of each method, count and GPU, and how many combinations were looked at."""

    points: tuple[Point, ...]
    unpriced: int
    searched: int
    fitting: int
    feasible: int


class _Layout(NamedTuple):
    """A layout and what it asks of any GPU of one class."""

    job: TrainingJob
    demand: Demand | None
    most_gb: float


class _Place(NamedTuple):
    """One GPU of a class: what of it is the same for every layout on so many of them."""

    device: Device
    price: HourlyPrice
    usable_gb: float


class _Tried(NamedTuple):
    point: Point
    searched: int
    fitting: int
    feasible: int


def points_of(space: Space, limits: Limits) -> Found:
    """Return the points of `space`: the fastest of what fits, else what needs least memory.

    Money is hours times a price that one count of one GPU has, so that the fastest layout is the
    cheapest too. Memory and the work of a step are computed once for a whole class of GPUs; on
    each of them remain its rates and a comparison.
    """
    tried = list(_tried(space, limits))
    priced = {one.point.job.device.id for one in tried}
    return Found(
        points=tuple(one.point for one in tried),
        unpriced=sum(device.id not in priced for device in space.named.devices),
        searched=sum(one.searched for one in tried),
        fitting=sum(one.fitting for one in tried),
        feasible=sum(one.feasible for one in tried),
    )


def pareto(points: Iterable[Point]) -> list[Point]:
    """Return the points that no other beats in both time and money, the cheapest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.usd, point.hours)):
        if not front or point.hours < front[-1].hours:
            front.append(point)
    return front


def _tried(space: Space, limits: Limits) -> Iterator[_Tried]:
    for drafts in classes_of(space):
        for gpus in space.counts:
            places = tuple(_places(space, drafts, gpus))
            if not places:
                continue
            for approach, method in space.methods:
                choice = space.choice(approach, method, places[0].device, gpus)
                layouts = _layouts(choice, max(place.usable_gb for place in places))
                for place in places if layouts else ():
                    yield _best(place, layouts, limits, choice.table)


def _places(space: Space, drafts: Iterable[TrainingJob], gpus: int) -> Iterator[_Place]:
    """Yield the devices that come in such a count and whose price is known."""
    for draft in drafts:
        if gpus not in space.counts_of(draft.device):
            continue
        price = choose_price(space.request, draft.device, gpus, space.catalog)
        if price is not None:
            yield _Place(draft.device, price, usable_gb(draft))


def _layouts(choice: Choice, most_usable: float) -> list[_Layout]:
    """Return the layouts of a choice; the work of a step only where one of the GPUs can hold it."""
    layouts = []
    for job in every_layout(choice):
        # GPUs that share a sequence are left to who numbers them.
        if job.context_parallel > 1 and not choice.request.gpus:
            continue
        most = memory_bounds(job, peak_memory(job), choice.table)[1]
        demand = demand_of(job) if most <= most_usable else None
        layouts.append(_Layout(job, demand, most))
    return layouts


def _best(place: _Place, layouts: Sequence[_Layout], limits: Limits, table: Table) -> _Tried:
    """Return the fastest of the layouts that surely fit, the first of equals; else the roomiest."""
    fitting = [layout for layout in layouts if layout.most_gb <= place.usable_gb]
    tried = fitting or [min(layouts, key=lambda layout: layout.most_gb)]
    hours = list(_hours(place.device, tried, table))
    least = min(hours)
    point = _point(place, tried[hours.index(least)], least)
    if fitting:
        most = _most_hours(place, point.job.gpus, limits)
        feasible = sum(each <= most for each in hours)
    else:
        feasible = 0
    return _Tried(point, len(layouts), len(fitting), feasible)


def _most_hours(place: _Place, gpus: int, limits: Limits) -> float:
    """Return the hours that both limits allow."""
    each_hour = place.price.usd * gpus
    paid = limits.budget / each_hour if limits.budget is not None and each_hour else math.inf
    return min(paid, math.inf if limits.deadline is None else limits.deadline)


def _point(place: _Place, layout: _Layout, hours: float) -> Point:
    job = layout.job._replace(device=place.device, price=place.price)
    return Point(job, hours, hours * job.gpus * place.price.usd, layout.most_gb, place.usable_gb)


def _hours(device: Device, layouts: Iterable[_Layout], table: Table) -> Iterator[float]:
    """Yield the hours of each layout; what the device reaches differs by sharding alone."""
    rated: dict[str, Rates] = {}
    for job, demand, _ in layouts:
        if device.is_cpu:
            rate = speed(job, table).tokens_per_second
        else:
            rates = rated.get(job.sharding)
            if rates is None:
                rates = rated[job.sharding] = rates_of(job._replace(device=device), table)
            seconds = step_seconds(demand or demand_of(job), rates)
            rate = throughput(job, seconds, table)
        yield hours_of(job, rate, table)
