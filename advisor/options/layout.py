"""Completes a job: what a request leaves open is chosen as a plan would choose it."""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import NamedTuple

from advisor.catalog import Catalog, Recipe
from advisor.estimation.compute import Table, speed
from advisor.estimation.documents import EstimateRequest
from advisor.estimation.interval import surely_fits
from advisor.estimation.memory import fits_on
from advisor.estimation.money import choose_price
from advisor.estimation.shape import ENCODER, ENCODER_DECODER, Shape
from advisor.estimation.training_job import UNSHARDED, Device, TrainingJob
from advisor.machine import Machine
from advisor.options.assumptions import assumptions
from advisor.options.conventions import attention_of, keeps_fp32_states
from advisor.options.named import USUAL_GPUS, Named, look_up, target_names
from advisor.options.recipes import chosen_epochs, example_tokens, recipe_of
from advisor.options.shapes import TOKENS_PER_PARAMETER

OBJECTIVE_OF_KIND = {ENCODER: "mlm", ENCODER_DECODER: "seq2seq"}
DEFAULT_EXAMPLES = 10_000.0
LARGEST_MICRO_BATCH = 64
CPU_MICRO_BATCH = 8
# A whole model on each GPU that works on this many tokens at a time is hard to beat.
BUSY_TOKENS = 4096
GPU_COUNTS = tuple(2**power for power in range(15))
# Pretraining for which no count is given is done within a month, at what whole runs reach.
USUAL_SECONDS = 30 * 24 * 3600
USUAL_MFU = 0.4
GPUS_PER_MACHINE = 8
# Beyond these, sharding alone waits for the network; teams split the tensors and layers too.
FEW_GPUS = 64


class Choice(NamedTuple):
    """One method on one kind of hardware, still to be laid out."""

    named: Named
    recipe: Recipe
    method: str
    device: Device
    gpus: int
    table: Table

    @property
    def request(self) -> EstimateRequest:
        """What was asked for."""
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


def _choices(named: Named, catalog: Catalog) -> Iterator[Choice]:
    """Yield what to try: from the smallest hardware to the largest, every method on each."""
    for device in named.devices:
        for gpus in _gpu_counts(named, device):
            for method in named.methods:
                recipe = recipe_of(catalog, named.approach, method, params=named.shape.params)
                yield Choice(
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
    if not (named.request.gpu or device.id == USUAL_GPUS[-1]):
        return (1,)
    fewest = _fewest_gpus(named, device)
    return tuple(count for count in GPU_COUNTS if count >= fewest) or GPU_COUNTS[-1:]


def _fewest_gpus(named: Named, device: Device) -> float:
    """Return how many GPUs finish pretraining in the usual time; 1 for other approaches."""
    if named.approach != "pretrain":
        return 1.0
    tokens = named.request.tokens or TOKENS_PER_PARAMETER * named.shape.params
    work = 6 * named.shape.params_active * tokens
    return work / (device.tflops["bf16"] * 1e12 * USUAL_MFU * USUAL_SECONDS)


def _laid_out(choice: Choice) -> TrainingJob:
    """Return the fastest layout that surely fits, else that likely does, else the roomiest one."""
    layouts = list(_layouts(choice.request, draft_of(choice)))
    safe = partial(_is_safe, table=choice.table)
    return _fastest(choice, layouts, safe) or _fastest(choice, layouts, fits_on) or layouts[-1]


def every_layout(choice: Choice) -> Iterator[TrainingJob]:
    """Yield every layout that is of use, whether it fits or not, without a price."""
    for job in _layouts(choice.request, draft_of(choice)):
        yield from _batches(choice, job)


def _is_safe(job: TrainingJob, table: Table) -> bool:
    """Tell whether a layout may be planned: those of large teams are tuned to fit closely."""
    return fits_on(job) if job.sharding == "tp_pp" else surely_fits(job, table)


def _fastest(
    choice: Choice, layouts: Iterable[TrainingJob], fits: Callable[[TrainingJob], bool]
) -> TrainingJob | None:
    """Return the fastest of the layouts that fit, which come the likely fastest first."""
    fastest, rate = None, 0.0
    for _, alike in groupby(layouts, key=_but_for_its_split):
        before = 0.0
        for layout in filter(fits, alike):
            laid = _with_largest_batch(choice, layout)
            found = speed(laid, choice.table).tokens_per_second
            if found > rate:
                fastest, rate = laid, found
            if laid.micro_tokens >= BUSY_TOKENS and laid.sharding in UNSHARDED:
                return fastest
            if found < before:
                # Split over more GPUs it only waits longer.
                break
            before = found
    return fastest


def _but_for_its_split(job: TrainingJob) -> tuple[str, str]:
    return job.sharding, job.gradient_checkpointing


def _layouts(request: EstimateRequest, draft: TrainingJob) -> Iterator[TrainingJob]:
    """Yield what to try, the fastest first: unsharded before sharded, kept before recomputed."""
    asked = request.gradient_checkpointing
    for sharding in _shardings(request, draft):
        for checkpointing in (asked,) if asked else _checkpointings(draft, sharding):
            for split in _splits(request, draft, sharding):
                laid = draft._replace(
                    sharding=sharding,
                    master_weights=keeps_fp32_states(request, draft, sharding),
                    gradient_checkpointing=checkpointing,
                    tensor_parallel=split.tensor,
                    pipeline_parallel=split.pipeline,
                    context_parallel=split.context,
                )
                yield _accumulated(laid, _wanted_tokens(request, laid))


def _checkpointings(draft: TrainingJob, sharding: str) -> tuple[str, ...]:
    """Return what to try; the frameworks of large pretraining repeat parts before whole blocks."""
    large = draft.approach == "pretrain" and draft.gpus > GPUS_PER_MACHINE
    return ("no", "selective", "yes") if large or sharding == "tp_pp" else ("no", "yes")


def _shardings(request: EstimateRequest, draft: TrainingJob) -> tuple[str, ...]:
    asked = request.sharding
    if draft.gpus == 1:
        return (asked if asked and asked != "ddp" else "single",)
    if asked and asked != "single":
        return (asked,)
    if request.tensor_parallel or request.pipeline_parallel:
        return ("tp_pp",)
    if asked == "single":
        return ("ddp",)
    # Frameworks that split tensors are set up for long runs on text, of the whole model.
    on_text = draft.approach not in {"full_finetune", "lora"}
    splits = draft.gpus > FEW_GPUS and on_text and not draft.adapts
    return ("ddp", "fsdp", "tp_pp") if splits else ("ddp", "fsdp")


class _Split(NamedTuple):
    """Over how many GPUs a copy of the model, and a sequence, is split."""

    tensor: int = 1
    pipeline: int = 1
    context: int = 1


def _splits(request: EstimateRequest, draft: TrainingJob, sharding: str) -> Iterator[_Split]:
    """Yield what to try: the degrees given, or ever more of the GPUs for one copy."""
    gpus = draft.gpus
    if request.tensor_parallel or request.pipeline_parallel:
        tensor = min(request.tensor_parallel or 1, gpus)
        pipeline = min(request.pipeline_parallel or 1, max(gpus // tensor, 1))
        yield _Split(tensor, pipeline, _sharers(request, draft, tensor, pipeline))
        return
    copies, most = (1, draft.shape.n_layers * GPUS_PER_MACHINE) if sharding == "tp_pp" else (1, 1)
    while copies <= min(gpus, most):
        tensor, pipeline = min(copies, GPUS_PER_MACHINE), max(copies // GPUS_PER_MACHINE, 1)
        yield _Split(tensor, pipeline, _sharers(request, draft, tensor, pipeline))
        copies *= 2


def _sharers(request: EstimateRequest, draft: TrainingJob, tensor: int, pipeline: int) -> int:
    """Return how many GPUs share a sequence where a step has too few of them for all.

    A pipeline wants at least one sequence a stage at a time.
    """
    if not request.global_batch_tokens:
        return 1
    sequences = request.global_batch_tokens / draft.seq_len
    copies = max(sequences / max(request.micro_batch or 1, pipeline), 1)
    return min(max(round(draft.gpus / (tensor * pipeline) / copies), 1), draft.gpus)


def _with_largest_batch(choice: Choice, job: TrainingJob) -> TrainingJob:
    """Return `job` with the largest micro-batch, a power of two, that fits and is of use."""
    batches = _batches(choice, job)
    best = next(batches)
    for larger in batches:
        # A larger batch is no use where it may run out of memory.
        if not surely_fits(larger, choice.table):
            break
        best = larger
    return best


def _batches(choice: Choice, job: TrainingJob) -> Iterator[TrainingJob]:
    """Yield `job` with every micro-batch, a power of two, that is of use; the smallest first."""
    if choice.request.micro_batch:
        yield job
        return
    wanted = _wanted_tokens(choice.request, job, choice.recipe)
    useful = wanted / job.seq_len / job.data_parallel
    limit, size = min(useful, _largest_micro_batch(job)), 1
    while size == 1 or size <= limit:
        yield _accumulated(job._replace(micro_batch=size), wanted)
        size *= 2


def _largest_micro_batch(job: TrainingJob) -> int:
    """Return the micro-batch beyond which there is nothing to gain; a pipeline wants many small."""
    if job.device.is_cpu:
        return CPU_MICRO_BATCH
    return 1 if job.pipeline_parallel > 1 else LARGEST_MICRO_BATCH


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


def draft_of(choice: Choice) -> TrainingJob:
    """Return the job of a choice as one GPU would run it alone, a sequence at a time."""
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
        master_weights=False,
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
        attention=attention_of(request, shape, device),
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
