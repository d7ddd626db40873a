"""What a request leaves open is chosen, said, and kept to where it was given."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advisor.catalog import Catalog, load_catalog
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation.documents import read_request
from advisor.estimation.memory import fits_on, peak_memory, usable_gb
from advisor.estimation.training_job import TrainingJob
from advisor.machine import LocalGpu, Machine
from advisor.options.layout import complete_request

Complete = Callable[..., TrainingJob]
CPU = Machine(platform="Linux x86_64", cpu="a processor", cores=4, ram_gb=16.0, disk_gb=100.0)
WITH_GPU = Machine(
    platform="Linux x86_64",
    cpu="a processor",
    cores=8,
    ram_gb=64.0,
    disk_gb=500.0,
    gpus=(
        LocalGpu(
            name="NVIDIA GeForce RTX 4090", vendor="NVIDIA", memory_gb=25.8, catalog_id="rtx-4090"
        ),
    ),
)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="module")
def complete(catalog: Catalog) -> Complete:
    def run(machine: Machine | None = None, **request: Any) -> TrainingJob:
        return complete_request(read_request(request), catalog=catalog, machine=machine)

    return run


def test_what_is_given_is_kept(complete: Complete) -> None:
    given = {
        "model": "meta-llama/Llama-3.1-8B",
        "approach": "lora",
        "method": "lora",
        "tokens": 1e7,
        "seq_len": 512,
        "micro_batch": 2,
        "precision": "fp16",
        "optimizer": "sgd",
        "lora_rank": 5,
        "lora_targets": "q,v",
        "gradient_checkpointing": "selective",
        "gpu": "a100-sxm4-80gb",
        "gpus": 4,
        "sharding": "zero2",
    }
    job = complete(**given)
    assert job.shape.name == given.pop("model")
    assert (job.device.id, ",".join(job.lora_targets)) == (
        given.pop("gpu"),
        given.pop("lora_targets"),
    )
    assert {key: getattr(job, key) for key in given} == given


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        # 8 billion parameters: 16-bit LoRA fits 48 GB, 24 GB only with recomputation.
        (
            {"model": "Qwen3-8B-Base", "approach": "lora", "gpu": "l40s"},
            {"method": "lora", "gpus": 1, "sharding": "single"},
        ),
        # 14 billion in 16 bit are 30 GB: on 24 GB only the 4-bit base fits.
        (
            {"model": "Qwen3-14B-Base", "approach": "lora", "gpu": "rtx-4090", "gpus": 1},
            {"method": "qlora", "quantization": "nf4_dq", "gradient_checkpointing": "yes"},
        ),
        # 16 bytes a parameter are 128 GB: sharded over the GPUs.
        (
            {"model": "Llama-3.1-8B", "approach": "full_finetune", "gpu": "h100-sxm5-80gb"},
            {"gpus": 4, "sharding": "fsdp"},
        ),
        ({"model": "bert-base-uncased", "gpu": "t4"}, {"precision": "fp16", "objective": "mlm"}),
        ({"model": "t5-base", "gpu": "l4"}, {"precision": "bf16", "objective": "seq2seq"}),
    ],
)
def test_what_is_left_out_is_chosen_so_that_it_fits(
    complete: Complete, request_: dict[str, Any], expected: dict[str, Any]
) -> None:
    job = complete(**request_)
    assert fits_on(job)
    assert {key: getattr(job, key) for key in expected} == expected


def test_every_choice_is_listed_and_nothing_that_was_given(complete: Complete) -> None:
    job = complete(model="gpt2", gpu="l4", seq_len=256)
    listed = {line.partition(":")[0] for line in job.assumptions}
    assert {"approach", "method", "tokens", "micro_batch", "precision", "gpus"} <= listed
    assert "seq_len" not in listed
    assert "gpu" not in listed


def test_what_fits_nowhere_is_laid_out_as_small_as_it_gets(complete: Complete) -> None:
    job = complete(model="Llama-3.1-405B", approach="full_finetune", gpu="t4", gpus=1)
    assert not fits_on(job)
    assert (job.micro_batch, job.gradient_checkpointing) == (1, "yes")


def test_the_largest_batch_that_fits_is_a_power_of_two_with_room_to_spare(
    complete: Complete,
) -> None:
    job = complete(model="Qwen3-1.7B-Base", gpu="rtx-4090", global_batch_tokens=1_048_576)
    assert job.micro_batch & (job.micro_batch - 1) == 0
    assert peak_memory(job).total <= usable_gb(job)
    assert job.step_tokens == pytest.approx(1_048_576)


def test_local_means_the_processor_of_a_machine_without_gpu(complete: Complete) -> None:
    job = complete(machine=CPU, model="llama-4m", approach="pretrain", gpu="local")
    assert (job.device.is_cpu, job.precision, job.cores, job.gpus) == (True, "fp32", 4, 1)


def test_local_means_the_gpu_of_a_machine_that_has_one(complete: Complete) -> None:
    job = complete(machine=WITH_GPU, model="Qwen3-0.6B-Base", gpu="local")
    assert (job.device.id, job.device.local, job.device.memory_gb) == ("rtx-4090", True, 25.8)


def test_owned_hardware_is_paid_for_in_energy_alone(complete: Complete) -> None:
    rented = complete(model="gpt2", gpu="l40s").price
    owned = complete(model="gpt2", gpu="l40s", provider="owned").price
    assert owned.provider == "owned"
    assert 0 < owned.usd < rented.usd / 3


def test_the_cheapest_provider_is_no_marketplace_unless_one_is_asked_for(
    complete: Complete, catalog: Catalog
) -> None:
    hosts = {price.provider: price.host for price in catalog.prices}
    assert hosts[complete(model="gpt2", gpu="rtx-3090").price.provider] != "marketplace"
    assert complete(model="gpt2", gpu="rtx-3090", provider="vast.ai").price.usd < 0.43


def test_gpus_that_are_only_rented_together_are_paid_for_together(
    complete: Complete, catalog: Catalog
) -> None:
    alone, together = (
        complete(model="gpt2", gpu="b200-sxm-180gb", gpus=gpus, provider="aws").price.usd
        for gpus in (1, 8)
    )
    listed = [p for p in catalog.prices_of("b200-sxm-180gb") if p.provider == "aws"]
    assert [price.gpus_per_instance for price in listed] == [8]
    assert together == listed[0].usd_per_gpu_hour
    assert alone == pytest.approx(8 * together)


def test_a_gpu_without_a_price_has_none(complete: Complete) -> None:
    job = complete(model="gpt2", gpu="mi250x-128gb")
    assert job.price is None
    assert any("no price" in line for line in job.assumptions)


def test_sequences_longer_than_the_batch_are_split_over_gpus(complete: Complete) -> None:
    job = complete(
        model="Llama-3.1-8B",
        approach="pretrain",
        seq_len=131072,
        micro_batch=1,
        global_batch_tokens=262144,
        gpu="h100-sxm5-80gb",
        gpus=8,
        sharding="fsdp",
    )
    assert (job.context_parallel, job.micro_tokens) == (4, 32768)


def test_a_config_file_gives_the_exact_shape(complete: Complete, tmp_path: Path) -> None:
    config = {
        "model_type": "llama",
        "num_hidden_layers": 30,
        "hidden_size": 576,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    # SmolLM2-135M: 134,515,008 parameters.
    assert complete(model=str(path), gpu="l4").shape.params == 134_515_008


@pytest.mark.parametrize("text", ["{", "[1]", '{"hidden_size": 8}', ""])
def test_a_broken_config_file_is_refused(complete: Complete, tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AdvisorError) as raised:
        complete(model=str(path), gpu="l4")
    assert raised.value.faults


def test_a_name_the_catalogue_lacks_is_no_error_where_the_shape_is_given(
    complete: Complete,
) -> None:
    job = complete(model="ours/new-7B", params_b=7, gpu="a100-sxm4-80gb")
    assert job.shape.params == 7e9
    assert 28 <= job.shape.n_layers <= 40


def faults_of(complete: Complete, **request: Any) -> dict[str | None, Fault]:
    with pytest.raises(AdvisorError) as raised:
        complete(**request)
    assert raised.value.name is ErrorName.REQUEST_INVALID
    return {fault.field: fault for fault in raised.value.faults}


def test_every_fault_is_reported_at_once(complete: Complete) -> None:
    faults = faults_of(
        complete, model="nope", gpu="rtx4090", approach="pretrain", method="lora", lora_targets="z"
    )
    assert set(faults) == {"model", "gpu", "method", "lora_targets"}
    assert "rtx-4090" in faults["gpu"].hint


def test_a_request_without_model_and_shape_is_refused(complete: Complete) -> None:
    assert set(faults_of(complete, gpu="l4")) == {"model"}


def test_trained_weights_cannot_be_quantized(complete: Complete) -> None:
    request = {"model": "gpt2", "approach": "full_finetune", "quantization": "nf4"}
    assert set(faults_of(complete, gpu="l4", **request)) == {"quantization"}


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"tokens": -1}, "tokens"),
        ({"gpus": 0}, "gpus"),
        ({"gpus": "many"}, "gpus"),
        ({"precision": "fp4"}, "precision"),
        ({"colour": "red"}, "colour"),
        ({"provider": "awz"}, "provider"),
        ({"params_b": float("nan")}, "params_b"),
        ({"params_b": float("inf")}, "params_b"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(
    complete: Complete, request_: dict[str, Any], field: str
) -> None:
    assert set(faults_of(complete, model="gpt2", gpu="l4", **request_)) == {field}
