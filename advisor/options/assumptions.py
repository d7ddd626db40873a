"""Says what was chosen where a request left something open."""

from collections.abc import Iterator

from advisor.estimation.money import OWNED
from advisor.estimation.states import HALF
from advisor.estimation.training_job import LORA_METHODS, TrainingJob
from advisor.units import show_count


def assumptions(job: TrainingJob) -> Iterator[str]:
    """Yield one line for each key that the request of `job` leaves open."""
    for key, value in _chosen(job).items():
        if getattr(job.request, key) is None:
            yield f"{key}: {value}"
    if job.request.states is None and not job.adapts:
        yield f"states: {_states(job)}"
    if job.price is None:
        yield f"no price is known for {job.device.name}"
    elif job.request.provider is None and job.request.price_per_gpu_hour is None:
        energy = ", energy only" if job.price.provider == OWNED else ""
        yield f"provider: {job.price.provider}{energy}"


def _states(job: TrainingJob) -> str:
    if job.precision not in HALF:
        return "fp32, as all else"
    if job.master_weights:
        return "fp32: trained weights and what the optimizer keeps of them"
    return "16bit: weights as loaded, with gradients and moments like them"


def _chosen(job: TrainingJob) -> dict[str, object]:
    chosen: dict[str, object] = {
        "approach": job.approach,
        "method": job.method,
        "objective": job.objective,
        "seq_len": job.seq_len,
        "micro_batch": job.micro_batch,
        "global_batch_tokens": f"{job.step_tokens:,.0f}",
        "precision": job.precision,
        "optimizer": job.optimizer,
        "attention": job.attention,
        "gradient_checkpointing": job.gradient_checkpointing,
        "sharding": job.sharding,
        "gpu": job.device.name,
        "gpus": job.gpus,
        "scope": job.scope,
    }
    if job.request.tokens is None:
        chosen["tokens"] = _token_words(job)
    if job.model_parallel > 1:
        chosen["tensor_parallel"] = job.tensor_parallel
        chosen["pipeline_parallel"] = job.pipeline_parallel
    if job.method in LORA_METHODS:
        chosen |= {"lora_rank": job.lora_rank, "lora_targets": ",".join(job.lora_targets)}
    if job.quantization:
        chosen["quantization"] = job.quantization
    return chosen


def _token_words(job: TrainingJob) -> str:
    count = show_count(job.tokens)
    if job.approach == "pretrain" and job.request.examples is None:
        return f"{count}, 20 for each parameter"
    return f"{count}, an example taken to fill half of seq_len"
