"""What a request most likely means where it does not say how states and attention are kept."""

from advisor.estimation.documents import EstimateRequest
from advisor.estimation.habits import habits_of
from advisor.estimation.shape import Shape
from advisor.estimation.states import HALF
from advisor.estimation.training_job import OLD_ARCHITECTURES, UNSHARDED, Device, TrainingJob


def keeps_fp32_states(request: EstimateRequest, job: TrainingJob, sharding: str) -> bool:
    """Return whether trained weights and moments are kept in fp32 beside 16-bit arithmetic.

    The job of a plan keeps them, and so do sharding frameworks (FSDP's mixed precision, ZeRO,
    Megatron); fp16 cannot do without. Who states that nothing is sharded and that the precision is
    bf16 describes a run of their own: such a model is most often trained as it was loaded.
    """
    if job.precision not in HALF:
        return False
    if request.states:
        return request.states == "fp32"
    as_loaded = request.sharding in UNSHARDED and sharding in UNSHARDED
    return job.precision != "bf16" or not as_loaded


def attention_of(request: EstimateRequest, shape: Shape, device: Device) -> str:
    """Return how attention is computed: fused, unless family or card cannot."""
    if request.attention:
        return request.attention
    old = device.arch in OLD_ARCHITECTURES
    return "eager" if old or habits_of(shape.anatomy.family).eager else "sdpa"
