"""Memory, time, money and carbon of one job, against formulas and against published figures."""

import importlib
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, median
from types import ModuleType
from typing import Any

import pytest

from advisor.catalog import Catalog, load_catalog
from advisor.estimation import Estimate, estimate_job
from advisor.estimation.documents import read_request
from advisor.estimation.memory import peak_memory
from advisor.estimation.shape import lora_params, shape_of_model
from advisor.estimation.training_job import TrainingJob
from advisor.estimation.work import operations
from advisor.machine import Machine
from advisor.options.layout import complete_request

ROOT = Path(__file__).parents[1]
Complete = Callable[..., TrainingJob]
Ask = Callable[..., Estimate]
CPU = Machine(platform="Linux x86_64", cpu="a processor", cores=2, ram_gb=16.0, disk_gb=100.0)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="module")
def complete(catalog: Catalog) -> Complete:
    def run(**request: Any) -> TrainingJob:
        return complete_request(read_request(request), catalog=catalog, machine=CPU)

    return run


@pytest.fixture(scope="module")
def estimate(catalog: Catalog, complete: Complete) -> Ask:
    return lambda **request: estimate_job(complete(**request), catalog)


@pytest.fixture(scope="module")
def published() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield importlib.import_module("published")
    sys.path.remove(str(ROOT / "benchmarks"))


# --- shapes


@pytest.mark.parametrize(
    ("name", "rank", "targets", "trained"),
    [
        # peft method_comparison: "trainable" of these runs on Llama-3.2-3B.
        ("meta-llama/Llama-3.2-3B", 32, "q,v", 9_175_040),
        ("meta-llama/Llama-3.2-3B", 64, "q,v", 18_350_080),
        ("meta-llama/Llama-3.2-3B", 10, "gate,up,down", 9_461_760),
        # Tinker documentation, LoRA primer: 83.9 million for Llama-3.1-8B at rank 32.
        ("meta-llama/Llama-3.1-8B", 32, "q,k,v,o,gate,up,down", 83_886_080),
    ],
)
def test_adapters_have_the_published_number_of_parameters(
    catalog: Catalog, name: str, rank: int, targets: str, trained: int
) -> None:
    shape = shape_of_model(catalog.model(name))
    assert lora_params(shape, rank, targets.split(",")) == trained


# --- work


def test_training_takes_six_operations_a_parameter_and_token(estimate: Ask) -> None:
    full = estimate(model="Llama-2-7b-hf", approach="pretrain", tokens=2e12, gpu="a100-sxm4-80gb")
    assert full.flops == pytest.approx(6 * 6.74e9 * 2e12, rel=0.12)


def test_frozen_weights_save_a_third_of_the_work_and_recomputation_costs_a_third(
    complete: Complete,
) -> None:
    given = {"model": "Llama-2-7b-hf", "gpu": "a100-sxm4-80gb", "seq_len": 512}
    full = operations(
        complete(approach="full_finetune", gpus=8, gradient_checkpointing="no", **given)
    )
    lora = operations(complete(approach="lora", lora_rank=4, gradient_checkpointing="no", **given))
    again = operations(
        complete(approach="full_finetune", gpus=8, gradient_checkpointing="yes", **given)
    )
    assert lora.model / full.model == pytest.approx(2 / 3, abs=0.02)
    assert (again.model + again.again) / full.model == pytest.approx(4 / 3, abs=0.02)
    assert again.model == full.model


def test_a_mixture_of_experts_works_with_its_active_parameters_only(estimate: Ask) -> None:
    mixture = estimate(model="Mixtral-8x7B-v0.1", approach="pretrain", tokens=1e9, gpus=64)
    assert mixture.flops == pytest.approx(6 * 12.9e9 * 1e9, rel=0.1)


# --- memory


def test_states_of_mixed_precision_take_sixteen_bytes_a_parameter_over_all_gpus(
    estimate: Ask,
) -> None:
    given = {"model": "Llama-2-7b-hf", "approach": "full_finetune", "gpu": "a100-sxm4-80gb"}
    parts = estimate(
        gpus=8, sharding="fsdp", global_batch_tokens=4194304, **given
    ).memory_gb_per_gpu.parts
    states = parts.weights + parts.gradients + parts.optimizer
    assert states == pytest.approx(16 * 6.738 / 8, rel=0.01)


def test_parts_sum_up_to_the_peak(estimate: Ask) -> None:
    memory = estimate(model="gpt2-xl", gpu="l40s").memory_gb_per_gpu
    assert sum(memory.parts.model_dump().values()) == pytest.approx(memory.mid)


# Reserved by PyTorch on an L40S, 4 x up to 768 tokens, no recomputation, GB of 10^9 bytes. Source:
# huggingface/peft method_comparison/MetaMathQA, Llama-3.2-3B: 99th percentile to maximum.
@pytest.mark.parametrize(
    ("method", "rank", "targets", "least", "most"),
    [
        ("lora", 32, "q,v", 20.1, 22.3),
        ("lora", 64, "q,v", 20.4, 22.6),
        ("lora", 10, "gate,up,down", 22.1, 24.7),
        ("ia3", None, None, 22.7, 23.3),
    ],
)
def test_memory_of_adapters_agrees_with_the_peft_team(
    estimate: Ask, method: str, rank: int, targets: str, least: float, most: float
) -> None:
    memory = estimate(
        model="Llama-3.2-3B",
        approach="lora",
        method=method,
        lora_rank=rank,
        lora_targets=targets,
        seq_len=768,
        micro_batch=4,
        gradient_checkpointing="no",
        precision="bf16",
        gpu="l40s",
        gpus=1,
    ).memory_gb_per_gpu
    assert 0.95 * least <= memory.mid <= 1.08 * most


def test_full_fine_tuning_in_pure_16_bit_agrees_with_the_peft_team(estimate: Ask) -> None:
    # peft method_comparison, full fine-tuning of Llama-3.2-3B in bf16: 37.3 to 38.9 GB.
    memory = estimate(
        model="Llama-3.2-3B",
        approach="full_finetune",
        seq_len=768,
        micro_batch=4,
        global_batch_tokens=4 * 768,
        gradient_checkpointing="no",
        states="16bit",
        gpu="l40s",
        gpus=1,
    ).memory_gb_per_gpu
    assert 0.95 * 37.3 <= memory.mid <= 1.05 * 38.9


def test_a_job_fits_where_its_median_peak_does(estimate: Ask) -> None:
    small = estimate(model="Qwen3-0.6B-Base", gpu="rtx-4090")
    large = estimate(model="Qwen3-32B", approach="full_finetune", gpu="rtx-4090", gpus=1)
    assert (small.fits, large.fits) == (True, False)


# A Llama of 25 million parameters, 4 x 256 tokens, AdamW in fp32, 2 cores: 1.62 GB at the peak and
# 1,079 tokens a second, measured with PyTorch 2.13 and transformers 5.23.
def test_training_on_a_processor_agrees_with_a_measured_run(estimate: Ask) -> None:
    run = estimate(
        model="llama-25m",
        approach="pretrain",
        seq_len=256,
        micro_batch=4,
        global_batch_tokens=1024,
        gpu="local",
        scope="steady",
    )
    assert run.memory_gb_per_gpu.mid == pytest.approx(1.62, rel=0.25)
    speed = run.tokens_per_second_per_gpu
    assert speed.low <= 1079 <= speed.high
    assert run.mfu is None


# --- time and money


def test_hours_are_tokens_over_throughput_and_cost_is_hours_times_price(estimate: Ask) -> None:
    run = estimate(
        model="gpt2", tokens=1e8, gpu="l4", gpus=2, price_per_gpu_hour=0.5, scope="steady"
    )
    hours = 1e8 / run.tokens_per_second_per_gpu.mid / 2 / 3600
    assert run.wall_hours.mid == pytest.approx(hours)
    assert run.gpu_hours.mid == pytest.approx(2 * hours)
    assert run.cost_usd.mid == pytest.approx(hours)
    assert run.cost_usd.high == pytest.approx(run.gpu_hours.high * 0.5)


def test_a_billed_run_takes_longer_than_a_benchmark(estimate: Ask) -> None:
    given = {"model": "gpt2", "tokens": 1e8, "gpu": "l4"}
    billed = estimate(scope="whole_run", **given).wall_hours.mid
    assert billed > estimate(scope="steady", **given).wall_hours.mid


def test_carbon_follows_the_grid(estimate: Ask) -> None:
    given = {"model": "gpt2", "tokens": 1e8, "gpu": "l4"}
    poland, france = (estimate(region=place, **given) for place in ("POL", "FRA"))
    assert poland.energy_kwh == france.energy_kwh
    assert poland.co2_kg / france.co2_kg == pytest.approx(661.9 / 56.0)


def test_the_carbon_of_llama_2_has_the_published_size(estimate: Ask) -> None:
    # Llama 2 model card: 1,720,320 GPU-hours of the 70B model emitted 291.42 t CO2e, of which the
    # power of the GPUs alone is counted; here a share of the host comes on top.
    run = estimate(
        model="Llama-2-70b-hf",
        approach="pretrain",
        tokens=2e12,
        gpu="a100-sxm4-80gb",
        gpus=2048,
        provider="gcp",
        region="USA",
    )
    per_hour = run.co2_kg / run.gpu_hours.mid
    assert 1.0 <= per_hour / (291_420 / 1_720_320) <= 2.0


def test_the_same_request_gives_the_same_bytes(estimate: Ask) -> None:
    first, second = (estimate(model="gpt2", gpu="l4").model_dump_json() for _ in range(2))
    assert first == second
    assert json.loads(first)["schema"] == "advisor.estimate/1"


# --- against published runs; benchmarks/backtest_estimates.py reports them group by group


@pytest.fixture(scope="module")
def scores(published: ModuleType, catalog: Catalog) -> dict[str, list[Any]]:
    runs, _ = published.read_runs(published.RUNS, catalog)
    found = defaultdict(list)
    for run in runs:
        found[run.question].append(published.shipped_score(run, catalog.utilisation))
    return found


# Median error over groups of publications, and share of figures inside the 80 % interval.
@pytest.mark.parametrize(
    ("question", "largest_error", "least_coverage"),
    [
        ("memory of adapters", 0.07, 0.75),
        ("memory of whole models", 0.08, 0.65),
        ("throughput", 0.15, 0.75),
        ("whole-run hours", 0.15, 0.70),
    ],
)
def test_published_runs_are_met_and_covered(
    published: ModuleType,
    scores: dict[str, list[Any]],
    question: str,
    largest_error: float,
    least_coverage: float,
) -> None:
    groups = published.by_group(scores[question]).values()
    error = median(median(abs(one.error) for one in each) for each in groups)
    coverage = mean(mean(one.inside for one in each) for each in groups)
    assert error <= largest_error
    assert coverage >= least_coverage


def test_every_anchor_names_its_source() -> None:
    lines = (ROOT / "tests/anchors/runs.jsonl").read_text(encoding="utf-8").splitlines()
    groups = defaultdict(int)
    for line in lines:
        row = json.loads(line)
        assert row["source"]
        groups[row["group"]] += 1
    assert len(groups) >= 15


def test_memory_of_a_layout_is_the_same_however_often_it_is_asked(complete: Complete) -> None:
    job = complete(model="gpt2", gpu="l4")
    assert peak_memory(job) == peak_memory(job)
