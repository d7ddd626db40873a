"""The peak memory of one GPU, part by part."""

from typing import NamedTuple

from advisor.estimation.activations import HALF, UPCAST, activation_bytes, in_autocast
from advisor.estimation.training_job import FSDP_LIKE, TrainingJob

GB = 1e9
# Bytes of one frozen weight. NF4: 4 bit and one fp32 scale a block of 64; double quantization
# shrinks the scale to 0.127 bit a weight. Source: QLoRA (arXiv 2305.14314), section 3. The 4-bit
# formats of GPTQ and HQQ keep a 16-bit scale and zero for each group of 64 to 128.
QUANTIZED_BYTES = {
    "nf4": 0.5625,
    "nf4_dq": 0.5159,
    "int8": 1.01,
    "gptq_int4": 0.5625,
    "hqq_int4": 0.5625,
    "aqlm": 0.27,
}
# How many moments an optimizer keeps for each trained parameter.
MOMENTS = {
    "adamw": 2.0,
    "adamw_paged": 2.0,
    "lamb": 2.0,
    "lion": 1.0,
    "sgd": 1.0,
    "muon": 1.0,
    "adafactor": 0.02,
}
# CUDA context with the kernels of PyTorch: 0.4 to 0.6 GB on A100 and H100.
CONTEXT_GB = 0.5
# Buffers of the collective library where GPUs talk to each other.
COLLECTIVES_GB = 0.7
# What the caching allocator holds beyond what is allocated: rounding and fragments.
ALLOCATOR_SHARE = 0.05
# Resident size of a Python process that has imported torch and transformers, without a model.
CPU_PROCESS_GB = 0.6
# DeepSpeed stage 3 keeps up to 1e9 gathered parameters and a reduction bucket of 5e8.
# Source: DeepSpeed configuration, stage3_max_live_parameters and reduce_bucket_size.
ZERO3_LIVE = 1e9
ZERO3_BUCKET = 5e8
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
        return (
            self.weights
            + self.gradients
            + self.optimizer
            + self.activations
            + self.logits
            + self.communication
            + self.framework
        )


def peak_memory(job: TrainingJob) -> Memory:
    """Return the peak memory of one GPU.

    The peak is the start of the backward pass, or the optimizer step where gradients outweigh
    activations. Without accumulation no gradients are held while activations pile up.
    """
    activations, logits = (part / GB for part in activation_bytes(job))
    gradients = _gradients(job)
    held = gradients if job.gradient_accumulation > 1 else 0.0
    if activations + logits + held < gradients:
        activations, logits, held = 0.0, 0.0, gradients
    communication = _communication(job)
    weights, optimizer = _weights(job), _optimizer(job)
    allocated = weights + held + optimizer + activations + logits + communication
    return Memory(
        weights=weights,
        gradients=held,
        optimizer=optimizer,
        activations=activations,
        logits=logits,
        communication=communication,
        framework=_framework(job) + ALLOCATOR_SHARE * allocated,
    )


def usable_gb(job: TrainingJob) -> float:
    """Return how many GB of one GPU, or of this machine, a job may fill."""
    share = USABLE_RAM_SHARE if job.device.is_cpu else USABLE_SHARE
    return job.device.memory_gb * share


def fits_on(job: TrainingJob, *, headroom: float = 1.0) -> bool:
    """Whether the median estimate of the peak, times `headroom`, fits the device."""
    return peak_memory(job).total * headroom <= usable_gb(job)


def trained_bytes(job: TrainingJob) -> tuple[float, float, float]:
    """Return the bytes of (weight, gradient, one moment) of a trained parameter.

    Mixed precision keeps fp32 weights, gradients and moments; pure 16 bit keeps all in 16 bit.
    Source: ZeRO (arXiv 1910.02054), section 3.1; EleutherAI Transformer Math 101.
    """
    if job.precision in HALF and not (job.master_weights or job.adapts):
        return 2.0, 2.0, 2.0
    return 4.0, 4.0, 4.0


def _split(job: TrainingJob, *, states: bool = False, gradients: bool = False) -> float:
    """Return over how many GPUs weights (or gradients, or optimizer states) are spread."""
    over = job.model_parallel
    if job.sharding in FSDP_LIKE or (job.sharding == "tp_pp" and states):
        return float(over * job.data_parallel)
    if job.sharding == "zero2" and (states or gradients):
        return float(job.data_parallel)
    return float(job.data_parallel if job.sharding == "zero1" and states else over)


def _weights(job: TrainingJob) -> float:
    trained = min(job.trained_params, job.shape.params) if not job.adapts else job.trained_params
    own = trained_bytes(job)[0] * trained
    if in_autocast(job):
        own += 2.0 * trained
    base = _frozen_bytes(job)
    if job.cpu_offload and job.sharding in FSDP_LIKE:
        return 0.0
    return (own + base) / _split(job) / GB


def _frozen_bytes(job: TrainingJob) -> float:
    """Return the bytes of the weights that are not trained."""
    shape = job.shape
    plain = 2.0 if job.precision in HALF else 4.0
    if job.method == "frozen":
        return plain * max(shape.params - job.trained_params, 0.0)
    if not job.adapts:
        return 0.0
    if job.quantization is None:
        return plain * shape.params
    tables = 4.0 if job.quantization in UPCAST else plain
    return QUANTIZED_BYTES[job.quantization] * shape.block_params + tables * shape.embedding_params


def _gradients(job: TrainingJob) -> float:
    gradient = trained_bytes(job)[1] * job.trained_params
    return gradient / _split(job, gradients=True) / GB


def _optimizer(job: TrainingJob) -> float:
    if job.optimizer == "adamw_offload" or (job.cpu_offload and job.sharding in FSDP_LIKE):
        return 0.0
    if job.optimizer == "adamw_8bit":
        per_param = 2.0
    else:
        per_param = MOMENTS[job.optimizer] * trained_bytes(job)[2]
    return per_param * job.trained_params / _split(job, states=True) / GB


def _communication(job: TrainingJob) -> float:
    if job.data_parallel * job.model_parallel == 1:
        return _dequantized(job)
    shape, trained = job.shape, job.trained_params
    if job.sharding in FSDP_LIKE:
        return _gathered(job) + _dequantized(job)
    if job.sharding == "ddp":
        # Reduction buckets are a second copy of the gradients.
        return trained_bytes(job)[1] * trained / GB
    if job.sharding in {"zero1", "zero2"}:
        return 2 * 2 * min(trained, ZERO3_BUCKET) / GB
    return 4 * shape.block_params / shape.n_layers / job.tensor_parallel / GB


def _gathered(job: TrainingJob) -> float:
    """Return the GB of whole layers that sharding holds while they are at work."""
    shape = job.shape
    block = shape.block_params / shape.n_layers
    if job.sharding == "zero3":
        live = 2 * min(shape.params, ZERO3_LIVE + shape.table_params)
        return (live + 2 * min(job.trained_params, ZERO3_BUCKET)) / GB
    base = QUANTIZED_BYTES.get(job.quantization or "", 2.0)
    gradient = 0.0 if job.adapts else 4 * block
    return (2 * base * block + 2 * shape.embedding_params + gradient) / GB


def _dequantized(job: TrainingJob) -> float:
    """Return the GB of the 16-bit copy of the largest matrix while it is multiplied."""
    if job.quantization is None:
        return 0.0
    return 2 * 2 * job.shape.hidden * job.shape.intermediate / GB


def _framework(job: TrainingJob) -> float:
    if job.device.is_cpu:
        return CPU_PROCESS_GB
    return CONTEXT_GB + (COLLECTIVES_GB if job.gpus > 1 else 0.0)
