"""Completes a job: what a request leaves open is chosen as a plan would choose it."""

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from advisor.catalog import Catalog, Recipe
from advisor.estimation.compute import Table, speed
from advisor.estimation.documents import EstimateRequest
from advisor.estimation.interval import surely_fits
from advisor.estimation.memory import fits_on
from advisor.estimation.money import choose_price
from advisor.estimation.shape import ENCODER, ENCODER_DECODER, Shape
from advisor.estimation.training_job import Device, TrainingJob
from advisor.machine import Machine
from advisor.options.assumptions import assumptions
from advisor.options.named import USUAL_GPUS, Named, look_up, target_names
from advisor.options.recipes import chosen_epochs, example_tokens, recipe_of
from advisor.options.shapes import TOKENS_PER_PARAMETER

OBJECTIVE_OF_KIND = {ENCODER: "mlm", ENCODER_DECODER: "seq2seq"}
DEFAULT_EXAMPLES = 10_000.0
LARGEST_MICRO_BATCH = 64
CPU_MICRO_BATCH = 8
# A whole model on each GPU that works on this many tokens at a time is hard to beat.
BUSY_TOKENS = 4096
UNSHARDED = frozenset({"single", "ddp"})
GPU_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
GPUS_PER_MACHINE = 8


class _Choice(NamedTuple):
    """One method on one kind of hardware, still to be laid out."""

    named: Named
    recipe: Recipe
    method: str
    device: Device
    gpus: int
    table: Table

    @property
    def request(self) -> EstimateRequest:
        return self.named.request


def complete_request(
    request: EstimateRequest, *, catalog: Catalog, machine: Machine | None = None
) -> TrainingJob:
    """Return the job that `request` describes, with nothing left open.

    `machine` is what `gpu: local` means; it is detected where it is needed and not given. Raises
    REQUEST_INVALID with every fault at once.
    """
    named = look_up(request, catalog=catalog, machine=machine)
    return _priced(_first_fitting(named, catalog), catalog)


def laid_out_like(job: TrainingJob, request: EstimateRequest, catalog: Catalog) -> TrainingJob:
    """Return the job of a request that differs from that of `job` in no more than work and price.

    Work is tokens, examples and epochs; price is provider, spot and region.
    """
    recipe = recipe_of(catalog, job.approach, job.method, params=job.shape.params)
    tokens = _tokens(request, job.approach, job.shape, recipe, job.seq_len)
    return _priced(job._replace(request=request, tokens=tokens, region=request.region), catalog)


def _priced(job: TrainingJob, catalog: Catalog) -> TrainingJob:
    priced = job._replace(price=choose_price(job.request, job.device, job.gpus, catalog))
    return priced._replace(assumptions=tuple(assumptions(priced)))


def _first_fitting(named: Named, catalog: Catalog) -> TrainingJob:
    """Return the first layout that fits with room to spare, or just fits, or the roomiest."""
    jobs = []
    for choice in _choices(named, catalog):
        job = _laid_out(choice)
        if surely_fits(job, choice.table):
            return job
        jobs.append(job)
    return next((job for job in jobs if fits_on(job)), jobs[-1])


def _choices(named: Named, catalog: Catalog) -> Iterator[_Choice]:
    """Yield what to try: from the smallest hardware to the largest, every method on each."""
    for device in named.devices:
        for gpus in _gpu_counts(named, device):
            for method in named.methods:
                recipe = recipe_of(catalog, named.approach, method, params=named.shape.params)
                yield _Choice(
                    named=named,
                    recipe=recipe,
                    method=method,
                    device=device,
                    gpus=gpus,
                    table=catalog.utilisation,
                )


def _gpu_counts(named: Named, device: Device) -> tuple[int, ...]:
    if named.request.gpus:
        return (named.request.gpus,)
    if device.is_cpu:
        return (1,)
    if device.local and named.machine:
        return (len(named.machine.gpus),)
    # Several small cards are tried only where the user named them.
    return GPU_COUNTS if named.request.gpu or device.id == USUAL_GPUS[-1] else (1,)


def _laid_out(choice: _Choice) -> TrainingJob:
    """Return the fastest layout that surely fits, else that likely does, else the roomiest one."""
    layouts = list(_layouts(choice.request, _draft(choice)))
    sure = [job for job in layouts if surely_fits(job, choice.table)]
    likely = sure or [job for job in layouts if fits_on(job)]
    return _fastest(choice, likely) if likely else layouts[-1]


def _fastest(choice: _Choice, layouts: Sequence[TrainingJob]) -> TrainingJob:
    """Return the fastest of the layouts, which come the likely fastest first."""
    fastest, rate = layouts[0], 0.0
    for layout in layouts:
        laid = _with_largest_batch(choice, layout)
        found = speed(laid, choice.table).tokens_per_second
        if found > rate:
            fastest, rate = laid, found
        if laid.micro_tokens >= BUSY_TOKENS and laid.sharding in UNSHARDED:
            break
    return fastest


def _layouts(request: EstimateRequest, draft: TrainingJob) -> Iterator[TrainingJob]:
    """Yield what to try, the fastest first: unsharded before sharded, kept before recomputed."""
    asked = request.gradient_checkpointing
    for sharding in _shardings(request, draft):
        for checkpointing in (asked,) if asked else ("no", "yes"):
            for tensor, pipeline in _splits(request, draft, sharding):
                laid = draft._replace(
                    sharding=sharding,
                    gradient_checkpointing=checkpointing,
                    tensor_parallel=tensor,
                    pipeline_parallel=pipeline,
                )
                yield _accumulated(laid, _wanted_tokens(request, laid))


def _shardings(request: EstimateRequest, draft: TrainingJob) -> tuple[str, ...]:
    asked = request.sharding
    if draft.gpus == 1:
        return (asked if asked and asked != "ddp" else "single",)
    if asked and asked != "single":
        return (asked,)
    if request.tensor_parallel or request.pipeline_parallel:
        return ("tp_pp",)
    return ("ddp",) if asked == "single" else ("ddp", "fsdp")


def _splits(
    request: EstimateRequest, draft: TrainingJob, sharding: str
) -> Iterator[tuple[int, int]]:
    """Yield the (tensor, pipeline) degrees to try: given, implied, or ever more of the GPUs."""
    gpus = draft.gpus
    if request.tensor_parallel or request.pipeline_parallel:
        tensor = min(request.tensor_parallel or 1, gpus)
        yield tensor, min(request.pipeline_parallel or 1, max(gpus // tensor, 1))
        return
    split = _implied_split(request, draft)
    yield min(split, GPUS_PER_MACHINE), max(split // GPUS_PER_MACHINE, 1)
    while sharding == "tp_pp" and split * 2 <= gpus:
        split *= 2
        yield min(split, GPUS_PER_MACHINE), max(split // GPUS_PER_MACHINE, 1)


def _implied_split(request: EstimateRequest, draft: TrainingJob) -> int:
    """Return how many GPUs share a sequence where the global batch has fewer of them than GPUs."""
    if not (request.global_batch_tokens and request.micro_batch):
        return 1
    once = draft.seq_len * request.micro_batch * draft.gpus
    split = round(once / request.global_batch_tokens)
    return split if 1 < split <= draft.gpus else 1


def _with_largest_batch(choice: _Choice, job: TrainingJob) -> TrainingJob:
    """Return `job` with the largest micro-batch, a power of two, that fits and is of use."""
    if choice.request.micro_batch:
        return job
    wanted = _wanted_tokens(choice.request, job, choice.recipe)
    useful = wanted / job.seq_len / job.data_parallel
    limit = min(useful, CPU_MICRO_BATCH if job.device.is_cpu else LARGEST_MICRO_BATCH)
    best, size = _accumulated(job, wanted), 2
    while size <= limit:
        larger = _accumulated(job._replace(micro_batch=size), wanted)
        # A larger batch is no use where it may run out of memory.
        if not surely_fits(larger, choice.table):
            break
        best, size = larger, size * 2
    return best


def _wanted_tokens(
    request: EstimateRequest, job: TrainingJob, recipe: Recipe | None = None
) -> float:
    """Return the tokens of one optimizer step: asked for, or the recipe's."""
    if request.global_batch_tokens:
        return request.global_batch_tokens
    return float(recipe.tokens_per_step) if recipe else job.step_tokens


def _accumulated(job: TrainingJob, wanted_tokens: float) -> TrainingJob:
    once = job.micro_tokens * job.data_parallel
    return job._replace(gradient_accumulation=max(round(wanted_tokens / once), 1))


def _draft(choice: _Choice) -> TrainingJob:
    named, request, recipe = choice.named, choice.request, choice.recipe
    shape, device = named.shape, choice.device
    seq_len = request.seq_len or min(recipe.seq_len, shape.max_context or recipe.seq_len)
    precision = request.precision or _precision(device)
    draft = TrainingJob(
        request=request,
        shape=shape,
        approach=named.approach,
        method=choice.method,
        objective=request.objective or OBJECTIVE_OF_KIND.get(shape.kind, "clm"),
        tokens=_tokens(request, named.approach, shape, recipe, seq_len),
        seq_len=seq_len,
        micro_batch=request.micro_batch or 1,
        gradient_accumulation=1,
        precision=precision,
        master_weights=precision not in {"fp32", "tf32"},
        optimizer=request.optimizer or recipe.optimizer,
        quantization=request.quantization or ("nf4_dq" if choice.method == "qlora" else None),
        cpu_offload=bool(request.cpu_offload),
        compiled=bool(request.compiled),
        lora_rank=request.lora_rank or recipe.lora_rank or 16,
        lora_targets=target_names(request.lora_targets or recipe.lora_targets or "all-linear"),
        gradient_checkpointing="no",
        sharding="single",
        tensor_parallel=1,
        pipeline_parallel=1,
        device=device,
        cores=named.machine.cores if named.machine else os.cpu_count() or 1,
        gpus=choice.gpus,
        price=None,
        region=request.region,
        scope=request.scope or "whole_run",
    )
    return _accumulated(draft, _wanted_tokens(request, draft, recipe))


def _precision(device: Device) -> str:
    if device.is_cpu:
        return "fp32"
    return "fp16" if device.arch in {"Turing", "Volta"} else "bf16"


def _tokens(
    request: EstimateRequest, approach: str, shape: Shape, recipe: Recipe, seq_len: int
) -> float:
    if request.tokens:
        return request.tokens
    if approach == "pretrain" and not request.examples:
        return TOKENS_PER_PARAMETER * shape.params
    examples = request.examples or DEFAULT_EXAMPLES
    epochs = request.epochs or chosen_epochs(recipe, examples)
    return examples * epochs * example_tokens(seq_len)
