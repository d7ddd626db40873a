"""What holds of peak memory, whatever is asked."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.catalog import load_catalog
from advisor.estimation.documents import read_request
from advisor.estimation.memory import peak_memory, usable_gb
from advisor.estimation.training_job import TrainingJob
from advisor.options.layout import complete_request
from advisor.options.named import METHODS

CATALOG = load_catalog()
APPROACH = {
    method: approach for approach in ("lora", "full_finetune") for method in METHODS[approach]
}
SHARDED = ("zero1", "zero2", "zero3", "fsdp")
ROUNDING = 1 + 1e-9

requests = st.fixed_dictionaries(
    {
        "model": st.sampled_from(sorted(CATALOG.models)),
        "method": st.sampled_from(sorted(APPROACH)),
        "gpu": st.sampled_from(["h100-sxm5-80gb", "v100-sxm2-16gb", "t4", "rtx-4090"]),
        "gpus": st.sampled_from([1, 2, 3, 8, 64]),
        "micro_batch": st.integers(1, 256),
    },
    optional={
        "quantization": st.sampled_from(["nf4", "nf4_dq", "int8", "gptq_int4", "aqlm"]),
        "precision": st.sampled_from(["fp32", "tf32", "fp16", "bf16", "fp8"]),
        "states": st.sampled_from(["fp32", "16bit"]),
        "attention": st.sampled_from(["eager", "sdpa", "flash"]),
        "gradient_checkpointing": st.sampled_from(["no", "yes", "selective"]),
        "sharding": st.sampled_from(["single", "ddp", *SHARDED, "tp_pp"]),
        "tensor_parallel": st.sampled_from([1, 2, 8]),
        "pipeline_parallel": st.sampled_from([1, 2, 8]),
        "seq_len": st.integers(1, 100_000),
        "global_batch_tokens": st.floats(1, 1e8),
        "optimizer": st.sampled_from(
            ["adamw", "adamw_8bit", "adamw_paged", "adamw_offload", "adafactor", "muon", "lion"]
        ),
        "objective": st.sampled_from(["clm", "mlm", "seq2seq", "classification"]),
        "compiled": st.booleans(),
        "cpu_offload": st.booleans(),
        "lora_rank": st.integers(1, 512),
        "lora_targets": st.sampled_from(["all-linear", "q,v", "embeddings", "lm_head,q", "down"]),
    },
)
# The same states on both sides: frameworks that shard keep tables in fp32 that others do not.
whole_gpus = requests.map(
    lambda asked: (
        asked | {"tensor_parallel": 1, "pipeline_parallel": 1, "lora_targets": "all-linear"}
    )
)


def complete(asked: dict[str, Any]) -> TrainingJob:
    quantizes = asked["method"] == "qlora"
    wanted = {key: value for key, value in asked.items() if key != "quantization" or quantizes}
    wanted["approach"] = APPROACH[asked["method"]]
    return complete_request(read_request(wanted), catalog=CATALOG)


def total(job: TrainingJob, **changes: Any) -> float:
    return peak_memory(job._replace(**changes)).total


@settings(max_examples=300, deadline=None)
@given(requests)
def test_every_part_is_finite_and_not_negative(asked: dict[str, Any]) -> None:
    job = complete(asked)
    assert all(math.isfinite(part) and part >= 0 for part in peak_memory(job))
    assert usable_gb(job) > 0


@settings(max_examples=150, deadline=None)
@given(requests, st.integers(1, 5))
def test_more_of_anything_never_needs_less(asked: dict[str, Any], more: int) -> None:
    job = complete(asked)
    now = total(job)
    assert total(job, micro_batch=job.micro_batch + more) * ROUNDING >= now
    assert total(job, seq_len=job.seq_len + more) * ROUNDING >= now
    assert total(job, seq_len=job.seq_len * (1 + more)) * ROUNDING >= now
    assert total(job, lora_rank=job.lora_rank + more) * ROUNDING >= now
    accumulation = job.gradient_accumulation + more
    assert total(job, gradient_accumulation=accumulation) * ROUNDING >= now


@settings(max_examples=100, deadline=None)
@given(requests, st.integers(2, 4))
def test_a_deeper_or_a_larger_model_never_needs_less(asked: dict[str, Any], factor: int) -> None:
    shape = complete(asked).shape
    depth = {"n_layers": shape.n_layers} | {"hidden": shape.hidden, "n_heads": shape.n_heads}
    smaller = complete(asked | depth)
    deeper = complete(asked | depth | {"n_layers": shape.n_layers * factor})
    layout = {
        name: getattr(smaller, name)
        for name in ("sharding", "gradient_checkpointing", "micro_batch", "gradient_accumulation")
    }
    split = {
        name: getattr(smaller, name)
        for name in ("tensor_parallel", "pipeline_parallel", "context_parallel", "master_weights")
    }
    assert total(deeper, **layout, **split) * ROUNDING >= total(smaller)


@settings(max_examples=200, deadline=None)
@given(whole_gpus, st.sampled_from(SHARDED), st.sampled_from([2, 4, 8, 64]))
def test_sharding_never_costs_a_gpu_more(asked: dict[str, Any], sharding: str, gpus: int) -> None:
    job = complete(asked)._replace(gpus=gpus, sharding="ddp", context_parallel=1)
    assert total(job, sharding=sharding) <= total(job) * ROUNDING
    over_more = total(job, sharding=sharding, gpus=2 * gpus)
    assert over_more <= total(job, sharding=sharding) * ROUNDING


LARGE = sorted(
    model.id for model in CATALOG.models.values() if model.params > 3e9 and model.kind == "decoder"
)


# Where activations weigh more than weights it can be otherwise: adapters keep inputs of their own,
# and a 4-bit base that is prepared for training keeps its residual stream in fp32.
@pytest.mark.parametrize("checkpointing", ["no", "yes"])
@settings(max_examples=100, deadline=None)
@given(st.sampled_from(LARGE), st.integers(1, 512))
def test_a_quantized_base_needs_least_and_a_whole_model_most(
    checkpointing: str, model: str, length: int
) -> None:
    asked = {"model": model, "seq_len": length, "micro_batch": 1, "gpu": "h200-sxm-141gb"}
    asked |= {"gradient_checkpointing": checkpointing, "gpus": 1, "precision": "bf16"}
    peaks = [
        total(complete(asked | {"method": method, "global_batch_tokens": 16 * length}))
        for method in ("qlora", "lora", "full")
    ]
    assert peaks == sorted(peaks)
