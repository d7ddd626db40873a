"""The front around what is recommended: a few other GPUs and counts for the same training."""

from typing import NamedTuple

from advisor.estimation import estimate_job
from advisor.estimation.documents import Estimate
from advisor.estimation.training_job import Device
from advisor.options import Option, Project
from advisor.options.named import USUAL_GPUS, look_up
from advisor.search.points import Limits, Point, pareto, points_of
from advisor.search.space import Space

# Half of the GPUs that are recommended, and up to four times as many where these are still few.
SHARES = (0.5, 2, 4)
MOST_GPUS = 64


class Near(NamedTuple):
    """One way to run what is recommended; `changes` names the answers that it departs from."""

    gpu: str
    gpus: int
    estimate: Estimate
    changes: tuple[str, ...]
    marks: tuple[str, ...]


def front_near(project: Project, option: Option) -> list[Near]:
    """Return the option and what is cheaper or faster with other GPUs, the cheapest first.

    Rented GPUs may differ from the answers, machines of one's own may not. Empty where no price
    is known.
    """
    job, estimate = option.job, option.estimate
    if job is None or estimate is None or estimate.cost_usd is None:
        return []
    own = Point(
        job=job,
        hours=estimate.wall_hours.mid,
        usd=estimate.cost_usd.mid,
        most_gb=estimate.memory_gb_per_gpu.high,
        usable_gb=float("inf"),
    )
    budget = project.answers.gpu_budget
    limits = Limits(budget.deadline, budget.budget_usd)
    others = points_of(_space(project, own), limits).points
    apart = [point for point in others if _hardware(point) != _hardware(own)]
    front = pareto([own, *(point for point in apart if point.excess(limits) <= 1)])
    shown = front if own in front else sorted([own, *front], key=lambda point: point.usd)
    return [_near(project, point, own, front) for point in shown]


def _hardware(point: Point) -> tuple[str, int]:
    return point.job.device.id, point.job.gpus


def _space(project: Project, own: Point) -> Space:
    job, budget = own.job, project.answers.gpu_budget
    rented = project.setting == "cloud"
    devices = [job.device]
    if rented or (budget.gpu is None and not job.device.local):
        names = [name for name in USUAL_GPUS if name != job.device.id]
        devices += [Device.of_gpu(project.catalog.gpu(name)) for name in names]
    counts = {job.gpus}
    if (rented or budget.gpus is None) and not job.device.local:
        others = (int(job.gpus * share) for share in SHARES)
        counts |= {count for count in others if 0 < count <= MOST_GPUS}
    asked = job.request.model_copy(update={"gpus": None})
    named = look_up(asked, catalog=project.catalog, machine=project.machine)
    return Space(
        named=named._replace(devices=tuple(devices)),
        methods=((job.approach, job.method),),
        counts=tuple(sorted(counts)),
        catalog=project.catalog,
    )


def _near(project: Project, point: Point, own: Point, front: list[Point]) -> Near:
    job, budget = point.job, project.answers.gpu_budget
    answered = {"gpu": (budget.gpu, job.device.id), "gpus": (budget.gpus, job.gpus)}
    is_own = point is own
    marks = {
        "recommended": is_own,
        "cheapest": point == front[0],
        "fastest": point == front[-1],
    }
    return Near(
        gpu=job.device.id,
        gpus=job.gpus,
        estimate=estimate_job(job, project.catalog),
        changes=tuple(
            name
            for name, (asked, taken) in answered.items()
            if not is_own and asked is not None and asked != taken
        ),
        marks=tuple(mark for mark, holds in marks.items() if holds),
    )
