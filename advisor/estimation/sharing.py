"""How a job's memory is spread over its GPUs, and what sharing it costs each of them."""

from advisor.estimation.states import (
    DEEPSPEED,
    QUANTIZED_BYTES,
    SCALE_BYTES,
    States,
    element_bytes,
    held,
    trained_bytes,
)
from advisor.estimation.training_job import FSDP_LIKE, TrainingJob

# DeepSpeed stage 3 keeps up to 1e9 gathered parameters and a reduction bucket of 5e8.
# Source: DeepSpeed configuration, stage3_max_live_parameters, reduce_bucket_size, sub_group_size.
ZERO3_LIVE = 1e9
ZERO_BUCKET = 5e8
ZERO3_GROUP = 1e9
# A unit of FSDP is at work while the next one is gathered.
UNITS_AT_WORK = 2


def own_share(job: TrainingJob, states: States) -> States:
    """Return what one GPU holds of the states."""
    offloaded = job.cpu_offload and job.sharding in FSDP_LIKE
    model, copies = job.model_parallel, job.data_parallel
    sharded = copies if job.sharding in FSDP_LIKE else 1
    scattered = copies if job.sharding in FSDP_LIKE | {"zero2"} else 1
    apart = copies if job.sharding in FSDP_LIKE | DEEPSPEED | {"tp_pp"} else 1
    scales = _scales(job) if sharded > 1 or offloaded else 0.0
    if offloaded:
        return States(trained=0.0, frozen=scales, gradients=0.0, optimizer=0.0)
    away = job.cpu_offload and job.sharding in DEEPSPEED
    return States(
        trained=states.trained / model / sharded,
        frozen=(states.frozen - scales) / model / sharded + scales,
        gradients=states.gradients / model / scattered,
        optimizer=0.0 if away else states.optimizer / model / apart,
    )


def step_copies(job: TrainingJob, states: States) -> float:
    """Return the bytes that the optimizer step of DeepSpeed adds to the gradients.

    Stages 1 and 2 copy a GPU's part of the gradients flat, and then to fp32; stage 3 makes fp32
    copies of 1e9 of them at a time. Source: DeepSpeed, stage_1_and_2.py and stage3.py.
    """
    if job.sharding not in DEEPSPEED or not held(job).master:
        return 0.0
    part = states.gradients / job.model_parallel / job.data_parallel
    if job.sharding == "zero3":
        return 2 * min(part, 2 * ZERO3_GROUP)
    return 3 * part


def _scales(job: TrainingJob) -> float:
    """Return the bytes of a quantized base that sharding leaves whole on each GPU."""
    return SCALE_BYTES.get(job.quantization or "", 0.0) * job.shape.block_params


def buffers(job: TrainingJob, states: States) -> float:
    """Return the bytes of what GPUs exchange: gathered weights, and gradients to be summed."""
    if job.gpus == 1:
        return 0.0
    if job.sharding in FSDP_LIKE:
        return _gathered(job, states)
    if job.sharding == "ddp":
        # Reduction buckets are a second copy of the gradients.
        return states.gradients
    if job.sharding in DEEPSPEED:
        # Two buckets in turn, of 16 bit.
        return min(states.gradients, 4 * ZERO_BUCKET)
    block = job.shape.block_params / job.shape.n_layers
    return 2 * UNITS_AT_WORK * block / job.tensor_parallel


def _gathered(job: TrainingJob, states: States) -> float:
    """Return the bytes of whole layers that sharding holds while they are at work.

    No GPU gathers more than the others hold.
    """
    shape, parallel = job.shape, job.model_parallel
    others = 1.0 if job.cpu_offload else 1 - 1 / job.data_parallel
    weight = QUANTIZED_BYTES.get(job.quantization or "", float(element_bytes(job)))
    most = (states.trained + states.frozen) * others
    if job.sharding == "zero3":
        live = weight * min(shape.params, ZERO3_LIVE + shape.table_params)
        return (min(live, most) + min(2 * ZERO_BUCKET, states.gradients)) / parallel
    block = shape.block_params / shape.n_layers
    gathered = UNITS_AT_WORK * weight * block + element_bytes(job) * shape.embedding_params
    # The gradient of a block is whole until it is scattered, in the type of the gradients.
    gradient = 0.0 if job.adapts else trained_bytes(job)[1] * block
    return (min(gathered, most) + min(gradient, states.gradients)) / parallel
