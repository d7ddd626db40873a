"""What holds of every estimate, whatever is asked."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.catalog import load_catalog
from advisor.estimation import estimate_job
from advisor.estimation.documents import Range, read_request
from advisor.estimation.memory import peak_memory
from advisor.estimation.training_job import TrainingJob
from advisor.options.layout import complete_request

CATALOG = load_catalog()
MODELS = [
    "Qwen/Qwen3-0.6B-Base",
    "meta-llama/Llama-3.1-8B",
    "meta-llama/Llama-2-70b-hf",
    "mistralai/Mixtral-8x7B-v0.1",
    "google-t5/t5-base",
    "google-bert/bert-base-uncased",
    "openai-community/gpt2",
    "state-spaces/mamba-130m-hf",
    "llama-1m",
]
KNOWN = [name for name in MODELS if CATALOG.find_model(name) or name in CATALOG.shapes]

requests = st.fixed_dictionaries(
    {
        "model": st.sampled_from(KNOWN),
        "gpu": st.sampled_from(sorted(CATALOG.gpus)),
        "gpus": st.sampled_from([1, 2, 3, 8, 64, 1000]),
        "tokens": st.floats(1, 1e15),
        "approach": st.sampled_from(["pretrain", "continued_pretrain", "full_finetune", "lora"]),
    },
    optional={
        "seq_len": st.integers(1, 200_000),
        "micro_batch": st.integers(1, 512),
        "global_batch_tokens": st.floats(1, 1e9),
        "precision": st.sampled_from(["fp32", "tf32", "fp16", "bf16", "fp8"]),
        "optimizer": st.sampled_from(
            ["adamw", "adamw_8bit", "adamw_paged", "adamw_offload", "adafactor", "sgd", "muon"]
        ),
        "gradient_checkpointing": st.sampled_from(["no", "yes", "selective"]),
        "sharding": st.sampled_from(["single", "ddp", "zero1", "zero2", "zero3", "fsdp", "tp_pp"]),
        "tensor_parallel": st.sampled_from([1, 2, 8, 16]),
        "pipeline_parallel": st.sampled_from([1, 4]),
        "cpu_offload": st.booleans(),
        "compiled": st.booleans(),
        "provider": st.sampled_from(["owned", "aws", "vast.ai"]),
        "spot": st.booleans(),
        "region": st.sampled_from(["FRA", "us-east-1", "nowhere"]),
        "scope": st.sampled_from(["steady", "whole_run"]),
    },
)


def complete(request: dict[str, Any]) -> TrainingJob:
    return complete_request(read_request(request), catalog=CATALOG)


def numbers(value: object) -> Iterator[float]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value


@settings(max_examples=300, deadline=None)
@given(requests)
def test_every_figure_is_finite_ordered_and_not_negative(request: dict[str, Any]) -> None:
    found = estimate_job(complete(request), CATALOG)
    assert all(math.isfinite(number) and number >= 0 for number in numbers(found.model_dump()))
    ranges = [value for value in dict(found).values() if isinstance(value, Range)]
    assert all(one.low <= one.mid <= one.high for one in ranges)
    parts = found.memory_gb_per_gpu.parts.model_dump()
    assert sum(parts.values()) == pytest.approx(found.memory_gb_per_gpu.mid)
    assert found.cost_usd is None or found.cost_usd.price_source


@settings(max_examples=100, deadline=None)
@given(requests, st.integers(1, 4))
def test_a_larger_batch_never_needs_less_memory(request: dict[str, Any], factor: float) -> None:
    job = complete(request)
    larger = job._replace(micro_batch=job.micro_batch * (1 + factor))
    assert peak_memory(larger).total >= peak_memory(job).total * (1 - 1e-9)


@settings(max_examples=100, deadline=None)
@given(requests, st.integers(1, 4))
def test_a_longer_sequence_never_needs_less_memory(request: dict[str, Any], factor: float) -> None:
    job = complete(request)
    longer = job._replace(seq_len=job.seq_len * (1 + factor))
    assert peak_memory(longer).total >= peak_memory(job).total * (1 - 1e-9)


@settings(max_examples=100, deadline=None)
@given(requests, st.floats(1, 100))
def test_more_tokens_never_take_less_time_or_money(request: dict[str, Any], factor: float) -> None:
    job = complete(request)
    more = estimate_job(job._replace(tokens=job.tokens * factor), CATALOG)
    less = estimate_job(job, CATALOG)
    assert more.wall_hours.mid >= less.wall_hours.mid
    assert more.flops >= less.flops
    assert less.cost_usd is None or more.cost_usd.mid >= less.cost_usd.mid


@settings(max_examples=100, deadline=None)
@given(requests)
def test_recomputation_saves_memory_and_costs_time(request: dict[str, Any]) -> None:
    kept = complete(request)._replace(gradient_checkpointing="no")
    again = kept._replace(gradient_checkpointing="yes")
    # A single block is its own checkpoint: there recomputation can only add the block's input.
    if kept.shape.n_layers > 4:
        assert peak_memory(again).total <= peak_memory(kept).total * (1 + 1e-9)
    assert estimate_job(again, CATALOG).wall_hours.mid >= estimate_job(kept, CATALOG).wall_hours.mid


@pytest.mark.parametrize("gpus", [1, 8])
@pytest.mark.parametrize("checkpointing", ["no", "yes"])
@pytest.mark.parametrize(
    "model", ["Qwen/Qwen3-4B-Base", "meta-llama/Llama-3.1-8B", "meta-llama/Llama-2-70b-hf"]
)
def test_a_quantized_base_needs_least_memory_and_full_training_most(
    model: str, checkpointing: str, gpus: int
) -> None:
    shared = {
        "model": model,
        "gpu": "h200-sxm-141gb",
        "gpus": gpus,
        "micro_batch": 1,
        "seq_len": 512,
        "gradient_checkpointing": checkpointing,
        "sharding": "fsdp" if gpus > 1 else "single",
        "tokens": 1e6,
        "global_batch_tokens": 512 * 16 * gpus,
    }
    wanted = (("lora", "qlora"), ("lora", "lora"), ("full_finetune", "full"))
    peaks = [
        peak_memory(complete({**shared, "approach": approach, "method": method})).total
        for approach, method in wanted
    ]
    assert peaks == sorted(peaks)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([2, 4, 8, 16]), st.sampled_from(["zero1", "zero2", "zero3", "fsdp"]))
def test_sharding_over_more_gpus_never_needs_more_memory_for_states(
    gpus: int, sharding: str
) -> None:
    def states(count: int) -> float:
        memory = peak_memory(
            complete(
                {
                    "model": "meta-llama/Llama-3.1-8B",
                    "approach": "full_finetune",
                    "gpu": "h100-sxm5-80gb",
                    "gpus": count,
                    "sharding": sharding,
                    "micro_batch": 1,
                    "tokens": 1e6,
                    "global_batch_tokens": 1e7,
                }
            )
        )
        return memory.weights + memory.gradients + memory.optimizer

    assert states(gpus * 2) <= states(gpus)
