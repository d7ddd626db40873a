"""From a request to the document of its front."""

from collections.abc import Iterator, Sequence

from advisor.catalog import Catalog
from advisor.estimation import estimate_job
from advisor.estimation.documents import EstimateRequest
from advisor.estimation.hosted import PRIVATE
from advisor.estimation.money import OWNED
from advisor.estimation.shape import ALL_LINEAR
from advisor.estimation.states import HALF
from advisor.estimation.training_job import LOCAL, LORA_METHODS, TrainingJob
from advisor.machine import Machine
from advisor.options.layout import complete_request
from advisor.search.documents import FrontRow, Mark, MethodEntry, Nearest, Offer, Search, Short
from advisor.search.points import Limits, Point, pareto, points_of
from advisor.search.space import Space, space_of


def find_front(
    request: EstimateRequest,
    limits: Limits = Limits(),  # noqa: B008 - a named tuple does not change
    *,
    catalog: Catalog,
    machine: Machine | None = None,
) -> Search:
    """Return the front of time against money over all that `request` leaves open.

    Raises:
        AdvisorError: `request_invalid` or `name_unknown`, with every fault.
    """
    space = space_of(request, catalog=catalog, machine=machine)
    found = points_of(space, limits)
    feasible = [point for point in found.points if point.excess(limits) <= 1]
    rows = tuple(_rows(pareto(feasible), space))
    return Search(
        request=space.request,
        deadline_hours=limits.deadline,
        budget_usd=limits.budget,
        gpus=len(space.named.devices),
        unpriced=found.unpriced,
        searched=found.searched,
        fitting=found.fitting,
        feasible=found.feasible,
        front=rows,
        cheapest=rows[0] if rows else None,
        fastest=rows[-1] if rows else None,
        methods=tuple(_by_method(space, feasible)),
        nearest=None if rows else _nearest(found.points, limits, space),
        assumptions=tuple(_assumptions(space, found.unpriced)),
    )


def request_of(job: TrainingJob) -> EstimateRequest:
    """Return the request of a job with nothing left open but who is paid."""
    adapters = job.method in LORA_METHODS
    split = job.sharding == "tp_pp"
    settled = {
        "approach": job.approach,
        "method": job.method,
        "objective": job.objective,
        "tokens": job.tokens,
        "seq_len": job.seq_len,
        "micro_batch": job.micro_batch,
        "precision": job.precision,
        "states": _states(job),
        "attention": job.attention,
        "optimizer": job.optimizer,
        "quantization": job.quantization,
        "lora_rank": job.lora_rank if adapters else None,
        "lora_targets": _targets(job) if adapters else None,
        "gradient_checkpointing": job.gradient_checkpointing,
        "sharding": job.sharding,
        "tensor_parallel": job.tensor_parallel if split else None,
        "pipeline_parallel": job.pipeline_parallel if split else None,
        "gpu": LOCAL if job.device.local else job.device.id,
        "gpus": job.gpus,
        "scope": job.scope,
    }
    return job.request.model_copy(update=settled)


def _states(job: TrainingJob) -> str | None:
    """Return how trained weights are kept; in 32 bit there is nothing to be said."""
    if job.precision not in HALF:
        return None
    return "fp32" if job.master_weights else "16bit"


def _targets(job: TrainingJob) -> str:
    return "all-linear" if job.lora_targets == ALL_LINEAR else ",".join(job.lora_targets)


def _row(point: Point, space: Space, marks: tuple[Mark, ...] = ()) -> FrontRow:
    """Return a point as its estimate has it."""
    job = complete_request(
        request_of(point.job), catalog=space.catalog, machine=space.named.machine
    )
    found = estimate_job(job, space.catalog)
    assert found.cost_usd is not None  # noqa: S101 - only what has a price is searched
    return FrontRow(
        request=found.request,
        wall_hours=found.wall_hours,
        gpu_hours=found.gpu_hours,
        cost_usd=found.cost_usd,
        memory_gb_per_gpu=found.memory_gb_per_gpu,
        marks=marks,
    )


def _rows(front: Sequence[Point], space: Space) -> Iterator[FrontRow]:
    """Yield the rows of a front, which begins with the cheapest and ends with the fastest."""
    for place, point in enumerate(front):
        cheapest: tuple[Mark, ...] = ("cheapest",) if place == 0 else ()
        fastest: tuple[Mark, ...] = ("fastest",) if place == len(front) - 1 else ()
        yield _row(point, space, cheapest + fastest)


def _by_method(space: Space, feasible: Sequence[Point]) -> Iterator[MethodEntry]:
    """Yield the ends of the front of each method."""
    for approach, method in space.methods:
        front = pareto(
            point
            for point in feasible
            if (point.job.approach, point.job.method) == (approach, method)
        )
        yield MethodEntry(
            approach=approach,
            method=method,
            cheapest=_offer(front[0]) if front else None,
            fastest=_offer(front[-1]) if front else None,
        )


def _offer(point: Point) -> Offer:
    return Offer(
        gpu=point.job.device.id, gpus=point.job.gpus, wall_hours=point.hours, cost_usd=point.usd
    )


def _nearest(points: Sequence[Point], limits: Limits, space: Space) -> Nearest | None:
    if not points:
        return None
    # What does not fit does not run at all; what takes too long or too much might be allowed.
    fitting = [point for point in points if point.fits] or points
    point = min(fitting, key=lambda point: point.excess(limits))
    return Nearest(row=_row(point, space), short=tuple(_short(point, limits)))


def _short(point: Point, limits: Limits) -> Iterator[Short]:
    if not point.fits:
        yield Short(what="memory", needs=point.most_gb, has=point.usable_gb, unit="GB on each GPU")
    if limits.deadline is not None and point.hours > limits.deadline:
        yield Short(what="time", needs=point.hours, has=limits.deadline, unit="hours")
    if limits.budget is not None and point.usd > limits.budget:
        yield Short(what="money", needs=point.usd, has=limits.budget, unit="USD")


def _assumptions(space: Space, unpriced: int) -> Iterator[str]:
    request = space.request
    yield "memory fits at the upper end of its interval, time and money by the median"
    if unpriced:
        yield f"{unpriced} GPUs are left out: no price of them is known"
    if not request.gpus:
        yield "GPUs beyond the sequences of one optimizer step are left out"
    if len(space.methods) > 1:
        yield "the methods do not learn the same: time and money say nothing of quality"
    if request.privacy in PRIVATE and request.provider == OWNED:
        yield f"provider: owned, as the data is {request.privacy}"
