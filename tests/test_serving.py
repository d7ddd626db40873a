"""Serving: memory, speed against published runs, cost, and when a service would be cheaper."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from advisor.catalog import Catalog, load_catalog
from advisor.estimation import Estimate, estimate_job
from advisor.estimation.documents import ServingEstimate, read_request
from advisor.estimation.serving import HOURS_PER_MONTH, Copy, cached_values, copy_of
from advisor.estimation.shape import shape_of_model
from advisor.estimation.training_job import TrainingJob
from advisor.machine import Machine
from advisor.options.layout import complete_request
from advisor.recommendation import recommend

CATALOG = load_catalog()
CPU = Machine(platform="Linux x86_64", cpu="a processor", cores=2, ram_gb=16.0, disk_gb=100.0)
JOB = {"model": "Llama-3.1-8B", "gpu": "h100-sxm5-80gb", "approach": "lora", "method": "lora"}
Serve = Callable[..., ServingEstimate]


def job_of(**request: Any) -> TrainingJob:
    asked = read_request({**JOB, "tokens": 1e7, **request})
    return complete_request(asked, catalog=CATALOG, machine=CPU)


def estimate(**request: Any) -> Estimate:
    return estimate_job(job_of(**request), CATALOG)


def served(**request: Any) -> ServingEstimate:
    found = estimate(**{"calls_per_day": 1000, **request}).serving
    assert found
    return found


def copy(model: str, gpu: str, tokens: tuple[int, int], gpus: int = 1) -> Copy:
    tokens_in, tokens_out = tokens
    job = job_of(
        model=model, gpu=gpu, input_tokens_per_call=tokens_in, output_tokens_per_call=tokens_out
    )
    return copy_of(job, gpus, CATALOG)


def test_nothing_is_said_of_serving_where_no_calls_are_given() -> None:
    assert estimate().serving is None
    assert estimate(calls_per_day=0).serving is None


# --- memory


@pytest.mark.parametrize(
    ("model", "values"),
    [
        # Grouped-query attention: 32 layers, 8 heads of 128, keys and values.
        ("Llama-3.1-8B", 32 * 2 * 8 * 128),
        # Multi-head attention: 32 layers, 32 heads of 128.
        ("Llama-2-7b-hf", 32 * 2 * 32 * 128),
        # Latent attention: 61 layers, 512 compressed and 64 rotary values (DeepSeek-V3).
        ("DeepSeek-V3-Base", 61 * (512 + 64)),
        # An encoder keeps nothing; an encoder-decoder keeps what its 12 decoder blocks look at.
        ("bert-base-uncased", 0),
        ("t5-base", 12 * 2 * 12 * 64),
    ],
)
def test_the_cache_holds_the_keys_and_values_of_each_token(model: str, values: int) -> None:
    if CATALOG.find_model(model) is None:
        pytest.skip("not in the catalogue")
    assert cached_values(shape_of_model(CATALOG.model(model))) == values


def test_memory_is_weights_cache_and_what_the_server_needs() -> None:
    few = served(calls_per_day=10)
    cache = (1020 + 129) * 32 * 2 * 8 * 128 * 2 / 1e9
    assert few.calls_at_once == 1
    assert few.memory_gb == pytest.approx(2 * 8.030261248 + cache + 2.0)


def test_more_calls_at_once_take_a_larger_cache() -> None:
    few, many = served(calls_per_day=1e3), served(calls_per_day=3e5)
    assert many.calls_at_once > few.calls_at_once
    assert many.memory_gb > few.memory_gb


def test_a_base_that_was_tuned_in_4_bit_is_served_so() -> None:
    small = served(gpu="rtx-4090", method="qlora")
    assert small.memory_gb < served().memory_gb / 2


def test_a_model_too_large_for_one_card_is_split_over_several() -> None:
    large = served(model="Llama-3.1-70B", gpus=8)
    assert large.gpus_per_copy == 2
    assert 2 * 70.5 < large.memory_gb < 2 * 0.9 * 85.9
    assert served(model="Llama-3.1-70B", gpu="l40s", gpus=8).gpus_per_copy == 4


# --- speed

# Tokens a second that were measured, GPU, tokens in and out, calls at once, GPUs for one copy.
MEASURED = [
    # yobitelcomm.github.io/bench, 2026-05: vLLM 0.21, time per output token 6.48 ms.
    ("Llama-3.1-8B", "h100-sxm5-80gb", (1, 1000), 1, 1, 1000 / 6.48),
    # johnmusgrave.com: vLLM 0.23, one request at a time.
    ("Llama-3.1-8B", "a100-sxm4-40gb", (1, 1000), 1, 1, 75.0),
    # NVIDIA NeMo documentation, Llama-2 results: latency of a batch in ms.
    ("Llama-2-7b-hf", "h100-sxm5-80gb", (128, 20), 1, 1, 20 / 0.1538),
    ("Llama-2-7b-hf", "a100-sxm4-80gb", (128, 20), 1, 1, 20 / 0.2340),
    ("Llama-2-7b-hf", "h100-sxm5-80gb", (128, 20), 8, 1, 8 * 20 / 0.1992),
    ("Llama-2-7b-hf", "a100-sxm4-80gb", (128, 20), 8, 1, 8 * 20 / 0.3295),
    # databasemart.com: vLLM, 50 requests at once, 443 tokens written on average.
    ("Llama-3.1-8B", "a40", (100, 443), 50, 1, 1016.6),
    # arc53/llm-price-compass issue 6: vLLM, tensor parallel over two cards.
    ("Meta-Llama-3-8B", "a10g", (215, 43), 256, 2, 441.76),
]


@pytest.mark.parametrize(("model", "gpu", "tokens", "batch", "gpus", "measured"), MEASURED)
def test_published_speeds_lie_within_the_interval(
    model: str, gpu: str, tokens: tuple[int, int], batch: int, gpus: int, measured: float
) -> None:
    rate = copy(model, gpu, tokens, gpus).calls_per_second(batch) * tokens[1]
    factor = CATALOG.serving["spread"].value
    assert rate / factor <= measured <= rate * factor


def test_the_median_of_published_speeds_is_met_within_a_quarter() -> None:
    ratios = sorted(
        copy(model, gpu, tokens, gpus).calls_per_second(batch) * tokens[1] / measured
        for model, gpu, tokens, batch, gpus, measured in MEASURED
    )
    assert ratios[len(ratios) // 2] == pytest.approx(1.0, abs=0.25)


def test_a_latency_is_checked_and_limits_how_many_are_answered_at_once() -> None:
    free, met, missed = (served(calls_per_day=1e6, **more) for more in LATENCIES)
    assert (free.latency_met, met.latency_met, missed.latency_met) == (None, True, False)
    assert met.most_calls_per_day.mid < free.most_calls_per_day.mid
    assert met.copies > free.copies
    assert missed.latency_ms.mid > 50


LATENCIES: list[dict[str, float]] = [{}, {"latency_ms": 2000}, {"latency_ms": 50}]


def test_a_classifier_writes_nothing_and_reads_no_more_than_it_can() -> None:
    bert = served(model="bert-base-uncased", gpu="t4", method="lora", objective="classification")
    assert (bert.input_tokens_per_call, bert.output_tokens_per_call) == (512, 0)
    assert bert.latency_ms.mid < 100


# --- money


def test_a_month_costs_its_hours_times_the_price_of_the_gpus() -> None:
    found = served(provider="lambda", calls_per_day=100)
    assert found.usd_per_month
    assert found.usd_per_month.mid == pytest.approx(4.29 * HOURS_PER_MONTH, rel=0.1)
    own = served(price_per_gpu_hour=2.0, calls_per_day=3e6)
    assert own.usd_per_month
    assert own.usd_per_month.mid == pytest.approx(2 * HOURS_PER_MONTH * own.copies)


def test_serving_is_never_priced_on_machines_that_may_be_taken_away() -> None:
    calm, spot = (served(provider="nebius", spot=spot) for spot in (False, True))
    assert calm.usd_per_month == spot.usd_per_month


def test_from_the_break_even_on_own_serving_costs_less_than_the_service() -> None:
    found = served(price_per_gpu_hour=2.0)
    calls = found.break_even_calls_per_day
    assert calls
    assert found.compared_with == "OpenAI gpt-4o-mini, tuned (2026-06)"
    per_call = (1020 * 0.3 + 129 * 1.2) / 1e6
    for share, cheaper in ((0.99, False), (1.01, True)):
        own = served(price_per_gpu_hour=2.0, calls_per_day=calls * share).usd_per_month
        assert own
        assert (own.mid < calls * share * per_call * HOURS_PER_MONTH / 24) is cheaper


def test_dear_machines_never_break_even_and_private_data_has_nothing_to_compare_with() -> None:
    dear = served(price_per_gpu_hour=1000.0)
    assert (dear.break_even_calls_per_day, dear.compared_with is None) == (None, False)
    private = served(privacy="on_prem", provider="owned")
    assert (private.break_even_calls_per_day, private.compared_with) == (None, None)


def test_what_a_call_is_taken_to_be_is_said() -> None:
    said = estimate(calls_per_day=1000).assumptions
    assert any("1,020 tokens in and 129 out a call" in line for line in said)
    own = estimate(calls_per_day=1000, input_tokens_per_call=300, output_tokens_per_call=10)
    assert any("300 tokens in and 10 out a call" in line for line in own.assumptions)
    assert any(one.name.startswith("serving: ") for one in own.formulas)


def test_a_device_whose_rates_are_not_known_is_not_guessed_at() -> None:
    found = estimate(model="gpt2", gpu="local", calls_per_day=1000)
    assert found.serving is None
    assert any(line.startswith("serving: not estimated") for line in found.assumptions)


def test_the_answers_reach_the_estimate_of_what_is_recommended() -> None:
    answers = {
        "data": {"labelled_examples": 8000},
        "serving": {"calls_per_day": 5000, "latency_ms": 30_000},
        "gpu_budget": {"gpu": "l40s"},
    }
    found = recommend(answers, explore=False)
    tuned = next(one.estimate for one in found.options if one.approach == "lora")
    assert tuned
    assert tuned.serving
    assert (tuned.serving.calls_per_day, tuned.serving.latency_met) == (5000, True)


# --- what holds for all

SERVED = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["Llama-3.1-8B", "Mixtral-8x7B-v0.1", "gpt2", "t5-base"]),
        "gpu": st.sampled_from(
            ["h100-sxm5-80gb", "l40s", "rtx-4090", "b200-sxm-180gb", "v100-sxm2-16gb"]
        ),
        "calls_per_day": st.floats(1, 1e9),
    },
    optional={
        "latency_ms": st.floats(1, 1e6),
        "input_tokens_per_call": st.integers(1, 100_000),
        "output_tokens_per_call": st.integers(1, 10_000),
        "provider": st.sampled_from(["owned", "aws", "runpod"]),
    },
)


@settings(max_examples=150, deadline=None)
@given(SERVED, st.floats(1, 1000))
@example(
    {
        "model": "gpt2",
        "gpu": "b200-sxm-180gb",
        "calls_per_day": 399550263.0,
        "latency_ms": 1.0,
        "provider": "aws",
        "output_tokens_per_call": 1,
    },
    1.0,
)
def test_more_calls_are_never_cheaper_and_all_figures_are_finite_and_ordered(
    request_: dict[str, Any], times: float
) -> None:
    found = estimate(**request_).serving
    more = estimate(**{**request_, "calls_per_day": request_["calls_per_day"] * times}).serving
    if found is None or more is None:
        assert found is more
        return
    for one in (found.most_calls_per_day, found.latency_ms, found.usd_per_month):
        assert one is None or 0 <= one.low <= one.mid <= one.high < math.inf
    assert more.copies >= found.copies >= 1
    assert more.memory_gb >= found.memory_gb > 0
    if found.usd_per_month and more.usd_per_month:
        for end in ("low", "mid", "high"):
            assert getattr(more.usd_per_month, end) >= getattr(found.usd_per_month, end)


def test_a_catalogue_is_all_that_serving_depends_on() -> None:
    other = Catalog(CATALOG.folder)
    job = job_of(calls_per_day=1000)
    assert estimate_job(job, other).serving == estimate_job(job, CATALOG).serving
