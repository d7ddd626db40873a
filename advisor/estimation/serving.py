"""Serving the trained model: memory, GPUs, monthly cost, and when a service would be cheaper.

A call reads its prompt, which arithmetic bounds, and writes its answer token by token, which memory
bandwidth bounds. Source: Pope et al. 2022, "Efficiently Scaling Transformer Inference", arXiv
2211.05102, sections 2 and 3; the shares that are reached are measured (serving.csv).
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from advisor.catalog import Catalog
from advisor.estimation.documents import Formula, Range, ServingEstimate
from advisor.estimation.hosted import cheapest_to_call
from advisor.estimation.money import GPUS_PER_MACHINE, choose_price
from advisor.estimation.shape import ENCODER, ENCODER_DECODER, STATE_SPACE, Shape
from advisor.estimation.states import QUANTIZED_BYTES
from advisor.estimation.training_job import TrainingJob

GB = 1e9
MS = 1e3
SECONDS_PER_DAY = 86_400.0
HOURS_PER_MONTH = 730.0
DAYS_PER_MONTH = HOURS_PER_MONTH / 24
HALF_BYTES = 2.0
SERVING_FORMULA = Formula.model_construct(
    name="serving: prompts bound by arithmetic, answers by memory bandwidth; cache of keys, values",
    source="Pope et al. 2022, arXiv 2211.05102; Kwon et al. 2023 (vLLM), arXiv 2309.06180",
)
# One copy is split over a power of two of GPUs.
SPLITS = (1, 2, 4, 8, 16, 32, 64)


class Call(NamedTuple):
    """How many tokens one call reads and writes."""

    tokens_in: int
    tokens_out: int


class Copy(NamedTuple):
    """One copy of the model on some GPUs: its memory in GB, its rates, and the work of a call."""

    gpus: int
    weights_gb: float
    overhead_gb: float
    usable_gb: float
    call_gb: float
    active_gb: float
    gb_per_second: float
    flop_per_second: float
    token_flop: float
    call: Call

    def memory_gb(self, batch: int) -> float:
        """Return the memory of all its GPUs together while it answers `batch` calls at once."""
        return self.weights_gb + self.overhead_gb + batch * self.call_gb

    def seconds(self, batch: int) -> float:
        """Return how long a call takes while it answers `batch` of them at once.

        Each waits for the prompts of the others. More calls touch more experts of a mixture.
        """
        prompt = self.token_flop * self.call.tokens_in / self.flop_per_second
        read_gb = min(self.active_gb * batch, self.weights_gb) + batch * self.call_gb
        step = read_gb / self.gb_per_second + batch * self.token_flop / self.flop_per_second
        return batch * prompt + self.call.tokens_out * step

    def calls_per_second(self, batch: int) -> float:
        """Return how many calls it answers in a second at this batch."""
        return batch / self.seconds(batch)


def serving_of(job: TrainingJob, catalog: Catalog) -> ServingEstimate | None:
    """Return what serving takes; None where no calls are given or the device is not known enough.

    Copies are counted at the largest batch that fits, in memory and, where it can be met, within
    the latency asked for; the memory is that of the smallest batch that carries the load.
    """
    calls = job.request.calls_per_day
    copy = _smallest_copy(job, catalog) if calls else None
    if not calls or copy is None:
        return None
    batches = _batches(job, copy, catalog)
    most = _most_calls(copy, batches[-1], catalog)
    load = calls / _seconds_of_load(catalog)
    batch = next((one for one in batches if copy.calls_per_second(one) >= load), batches[-1])
    latency, asked = _latency(copy, catalog), job.request.latency_ms
    rival = cheapest_to_call(job.request, catalog, *copy.call)
    return ServingEstimate.model_construct(
        memory_gb=copy.memory_gb(batch),
        gpu=job.device.id,
        gpus_per_copy=copy.gpus,
        copies=math.ceil(calls / most.mid),
        calls_at_once=batch,
        calls_per_day=calls,
        input_tokens_per_call=copy.call.tokens_in,
        output_tokens_per_call=copy.call.tokens_out,
        most_calls_per_day=most,
        latency_ms=latency,
        latency_met=None if asked is None else latency.mid <= asked,
        usd_per_month=_monthly(job, copy, most, catalog),
        break_even_calls_per_day=rival and _break_even(job, copy, most.mid, rival[1], catalog),
        compared_with=rival and f"{rival[0].provider} {rival[0].model}, tuned ({rival[0].date})",
    )


def serving_remarks(
    job: TrainingJob, serving: ServingEstimate | None, catalog: Catalog
) -> Iterator[str]:
    """Yield what the figures of serving rest on."""
    if not job.request.calls_per_day:
        return
    if serving is None:
        yield f"serving: not estimated, too little is known of {job.device.name} or it is too small"
        return
    facts = catalog.serving
    yield (
        f"serving: {serving.input_tokens_per_call:,} tokens in and "
        f"{serving.output_tokens_per_call:,} out a call; the busiest hour has "
        f"{facts['peak'].value:g} times the mean; machines are always on and never spot"
    )
    yield f"serving: weights in {_width(job)}, adapters merged, a cache of 16 bit"


def _smallest_copy(job: TrainingJob, catalog: Catalog) -> Copy | None:
    """Return one copy on the fewest GPUs that hold it and the cache of one call."""
    if not job.device.memory_bandwidth_gbs or not job.device.tflops.get("bf16"):
        return None
    copies = (copy_of(job, gpus, catalog) for gpus in SPLITS)
    return next((copy for copy in copies if copy.memory_gb(1) <= copy.usable_gb), None)


def copy_of(job: TrainingJob, gpus: int, catalog: Catalog) -> Copy:
    """Return one copy of the trained model on so many GPUs, whether it fits them or not."""
    facts, device, shape = catalog.serving, job.device, job.shape
    call = _call(job, catalog)
    split = gpus * (facts["split_share"].value if gpus > 1 else 1.0)
    weights = _weights_gb(job)
    return Copy(
        gpus=gpus,
        weights_gb=weights,
        overhead_gb=facts["overhead"].value * gpus,
        usable_gb=device.memory_gb * facts["memory_share"].value * gpus,
        call_gb=(call.tokens_in + call.tokens_out) * cached_values(shape) * HALF_BYTES / GB,
        active_gb=weights * min(shape.params_active / shape.params, 1.0),
        gb_per_second=device.memory_bandwidth_gbs * facts["bandwidth_share"].value * split,
        flop_per_second=device.tflops["bf16"] * 1e12 * facts["arithmetic_share"].value * split,
        token_flop=2.0 * shape.params_active,
        call=call,
    )


def _call(job: TrainingJob, catalog: Catalog) -> Call:
    """Return the tokens of a call: asked for, or usual; a classifier writes none."""
    facts, request, longest = catalog.serving, job.request, job.shape.max_context
    writes = job.shape.kind != ENCODER and job.objective != "classification"
    tokens_out = request.output_tokens_per_call or int(facts["output_tokens"].value)
    tokens_in = request.input_tokens_per_call or int(facts["input_tokens"].value)
    return Call(min(tokens_in, longest or tokens_in), tokens_out if writes else 0)


def cached_values(shape: Shape) -> float:
    """Return how many keys and values one token leaves behind in the cache.

    Source: Kwon et al. 2023 (vLLM), arXiv 2309.06180, section 3; with multi-head latent attention
    only what both are made from: DeepSeek-V2, arXiv 2405.04434, section 2.1.
    """
    if shape.kind in {ENCODER, STATE_SPACE}:
        return 0.0
    layers = shape.n_decoder_layers if shape.kind == ENCODER_DECODER else shape.n_layers
    if shape.anatomy.kv_rank:
        return float(layers * (shape.anatomy.kv_rank + shape.anatomy.rope_dim))
    return float(layers * 2 * shape.kv_width)


def _weights_gb(job: TrainingJob) -> float:
    """Return the weights as they are served: in 16 bit, or quantized as they were tuned."""
    shape = job.shape
    if job.quantization is None:
        return HALF_BYTES * shape.params / GB
    blocks = QUANTIZED_BYTES[job.quantization] * shape.block_params
    return (blocks + HALF_BYTES * shape.embedding_params) / GB


def _width(job: TrainingJob) -> str:
    return f"{job.quantization} as they were tuned" if job.quantization else "16 bit"


def _batches(job: TrainingJob, copy: Copy, catalog: Catalog) -> list[int]:
    """Return the batches that fit, smallest first; the latency limits them where it can be met."""
    most = int(catalog.serving["most_at_once"].value)
    powers = [2**power for power in range(most.bit_length()) if 2**power <= most]
    fitting = [batch for batch in powers if copy.memory_gb(batch) <= copy.usable_gb]
    limit = (job.request.latency_ms or math.inf) / MS
    return [batch for batch in fitting if copy.seconds(batch) <= limit] or fitting


def _seconds_of_load(catalog: Catalog) -> float:
    """Return in how many seconds of the busiest hour's load the calls of a day would come."""
    return SECONDS_PER_DAY / catalog.serving["peak"].value


def _most_calls(copy: Copy, batch: int, catalog: Catalog) -> Range:
    """Return how many calls a day one copy can carry."""
    mid, factor = copy.calls_per_second(batch), catalog.serving["spread"].value
    mid *= _seconds_of_load(catalog)
    return Range.model_construct(low=mid / factor, mid=mid, high=mid * factor)


def _latency(copy: Copy, catalog: Catalog) -> Range:
    """Return how long a call takes alone, in ms; its doubt is that of the bandwidth reached."""
    share, mid = catalog.serving["bandwidth_share"], copy.seconds(1) * MS
    low, high = share.low or share.value, share.high or share.value
    return Range.model_construct(
        low=mid * share.value / high, mid=mid, high=mid * share.value / low
    )


def _monthly(job: TrainingJob, copy: Copy, most: Range, catalog: Catalog) -> Range | None:
    """Return what the copies cost a month; the fewer calls one carries, the more there are."""
    calls = job.request.calls_per_day or 0.0
    counts = [copy.gpus * math.ceil(calls / each) for each in (most.high, most.mid, most.low)]
    costs = [usd for gpus in counts if (usd := _usd_per_month(job, gpus, catalog)) is not None]
    if len(costs) < len(counts):
        return None
    # A GPU's price is a part of an instance's: sums that are equal can differ in the last bit.
    low, mid, high = sorted(costs)
    return Range.model_construct(low=low, mid=mid, high=high)


def _usd_per_month(job: TrainingJob, gpus: int, catalog: Catalog) -> float | None:
    """Return the price of so many GPUs that are always on and never spot machines."""
    request = job.request.model_copy(update={"spot": False})
    price = choose_price(request, job.device, gpus, catalog)
    return price.usd * gpus * HOURS_PER_MONTH if price else None


def _break_even(
    job: TrainingJob, copy: Copy, most: float, usd_per_call: float, catalog: Catalog
) -> float | None:
    """Return from how many calls a day on own serving costs less than paying by the call.

    Beyond one machine's worth of copies all grows alike: what is dearer there stays dearer.
    """
    for copies in range(1, GPUS_PER_MACHINE + 1):
        usd = _usd_per_month(job, copy.gpus * copies, catalog)
        if usd is None:
            return None
        calls = max(usd / DAYS_PER_MONTH / usd_per_call, most * (copies - 1))
        if calls <= most * copies:
            return calls
    return None
