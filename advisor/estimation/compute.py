"""Floating-point work of a job, and the time it takes."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from advisor.catalog import Utilisation
from advisor.estimation.activations import (
    TARGET_SHARE,
    block_bytes,
    blocks_at_work,
    element_bytes,
    logits_bytes,
)
from advisor.estimation.memory import MOMENTS, QUANTIZED_BYTES, trained_bytes
from advisor.estimation.shape import ENCODER, ENCODER_DECODER
from advisor.estimation.training_job import FSDP_LIKE, Device, TrainingJob

Table = Mapping[tuple[str, str], Utilisation]

# GPUs of one machine talk over its fast link; machines over a network.
GPUS_PER_MACHINE = 8
NETWORK_GBS = 100.0
# A link's printed rate counts both directions; collectives reach about two thirds of one.
LINK_SHARE = 0.33
# How much of the communication hides behind arithmetic.
OVERLAP = 0.8
# How often each kept activation is read or written in a forward and a backward pass, and in a
# repeated forward pass; eager PyTorch writes every intermediate result.
MOVES = 5.0
MOVES_FORWARD = 2.0
LOGITS_MOVES = 3.0
# torch.compile fuses about half of the element-wise work away.
COMPILED_SHARE = 0.5
# Adapters add two small matrix products to a large one.
ADAPTER_LAUNCHES = 1.5
SLOWEST_HBM_GBS = 880.0
_EXTRA_FORWARD = {"no": 0.0, "selective": 0.25, "yes": 1.0}


class Work(NamedTuple):
    """Floating-point operations per token: those the model needs, and those that are run."""

    model: float
    hardware: float


def work_per_token(job: TrainingJob) -> Work:
    """Return the operations per token of one forward and backward pass.

    Forward 2N, backward 4N; frozen weights need no weight gradient, so 2N; recomputation repeats
    the forward pass; causal attention adds 2 x width x length forward. Sources: Kaplan et al. 2020
    (arXiv 2001.08361), Korthikanti et al. 2022 (arXiv 2205.05198), section 6.
    """
    forward = _forward(job)
    again = _EXTRA_FORWARD[job.gradient_checkpointing]
    if job.method == "frozen":
        backward = 0.5 * forward
    else:
        backward = forward * (1.0 if job.adapts else 2.0) + _attention(job) * job.adapts
    model = forward + backward + (6.0 * job.trained_params if job.adapts else 0.0)
    return Work(model=model, hardware=model + again * forward)


def _attention(job: TrainingJob) -> float:
    """Return the operations of scores and values per token, forward; half where causal."""
    causal = 0.5 if job.shape.kind != ENCODER else 1.0
    return 4.0 * job.shape.attentions * job.shape.q_width * job.seq_len * causal


def _forward(job: TrainingJob) -> float:
    shape = job.shape
    matrices = shape.active_block_params + shape.table_params
    if shape.kind == ENCODER_DECODER:
        decoders = shape.n_decoder_layers * 4 / 3
        share = decoders / max(shape.n_layers - shape.n_decoder_layers + decoders, 1)
        matrices *= 1 - share * (1 - TARGET_SHARE)
    return 2.0 * matrices + _attention(job)


class Speed(NamedTuple):
    """Tokens per second of one GPU, and the share of its peak that the model's work reaches."""

    tokens_per_second: float
    mfu: float | None


def speed(job: TrainingJob, table: Table) -> Speed:
    """Return the throughput of one GPU in the middle of training, or over a whole run."""
    work = work_per_token(job)
    seconds = step_seconds(job, work, table)
    steady = job.step_tokens / seconds / job.gpus
    rate = steady * _availability(job, table)
    peak = peak_flops(job)
    return Speed(tokens_per_second=rate, mfu=rate * work.model / peak if peak else None)


def peak_flops(job: TrainingJob) -> float:
    """Return the dense peak of one GPU in operations per second; 0 for a processor."""
    return job.device.tflops.get(job.precision, 0.0) * 1e12


def _availability(job: TrainingJob, table: Table) -> float:
    if job.scope == "steady":
        return 1.0
    size = "many" if job.gpus > GPUS_PER_MACHINE else "few"
    return table["availability", size].value


def step_seconds(job: TrainingJob, work: Work, table: Table) -> float:
    """Return the seconds of one optimizer step."""
    busy = _matrix_seconds(job, work, table) + _traffic_seconds(job)
    micro = math.hypot(busy, _launch_seconds(job, table)) + _exposed(job, busy)
    micro += _dequantize_seconds(job, table)
    return micro * job.gradient_accumulation + _update_seconds(job)


def _matrix_seconds(job: TrainingJob, work: Work, table: Table) -> float:
    operations = work.hardware * job.micro_tokens / job.model_parallel
    if job.device.is_cpu:
        return operations / (table["cpu_gflops_per_core", "fp32"].value * 1e9 * job.cores)
    return operations / (peak_flops(job) * efficiency(job, table))


def efficiency(job: TrainingJob, table: Table) -> float:
    """Return the share of the peak that the matrix products of this job reach."""
    sparse = table["factor", "moe"].value if job.shape.n_experts > 1 else 1.0
    sparse *= table["factor", "full_finetune"].value if job.approach == "full_finetune" else 1.0
    return sparse * table["efficiency", efficiency_case(job, table)].value


def efficiency_case(job: TrainingJob, table: Table) -> str:
    """Return the row of the efficiency table that fits the device and the precision best."""
    bits = "16bit" if job.precision in {"bf16", "fp16"} else job.precision
    arch, kind = job.device.arch.split(" ")[0], memory_kind(job.device)
    cases = (f"{arch} {kind} {bits}", f"{kind} {bits}", bits)
    return next(case for case in cases if ("efficiency", case) in table)


def memory_kind(device: Device) -> str:
    """Return hbm, gddr or desktop: what limits a card beside its rated peak.

    Professional cards with GDDR are rated at full tensor speed but throttle on power; consumer
    cards are rated at half speed and hold it.
    """
    if device.form in {"desktop", "laptop"}:
        return "desktop"
    return "hbm" if device.memory_bandwidth_gbs >= SLOWEST_HBM_GBS else "gddr"


def _traffic_seconds(job: TrainingJob) -> float:
    """Return the time to move activations between the matrix products."""
    if job.device.is_cpu:
        return 0.0
    again = _EXTRA_FORWARD[job.gradient_checkpointing]
    moves = (MOVES + MOVES_FORWARD * again) * (COMPILED_SHARE if job.compiled else 1.0)
    blocks = moves * block_bytes(job) * blocks_at_work(job)
    each = blocks + LOGITS_MOVES * logits_bytes(job)
    seconds = each * job.micro_tokens / (job.device.memory_bandwidth_gbs * 1e9)
    return seconds / job.model_parallel


def _launch_seconds(job: TrainingJob, table: Table) -> float:
    """Return the time that starting the kernels takes, however few tokens they work on."""
    if job.device.is_cpu:
        return 0.0
    passes = 3.0 + _EXTRA_FORWARD[job.gradient_checkpointing]
    adapters = ADAPTER_LAUNCHES if job.adapts else 1.0
    compiled = COMPILED_SHARE if job.compiled else 1.0
    blocks = job.shape.n_layers / job.pipeline_parallel
    return blocks * passes * adapters * compiled * table["launch", "seconds_per_block"].value


def _dequantize_seconds(job: TrainingJob, table: Table) -> float:
    """Return the time to unpack a quantized base: each pass reads 4 bit and writes 16."""
    if job.quantization is None or job.device.is_cpu:
        return 0.0
    passes = 2.0 + _EXTRA_FORWARD[job.gradient_checkpointing]
    kernels = table.get(("dequantize", job.quantization)) or table["dequantize", "nf4"]
    rate = kernels.value * job.device.memory_bandwidth_gbs * 1e9
    return passes * (2.0 + 0.5) * job.shape.block_params / job.model_parallel / rate


def _exposed(job: TrainingJob, arithmetic: float) -> float:
    """Return the communication of one micro step that does not hide behind arithmetic."""
    transfer = _transferred_bytes(job) / (_link_gbs(job) * 1e9)
    transfer += _tensor_bytes(job) / (max(job.device.interconnect_gbs * LINK_SHARE, 1.0) * 1e9)
    return max(transfer - OVERLAP * arithmetic, (1 - OVERLAP) * transfer)


def _link_gbs(job: TrainingJob) -> float:
    link = max(job.device.interconnect_gbs * LINK_SHARE, 1.0)
    if job.cpu_offload:
        link = min(link, 12.0)
    return min(link, NETWORK_GBS) if job.gpus > GPUS_PER_MACHINE else link


def _transferred_bytes(job: TrainingJob) -> float:
    """Return the bytes that one GPU moves in one micro step.

    Sharded weights are gathered forward and backward, gradients scattered once; replicas reduce
    gradients once a step. Source: ZeRO (arXiv 1910.02054), section 7.
    """
    others = 1 - 1 / max(job.data_parallel, 1)
    trained, gradient = job.trained_params, trained_bytes(job)[1]
    if job.sharding in FSDP_LIKE:
        weight = QUANTIZED_BYTES.get(job.quantization or "", 2.0)
        return others * (2 * weight * job.shape.params + gradient * trained)
    reduced = 2 * gradient * trained / job.model_parallel / job.gradient_accumulation
    return others * reduced


def _tensor_bytes(job: TrainingJob) -> float:
    """Return the bytes of tensor parallelism: activations are summed twice a block and pass.

    Source: Megatron-LM (arXiv 1909.08053), section 3.
    """
    if job.tensor_parallel == 1:
        return 0.0
    others = 1 - 1 / job.tensor_parallel
    passes = 2 + _EXTRA_FORWARD[job.gradient_checkpointing]
    each = 2 * others * 2 * element_bytes(job) * job.shape.hidden * job.micro_tokens
    return passes * each * job.shape.n_layers / job.pipeline_parallel


def _update_seconds(job: TrainingJob) -> float:
    """Return the time of the optimizer: it reads and writes weights, gradients and moments."""
    if job.device.is_cpu:
        return 0.0
    weight, gradient, moment = trained_bytes(job)
    moments = MOMENTS.get(job.optimizer, 1.0)
    touched = (2 * weight + gradient + 2 * moments * moment) * job.trained_params
    share = job.data_parallel if job.sharding not in {"single", "ddp"} else 1
    local = touched / share / job.model_parallel
    if job.optimizer == "adamw_offload" or job.cpu_offload:
        return local / 10e9
    return local / (0.5 * job.device.memory_bandwidth_gbs * 1e9)
