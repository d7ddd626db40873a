"""What a job holds for each parameter: weights, gradients and the states of the optimizer."""

from typing import NamedTuple

from advisor.estimation.shape import TABLES
from advisor.estimation.training_job import FSDP_LIKE, LORA_METHODS, UNSHARDED, TrainingJob

HALF = frozenset({"bf16", "fp16", "fp8"})
DEEPSPEED = frozenset({"zero1", "zero2", "zero3"})
# bitsandbytes bases are prepared with fp32 norms and tables, which makes the residual stream fp32.
# Source: peft, prepare_model_for_kbit_training. Sharding wants one type, and leaves that step out.
UPCAST = frozenset({"nf4", "nf4_dq", "int8"})
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
# Of these the scales, which are no parameters: sharding leaves a whole copy on each GPU.
# Source: bitsandbytes, QuantState of Params4bit.
SCALE_BYTES = {"nf4": 0.0625, "nf4_dq": 0.0159}
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
# Two moments of one byte, and an fp32 scale of each for every 2048 (bitsandbytes).
ADAM_8BIT_BYTES = 2.004


class Held(NamedTuple):
    """Bytes of one trained parameter; `master` is the fp32 weight beside a 16-bit one."""

    weight: float
    gradient: float
    master: float
    moment: float


class States(NamedTuple):
    """Bytes of all states of a job before they are shared out."""

    trained: float
    frozen: float
    gradients: float
    optimizer: float


_FULL_WIDTH = Held(4.0, 4.0, 0.0, 4.0)
_PURE_16_BIT = Held(2.0, 2.0, 0.0, 2.0)
# Source: ZeRO (arXiv 1910.02054), section 3.1.
_DEEPSPEED = Held(2.0, 2.0, 4.0, 4.0)
# Source: Megatron-LM, distributed optimizer: gradients are summed in fp32.
_MEGATRON = Held(2.0, 4.0, 4.0, 4.0)


def element_bytes(job: TrainingJob) -> int:
    """Return the bytes of one activation."""
    return 2 if job.precision in HALF else 4


def held(job: TrainingJob) -> Held:
    """Return what is kept of each trained parameter.

    With fp32 states DeepSpeed and Megatron train a 16-bit copy, and PyTorch the fp32 weights, of
    which autocast and FSDP make 16-bit copies as they go.
    """
    if job.precision not in HALF:
        return _FULL_WIDTH
    if job.sharding in DEEPSPEED:
        return _DEEPSPEED if job.master_weights or job.adapts else _PURE_16_BIT
    if job.adapts:
        return _FULL_WIDTH
    if not job.master_weights:
        return _PURE_16_BIT
    return _MEGATRON if job.sharding == "tp_pp" else _FULL_WIDTH


def trained_bytes(job: TrainingJob) -> tuple[float, float, float]:
    """Return the bytes of (weight, gradient, one moment) of a trained parameter."""
    kept = held(job)
    return kept.weight, kept.gradient, kept.moment


def in_autocast(job: TrainingJob) -> bool:
    """Whether fp32 weights are cast as they are used, so that the residual stream is fp32."""
    if job.adapts or not job.master_weights or job.precision not in HALF:
        return False
    return job.sharding in UNSHARDED


def upcast(job: TrainingJob) -> bool:
    """Whether all of a quantized base but its matrices is lifted to fp32."""
    return job.quantization in UPCAST and job.sharding not in FSDP_LIKE


def states_of(job: TrainingJob) -> States:
    """Return the bytes of the states of `job` over all GPUs of one copy."""
    kept, trained = held(job), job.trained_params
    tables = _trained_tables(job)
    small = trained - tables
    # peft trains a copy of a table in the type of the base.
    as_base = job.precision in HALF and job.sharding not in DEEPSPEED
    wide = _PURE_16_BIT if as_base else kept
    return States(
        trained=kept.weight * small + wide.weight * tables,
        frozen=_frozen(job),
        gradients=kept.gradient * small + wide.gradient * tables,
        optimizer=_optimizer(job, kept) * small + _optimizer(job, wide) * tables,
    )


def _trained_tables(job: TrainingJob) -> float:
    """Return the parameters of vocabulary tables that are trained beside adapters."""
    if job.method not in LORA_METHODS:
        return 0.0
    return job.shape.table_params * len(TABLES.intersection(job.lora_targets))


def _optimizer(job: TrainingJob, kept: Held) -> float:
    if job.optimizer == "adamw_offload":
        return 0.0
    if job.optimizer == "adamw_8bit":
        return ADAM_8BIT_BYTES + kept.master
    return MOMENTS[job.optimizer] * kept.moment + kept.master


def _frozen(job: TrainingJob) -> float:
    """Return the bytes of the weights that are not trained."""
    shape, plain = job.shape, float(element_bytes(job))
    if not job.adapts:
        return plain * max(shape.params - job.trained_params, 0.0)
    if job.quantization is None:
        return plain * shape.params
    tables = 4.0 if upcast(job) else plain
    return QUANTIZED_BYTES[job.quantization] * shape.block_params + tables * shape.embedding_params
