"""What `accelerate estimate-memory` says of a job: the reference that most people have at hand."""

from accelerate.commands.estimate import estimate_training_usage

from advisor.estimation.training_job import TrainingJob

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp8": "bfloat16"}


def accelerate_gb(job: TrainingJob) -> float | None:
    """Return its "training using Adam" in GB, None where it has no answer.

    It knows neither adapters nor sharding, so it answers for whole models on one GPU alone. The
    command reads a model's size from its hub; here it is given the size, in fp32.
    """
    if job.adapts or job.gpus > 1:
        return None
    usage = estimate_training_usage(int(4 * job.shape.params), DTYPES.get(job.precision, "float32"))
    return float(max(usage.values())) / 1e9
