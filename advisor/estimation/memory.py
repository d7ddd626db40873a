"""The peak memory of one GPU, part by part."""

from functools import lru_cache
from typing import NamedTuple

from advisor.estimation import processor
from advisor.estimation.activations import (
    LOGITS_BYTES,
    blocks_at_work,
    kept_bytes,
    logits_bytes,
    outer_bytes,
)
from advisor.estimation.blocks import block_bytes, widest_bytes
from advisor.estimation.shape import Shape
from advisor.estimation.sharing import buffers, own_share, step_copies
from advisor.estimation.states import HALF, States, in_autocast, states_of, upcast
from advisor.estimation.training_job import (
    OLD_ARCHITECTURES,
    SHAPES_KEPT,
    UNSHARDED,
    VIRTUAL_TOKENS,
    TrainingJob,
)

GB = 1e9
# CUDA context with the kernels of PyTorch: 0.4 to 0.6 GB on A100 and H100.
CONTEXT_GB = 0.5
# Software of Volta's time loads every kernel at once: 1343 MiB (transformers documentation,
# perf_train_gpu_one, an empty tensor on a V100).
OLD_CONTEXT_GB = 1.41
# Buffers of the collective library where GPUs talk to each other.
COLLECTIVES_GB = 0.7
# What the caching allocator holds beyond what is allocated: rounding and fragments. The one figure
# that is fitted: 0.03 to 0.05 leave published runs of adapters, one vote a group, without a bias.
ALLOCATOR_SHARE = 0.04
CAST_BYTES = 2.0
# At the end of the forward pass a logit is there in 16 bit, in fp32, and as log-probability.
FORWARD_LOGITS_SHARE = 10 / LOGITS_BYTES
# Frameworks, drivers and other tenants leave this share of a GPU's memory to a job.
USABLE_SHARE = 0.96
# An operating system and other programs need more of a machine's own memory.
USABLE_RAM_SHARE = 0.85


class Memory(NamedTuple):
    """Peak memory of one GPU in GB at its fullest moment, part by part."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float
    communication: float
    framework: float

    @property
    def total(self) -> float:
        """All parts together."""
        return sum(self)


class _Moment(NamedTuple):
    """Bytes that come and go within a step, at one moment of it."""

    weights: float
    gradients: float
    activations: float
    logits: float


def peak_memory(job: TrainingJob) -> Memory:
    """Return the peak memory of one GPU: what it always holds, and the fullest moment of a step."""
    whole = states_of(job)
    own = own_share(job, whole)
    update = _Moment(0.0, own.gradients + step_copies(job, whole), 0.0, 0.0)
    moment = max(*_moments(job, own), update, key=sum)
    communication = buffers(job, whole) + _unpacked(job)
    always = own.trained + own.frozen + own.optimizer + communication
    return Memory(
        weights=(own.trained + own.frozen + moment.weights) / GB,
        gradients=moment.gradients / GB,
        optimizer=own.optimizer / GB,
        activations=moment.activations / GB,
        logits=moment.logits / GB,
        communication=communication / GB,
        framework=_framework_gb(job, always, sum(moment)),
    )


def _framework_gb(job: TrainingJob, always: float, live: float) -> float:
    """Return what the process holds beyond its tensors, of `always` and `live` bytes."""
    if job.device.is_cpu:
        return processor.beyond_gb(job, live=live / GB)
    kept = ALLOCATOR_SHARE * (always + live) + _stranded(job)
    return beyond_allocator_gb(job) + kept / GB


def _moments(job: TrainingJob, own: States) -> tuple[_Moment, ...]:
    """Return the moments that can be the fullest.

    They are the end of the forward pass, the gradient of the loss, the last block and the first
    block of the backward pass. A pipeline's first stage holds activations of several
    micro-batches, its last stage those of one, and the logits.
    """
    held = own.gradients if _keeps_gradients(job) else 0.0
    tokens = _tokens_of_a_pass(job)
    each = kept_bytes(job)
    kept = each * blocks_at_work(job) / job.pipeline_parallel
    ended = (kept + outer_bytes(job)) * tokens
    recomputes = job.gradient_checkpointing != "no"
    block = (block_bytes(job) if recomputes else each) * tokens
    # The widest tensor of a block and its gradient, while its backward pass begins.
    widest = 2 * widest_bytes(job) * tokens
    begun = kept * _tokens_in_flight(job) + widest + (block if recomputes else 0.0)
    casts, head = _cast_weights(job), _cast_head(job)
    lasting = head if recomputes else casts
    logits, lifted = logits_bytes(job) * tokens, _lifted_head(job)
    return (
        _Moment(casts, held, ended, logits * FORWARD_LOGITS_SHARE + lifted),
        _Moment(lasting, held, ended, logits + lifted),
        _Moment(lasting, held, begun, 0.0),
        _Moment(0.0, own.gradients, block, 0.0),
    )


def _keeps_gradients(job: TrainingJob) -> bool:
    """Return whether gradients outlive a step: they are summed up, or only set to zero.

    PyTorch frees them since 2.0; Megatron has one buffer for all of them.
    """
    old = job.device.arch in OLD_ARCHITECTURES
    return job.gradient_accumulation > 1 or job.sharding == "tp_pp" or old


def _tokens_of_a_pass(job: TrainingJob) -> float:
    """Return the tokens that one GPU works on at a time; a pipeline cuts a batch to feed itself."""
    fed = job.micro_batch * job.gradient_accumulation
    pieces = max(job.gradient_accumulation, min(job.pipeline_parallel, fed))
    return _own_tokens(job) * job.gradient_accumulation / pieces


def _tokens_in_flight(job: TrainingJob) -> float:
    """Return the tokens whose activations the first stage holds: one piece for each stage."""
    return _own_tokens(job) * min(job.gradient_accumulation, job.pipeline_parallel)


def _own_tokens(job: TrainingJob) -> float:
    """Return the tokens of a micro-batch on one GPU; virtual tokens make sequences longer."""
    virtual = VIRTUAL_TOKENS if job.method in {"prompt", "p_tuning"} else 0
    length = (job.seq_len + virtual) / job.context_parallel
    return job.micro_batch * length / job.tensor_parallel


def _cast_weights(job: TrainingJob) -> float:
    """Return the bytes of the 16-bit copies of fp32 weights that autocast keeps for a pass."""
    if job.adapts:
        mixed = job.precision in HALF and job.sharding in UNSHARDED
        return CAST_BYTES * job.trained_params * mixed + _copied_targets(job)
    if not in_autocast(job):
        return 0.0
    looked_up = 0.0 if job.shape.tied else job.shape.table_params
    return CAST_BYTES * max(min(job.trained_params, job.shape.params) - looked_up, 0.0)


def _cast_head(job: TrainingJob) -> float:
    """Return the bytes of the copy of the output head, which outlives the others for a moment."""
    return CAST_BYTES * job.shape.table_params if in_autocast(job) else 0.0


def _lifted_head(job: TrainingJob) -> float:
    """Return the bytes of the 16-bit copy of an output head that was lifted to fp32."""
    if not (job.adapts and upcast(job)) or job.objective == "classification":
        return 0.0
    return CAST_BYTES * job.shape.table_params


def _copied_targets(job: TrainingJob) -> float:
    """Return the bytes of 16-bit copies that DoRA makes of the matrices it adapts.

    Source: peft, DoraLinearLayer.forward: with dropout it multiplies by a copy of the weight.
    """
    if job.method != "dora":
        return 0.0
    blocks = 1 if job.gradient_checkpointing == "no" else job.shape.n_layers
    return CAST_BYTES * _target_params(job.shape, job.lora_targets) / blocks


@lru_cache(SHAPES_KEPT)
def _target_params(shape: Shape, targets: tuple[str, ...]) -> float:
    return float(sum(one.size * one.copies for one in shape.linears() if one.name in targets))


def _unpacked(job: TrainingJob) -> float:
    """Return the bytes of 16-bit copies of quantized matrices while they are multiplied.

    The kernel of GPTQ that trains unpacks to 32 bit first, and hands its 16-bit matrices to
    autograd, which keeps them. Source: AutoGPTQ, qlinear_cuda_old.
    """
    if job.quantization is None:
        return 0.0
    shape = job.shape
    largest = float(shape.hidden * shape.intermediate)
    if job.quantization != "gptq_int4":
        return CAST_BYTES * largest
    blocks = shape.n_layers if job.gradient_checkpointing == "no" else 1
    return CAST_BYTES * blocks * shape.block_params / shape.n_layers + 5.0 * largest


def _stranded(job: TrainingJob) -> float:
    """Return the bytes of the freed 16-bit logits, too small a block for what comes after them."""
    if job.precision not in HALF:
        return 0.0
    return logits_bytes(job) * _tokens_of_a_pass(job) * CAST_BYTES / LOGITS_BYTES


def beyond_allocator_gb(job: TrainingJob) -> float:
    """Return what the process holds beyond PyTorch's allocator: context and collectives."""
    if job.device.is_cpu:
        return 0.0
    context = OLD_CONTEXT_GB if job.device.arch in OLD_ARCHITECTURES else CONTEXT_GB
    return context + (COLLECTIVES_GB if job.gpus > 1 else 0.0)


def usable_gb(job: TrainingJob) -> float:
    """Return how many GB of one GPU, or of this machine, a job may fill."""
    share = USABLE_RAM_SHARE if job.device.is_cpu else USABLE_SHARE
    return job.device.memory_gb * share


def fits_on(job: TrainingJob) -> bool:
    """Whether the median estimate of the peak fits the device."""
    return peak_memory(job).total <= usable_gb(job)
