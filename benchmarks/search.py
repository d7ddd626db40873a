"""How long the whole search takes, against estimating every combination for itself.

Every card of the catalogue is searched at the price of its electricity, so that each has one. The
naive way is timed on a sample and scaled; on a few cards it is walked whole, and must find the
same front.
"""

import random
import sys
import time
from collections.abc import Iterator

from advisor.catalog import load_catalog
from advisor.estimation import estimate_job
from advisor.estimation.documents import Estimate, EstimateRequest, read_request
from advisor.estimation.interval import surely_fits
from advisor.options.layout import complete_request, every_layout
from advisor.search import Limits
from advisor.search.finding import find_front, request_of
from advisor.search.points import Point, pareto, points_of
from advisor.search.space import Space, space_of

CATALOG = load_catalog()
# Steps of 256 sequences keep up to 128 GPUs and every micro-batch in the search.
REQUEST = read_request(
    {
        "model": "meta-llama/Llama-3.1-8B",
        "tokens": 1e9,
        "seq_len": 1024,
        "global_batch_tokens": 262144,
        "provider": "owned",
    }
)
LIMIT_S = 2.0
ROUNDS = 5
SAMPLE = 2000
CARDS = ("v100-sxm2-16gb", "rtx-4090", "l40s", "a100-sxm4-80gb", "h100-sxm5-80gb", "b200-sxm-180gb")
COUNTS = (1, 4, 16, 128)


def main() -> None:
    """Print the seconds, the ratio to the naive way, and whether both find the same front."""
    searches = [timed() for _ in range(ROUNDS)]
    wall, cpu = (min(times) for times in zip(*searches, strict=True))
    found = find_front(REQUEST, catalog=CATALOG)
    print(f"search     {found.searched:,} combinations on {found.gpus - found.unpriced} cards,")
    print(f"           {len(found.methods)} methods; {found.fitting:,} fit")
    print(f"seconds    {wall:.2f}, {cpu:.2f} of CPU (limit {LIMIT_S:g}), best of {ROUNDS}")
    each = naive_seconds(space_of(REQUEST, catalog=CATALOG))
    print(f"naive      {each * 1e6:.0f} us a combination, {each * found.searched:.0f} s for all")
    print(f"ratio      {each * found.searched / cpu:.0f}")
    same = compared(few_cards())
    print(f"same front {'yes' if same else 'NO'} on {len(CARDS)} cards, each combination estimated")
    sys.exit(not same)


def timed() -> tuple[float, float]:
    """Return the (wall, CPU) seconds of one search."""
    wall, cpu = time.perf_counter(), time.process_time()
    find_front(REQUEST, catalog=CATALOG)
    return time.perf_counter() - wall, time.process_time() - cpu


def requests_in(space: Space) -> Iterator[EstimateRequest]:
    """Yield a request for every combination."""
    for device in space.named.devices:
        for gpus in space.counts_of(device):
            for approach, method in space.methods:
                for job in every_layout(space.choice(approach, method, device, gpus)):
                    if job.context_parallel == 1:
                        yield request_of(job)


def naive_seconds(space: Space) -> float:
    """Return the CPU seconds of estimating one combination, on average."""
    drawn = random.Random(1).sample(list(requests_in(space)), SAMPLE)  # noqa: S311 - no secret
    before = time.process_time()
    for request in drawn:
        estimate_job(complete_request(request, catalog=CATALOG), CATALOG)
    return (time.process_time() - before) / SAMPLE


def few_cards() -> Space:
    """Return the search on a few cards and counts."""
    space = space_of(REQUEST, catalog=CATALOG)
    devices = tuple(device for device in space.named.devices if device.id in CARDS)
    return space._replace(named=space.named._replace(devices=devices), counts=COUNTS)


def compared(space: Space) -> bool:
    """Tell whether estimating every combination finds the front that the search finds."""
    front = pareto(point for point in points_of(space, Limits()).points if point.fits)
    naive: list[tuple[float, float]] = []
    for usd, hours in sorted(estimated(space)):
        if not naive or hours < naive[-1][1]:
            naive.append((usd, hours))
    return len(front) == len(naive) and all(map(_equal, front, naive))


def estimated(space: Space) -> Iterator[tuple[float, float]]:
    """Yield (money, hours) of every combination that surely fits, each estimated for itself."""
    for request in requests_in(space):
        job = complete_request(request, catalog=CATALOG)
        if surely_fits(job, CATALOG.utilisation):
            found: Estimate = estimate_job(job, CATALOG)
            assert found.cost_usd  # noqa: S101 - electricity has a price
            yield found.cost_usd.mid, found.wall_hours.mid


def _equal(point: Point, naive: tuple[float, float]) -> bool:
    pairs = (point.usd, naive[0]), (point.hours, naive[1])
    return all(abs(one - other) <= 1e-9 * other for one, other in pairs)


if __name__ == "__main__":
    main()
