"""What holds of time and money, whatever is asked."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from advisor.catalog import load_catalog
from advisor.estimation import estimate_job
from advisor.estimation.activations import blocks_at_work
from advisor.estimation.documents import Estimate, Range, read_request
from advisor.estimation.memory import peak_memory
from advisor.estimation.training_job import TrainingJob
from advisor.options.layout import complete_request
from advisor.options.named import METHODS
from advisor.search import Limits
from advisor.search.points import pareto, points_of
from advisor.search.space import Space, space_of
from advisor.units import (
    parse_count,
    parse_data_size,
    parse_hours,
    parse_usd,
    show_number,
    write_data_size,
    write_hours,
)

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
PRICED = sorted({price.gpu for price in CATALOG.prices} & set(CATALOG.gpus))
FEW = ("l4", "rtx-4090", "a100-sxm4-80gb", "h100-sxm5-80gb")
methods = st.sampled_from([(approach, one) for approach in METHODS for one in METHODS[approach]])
work = st.one_of(
    st.fixed_dictionaries({"tokens": st.floats(1, 1e18)}),
    st.fixed_dictionaries(
        {"examples": st.floats(1, 1e12)}, optional={"epochs": st.floats(0.1, 99)}
    ),
)
shapes = st.one_of(
    st.fixed_dictionaries({"model": st.sampled_from(KNOWN)}),
    st.fixed_dictionaries({"params_b": st.floats(1e-6, 1e4)}),
    st.fixed_dictionaries(
        {"params_b": st.floats(0.1, 1e4), "active_params_b": st.floats(0.01, 0.1)}
    ),
)
hardware = st.fixed_dictionaries(
    {"gpu": st.sampled_from(sorted(CATALOG.gpus)), "gpus": st.integers(1, 100_000)}
)
settings_of_a_job = st.fixed_dictionaries(
    {},
    optional={
        "seq_len": st.integers(1, 10_000_000),
        "micro_batch": st.integers(1, 10_000),
        "global_batch_tokens": st.floats(1, 1e12),
        "precision": st.sampled_from(["fp32", "tf32", "fp16", "bf16", "fp8"]),
        "optimizer": st.sampled_from(["adamw", "adamw_8bit", "adamw_offload", "sgd", "lamb"]),
        "gradient_checkpointing": st.sampled_from(["no", "yes", "selective"]),
        "sharding": st.sampled_from(["single", "ddp", "zero1", "zero2", "zero3", "fsdp", "tp_pp"]),
        "tensor_parallel": st.integers(1, 64),
        "pipeline_parallel": st.integers(1, 64),
        "cpu_offload": st.booleans(),
        "compiled": st.booleans(),
        "lora_rank": st.integers(1, 10_000),
        "provider": st.sampled_from(["owned", "aws", "vast.ai"]),
        "price_per_gpu_hour": st.floats(0, 1e6),
        "depreciation_years": st.floats(0.1, 100),
        "spot": st.booleans(),
        "region": st.sampled_from(["FRA", "us-east-1", "nowhere"]),
        "scope": st.sampled_from(["steady", "whole_run"]),
        "calls_per_day": st.floats(0, 1e12),
        "latency_ms": st.floats(1e-3, 1e9),
    },
)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    approach, method = draw(methods)
    asked = {"approach": approach, "method": method}
    return asked | draw(shapes) | draw(work) | draw(hardware) | draw(settings_of_a_job)


def complete(request: dict[str, Any]) -> TrainingJob:
    return complete_request(read_request(request), catalog=CATALOG)


def priced(request: dict[str, Any]) -> Estimate:
    return estimate_job(complete(request), CATALOG)


def numbers(value: object) -> Iterator[float]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value


def ranges(found: Estimate) -> Iterator[Range]:
    for part in (found, found.energy, found.serving):
        if part is not None:
            yield from (value for value in dict(part).values() if isinstance(value, Range))


@settings(max_examples=500, deadline=None)
@given(requests())
def test_no_figure_is_negative_or_infinite_and_low_mid_high_are_in_order(
    request: dict[str, Any],
) -> None:
    found = priced(request)
    assert all(math.isfinite(number) and number >= 0 for number in numbers(found.model_dump()))
    assert all(one.low <= one.mid <= one.high for one in ranges(found))
    assert found.wall_hours.mid > 0
    assert found.tokens_per_second_per_gpu.mid > 0
    assert Estimate.model_validate_json(found.model_dump_json()) == found


@settings(max_examples=200, deadline=None)
@given(requests())
def test_money_is_hours_times_price(request: dict[str, Any]) -> None:
    job = complete(request)
    found = estimate_job(job, CATALOG)
    wall, both, cost = found.wall_hours, found.gpu_hours, found.cost_usd
    assert (cost is None) == (job.price is None)
    for end in ("low", "mid", "high"):
        hours = getattr(both, end)
        assert hours == pytest.approx(getattr(wall, end) * job.gpus)
        if cost and job.price:
            assert getattr(cost, end) == pytest.approx(hours * job.price.usd)


@settings(max_examples=200, deadline=None)
@given(requests(), st.floats(1, 1e6))
def test_more_tokens_never_take_less_time_or_money(request: dict[str, Any], times: float) -> None:
    tokens = complete(request).tokens
    assume(tokens * times <= 1e18)
    less, more = priced(request | {"tokens": tokens}), priced(request | {"tokens": tokens * times})
    assert more.wall_hours.mid >= less.wall_hours.mid
    assert more.flops >= less.flops
    assert (less.cost_usd is None) == (more.cost_usd is None)
    if less.cost_usd and more.cost_usd:
        assert more.cost_usd.mid >= less.cost_usd.mid


@settings(max_examples=200, deadline=None)
@given(requests(), st.floats(0, 1e6), st.floats(0, 1e6))
def test_money_alone_follows_the_price(request: dict[str, Any], one: float, two: float) -> None:
    low, high = sorted((one, two))
    cheap = priced(request | {"price_per_gpu_hour": low})
    dear = priced(request | {"price_per_gpu_hour": high})
    assert cheap.cost_usd
    assert dear.cost_usd
    assert cheap.cost_usd.mid <= dear.cost_usd.mid
    assert cheap.wall_hours == dear.wall_hours
    assert cheap.memory_gb_per_gpu == dear.memory_gb_per_gpu


@settings(max_examples=100, deadline=None)
@given(requests())
def test_a_run_takes_no_less_than_its_steady_throughput_says(request: dict[str, Any]) -> None:
    steady, whole = priced(request | {"scope": "steady"}), priced(request | {"scope": "whole_run"})
    assert whole.wall_hours.mid >= steady.wall_hours.mid


def searched(request: dict[str, Any], counts: tuple[int, ...], names: tuple[str, ...]) -> Space:
    space = space_of(read_request(request), catalog=CATALOG)
    devices = tuple(device for device in space.named.devices if device.id in names)
    return space._replace(named=space.named._replace(devices=devices), counts=counts)


jobs = st.fixed_dictionaries(
    {
        "model": st.sampled_from(KNOWN[:3]),
        "approach": st.sampled_from(["continued_pretrain", "full_finetune", "lora"]),
        "tokens": st.floats(1e6, 1e13),
        "seq_len": st.sampled_from([512, 2048, 8192]),
        "global_batch_tokens": st.sampled_from([65536.0, 1048576.0]),
    }
)


@settings(max_examples=100, deadline=None)
@given(requests())
def test_recomputation_saves_memory_and_costs_time(request: dict[str, Any]) -> None:
    kept = complete(request)._replace(gradient_checkpointing="no")
    again = kept._replace(gradient_checkpointing="yes")
    # A single block is its own checkpoint: there recomputation can only add the block's input.
    if blocks_at_work(kept) / kept.pipeline_parallel > 4:
        assert peak_memory(again).total <= peak_memory(kept).total * (1 + 1e-9)
    assert estimate_job(again, CATALOG).wall_hours.mid >= estimate_job(kept, CATALOG).wall_hours.mid


@settings(max_examples=15, deadline=None)
@given(jobs, st.sampled_from(FEW))
def test_to_allow_more_gpus_never_makes_the_best_layout_slower(
    request: dict[str, Any], gpu: str
) -> None:
    # With a slow link more GPUs may be slower, but then fewer of them are taken.
    quickest = []
    for most in (1, 2, 4, 8, 16):
        counts = tuple(count for count in (1, 2, 4, 8, 16) if count <= most)
        points = points_of(searched(request, counts, (gpu,)), Limits()).points
        quickest.append(min((one.hours for one in points if one.fits), default=math.inf))
    assert quickest == sorted(quickest, reverse=True)


@settings(max_examples=15, deadline=None)
@given(jobs, st.floats(0.01, 1e4), st.floats(0.01, 1e6))
def test_looser_limits_never_make_the_best_worse(
    request: dict[str, Any], deadline: float, budget: float
) -> None:
    found = points_of(searched(request, (1, 8), FEW), Limits()).points
    ends = []
    for limits in (Limits(deadline, budget), Limits(deadline * 2, budget * 2), Limits()):
        front = pareto(point for point in found if point.excess(limits) <= 1)
        ends.append((front[0].usd, front[-1].hours) if front else (math.inf, math.inf))
    for tight, loose in pairwise(ends):
        assert loose[0] <= tight[0]
        assert loose[1] <= tight[1]


@given(st.floats(1e-3, 1e9))
def test_hours_survive_a_round_trip(hours: float) -> None:
    assert parse_hours(write_hours(hours)) == pytest.approx(hours, rel=1e-12)


@given(st.floats(1e-3, 1e9))
def test_money_and_counts_survive_a_round_trip(amount: float) -> None:
    shown = show_number(amount)
    assert parse_usd(f"${shown}") == pytest.approx(amount, rel=6e-3)
    assert parse_count(shown) == parse_usd(shown)


@given(st.floats(1, 1e18), st.sampled_from(["bytes", "tokens"]))
def test_amounts_of_text_survive_a_round_trip(amount: float, unit: str) -> None:
    words = f"{amount!r} {'tokens' if unit == 'tokens' else 'b'}"
    size = parse_data_size(words)
    assert parse_data_size(write_data_size(size)) == size
    assert size.tokens * 4 == pytest.approx(size.bytes)
