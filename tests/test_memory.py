"""Peak memory: what is held of each parameter and token, when the peak is, how it is shared out."""

from typing import Any

import pytest

from advisor.catalog import load_catalog
from advisor.estimation.activations import kept_bytes, logits_bytes
from advisor.estimation.blocks import block_bytes
from advisor.estimation.documents import read_request
from advisor.estimation.memory import Memory, beyond_allocator_gb, peak_memory
from advisor.estimation.training_job import TrainingJob
from advisor.options.layout import complete_request

CATALOG = load_catalog()
GB = 1e9
LLAMA = "meta-llama/Llama-3.1-8B"
PARAMS = 8.030261248
ONE_STEP = {"seq_len": 16, "micro_batch": 1, "global_batch_tokens": 1e6}
Fields = dict[str, Any]


def job_of(**request: Any) -> TrainingJob:
    asked = {"model": LLAMA, "gpu": "h200-sxm-141gb", "gpus": 1, "gradient_checkpointing": "no"}
    return complete_request(read_request(asked | request), catalog=CATALOG)


def memory_of(**request: Any) -> Memory:
    return peak_memory(job_of(**request))


def states(memory: Memory) -> float:
    return memory.weights + memory.gradients + memory.optimizer


# --- what is held of each parameter


@pytest.mark.parametrize(
    ("request_", "bytes_"),
    [
        # As it was loaded, all in 16 bit: weight, gradient, two moments.
        ({"precision": "bf16", "sharding": "single"}, 8),
        ({"precision": "fp32"}, 16),
        # fp32 weights, as a plan's job keeps them, and the 16-bit copies that autocast makes of all
        # but the embedding.
        ({"precision": "bf16"}, 16 + 2 * (1 - 128256 * 4096 / 8.030261248e9)),
        ({"precision": "bf16", "states": "16bit", "optimizer": "adamw_8bit"}, 6),
        ({"precision": "bf16", "states": "16bit", "optimizer": "sgd"}, 6),
        ({"precision": "bf16", "states": "16bit", "optimizer": "adamw_offload"}, 4),
        # Sharded frameworks keep fp32 states.
        ({"precision": "bf16", "sharding": "fsdp", "gpus": 8}, 16 / 8),
        ({"precision": "bf16", "sharding": "fsdp", "gpus": 8, "cpu_offload": True}, 0),
        # DeepSpeed at the optimizer step: 16-bit weights and gradients, master and moments in
        # fp32, a flat 16-bit and an fp32 copy of a GPU's gradients.
        ({"precision": "bf16", "sharding": "zero2"}, 2 + 2 + 12 + 2 + 4),
        ({"precision": "bf16", "sharding": "zero2", "gpus": 8}, 2 + (2 + 12 + 2 + 4) / 8),
        ({"precision": "bf16", "sharding": "zero1", "gpus": 8}, 2 + 2 + (12 + 2 + 4) / 8),
        # Megatron: fp32 gradients, the optimizer's states over all replicas.
        (
            {"precision": "bf16", "sharding": "tp_pp", "gpus": 16, "tensor_parallel": 8},
            (2 + 4 + 12 / 2) / 8,
        ),
    ],
)
def test_the_states_of_a_whole_model_take_so_many_bytes_a_parameter(
    request_: Fields, bytes_: float
) -> None:
    memory = memory_of(approach="full_finetune", **ONE_STEP, **request_)
    assert states(memory) / PARAMS == pytest.approx(bytes_, rel=0.01, abs=0.01)


def test_gradients_are_held_beside_activations_only_where_they_are_summed_up() -> None:
    given = {"approach": "full_finetune", "states": "16bit", "seq_len": 4096, "micro_batch": 4}
    once = memory_of(global_batch_tokens=4 * 4096, **given)
    summed = memory_of(global_batch_tokens=8 * 4096, **given)
    assert once.gradients == 0
    assert summed.gradients == pytest.approx(2 * PARAMS)
    assert summed.activations == once.activations


@pytest.mark.parametrize(
    ("quantization", "a_weight", "a_table"),
    [(None, 2, 2), ("nf4", 0.5625, 4), ("nf4_dq", 0.5159, 4), ("gptq_int4", 0.5625, 2)],
)
def test_a_quantized_base_is_small_but_for_its_tables(
    quantization: str | None, a_weight: float, a_table: float
) -> None:
    method = "qlora" if quantization else "lora"
    memory = memory_of(
        approach="lora", method=method, quantization=quantization, lora_rank=1, **ONE_STEP
    )
    tables = 2 * 128256 * 4096 / GB
    assert memory.weights == pytest.approx(
        a_weight * (PARAMS - tables) + a_table * tables, rel=0.02
    )


def test_tables_that_are_trained_beside_adapters_are_trained_in_the_type_of_the_base() -> None:
    given = {"approach": "lora", "method": "lora", **ONE_STEP}
    linear = memory_of(lora_targets="q,v", **given)
    table = memory_of(lora_targets="q,v,lm_head", **given)
    grown = states(table) - states(linear)
    # Weight, gradient and two moments of 2 bytes each, and the copy that autocast would make.
    assert grown == pytest.approx((8 + 2) * 128256 * 4096 / GB, rel=0.01)


# --- what is kept of each token


def test_checkpointing_keeps_the_input_of_each_block() -> None:
    job = job_of(approach="lora", gradient_checkpointing="yes")
    assert kept_bytes(job) == 2 * 4096
    assert kept_bytes(job._replace(quantization="nf4")) == 4 * 4096


def test_selective_checkpointing_lies_between_all_and_nothing() -> None:
    kept = [
        kept_bytes(job_of(approach="pretrain", gpus=8, gradient_checkpointing=asked))
        for asked in ("yes", "selective", "no")
    ]
    assert kept == sorted(set(kept))
    # Input, attention, q, v, the first and the last product of the MLP, in widths of 2 bytes.
    widths = 4096 * (1 + 1 + 1 + 0.25 + 3.5 + 1)
    assert kept[1] == 2 * widths


@pytest.mark.parametrize(
    ("precision", "each"),
    # fp32: probabilities, their mask, what dropout leaves. Autocast: the latter in 16 bit.
    [("fp32", 4 + 1 + 4), ("fp16", 4 + 1 + 2)],
)
def test_attention_that_is_written_out_keeps_its_scores(precision: str, each: float) -> None:
    job = job_of(
        model="bert-large-uncased", approach="full_finetune", precision=precision, seq_len=512
    )
    eager = job._replace(attention="eager")
    assert block_bytes(eager) - block_bytes(job) == each * 16 * 512


def test_attention_is_written_out_for_old_cards_and_families_without_a_fused_one() -> None:
    given = {"approach": "full_finetune", "precision": "fp16"}
    assert job_of(gpu="v100-sxm2-16gb", model="bert-base-uncased", **given).attention == "eager"
    assert job_of(model="google/gemma-2-2b", **given).attention == "eager"
    assert job_of(model="bert-base-uncased", **given).attention == "sdpa"
    assert job_of(gpu="v100-sxm2-16gb", attention="sdpa", **given).attention == "sdpa"


def test_the_loss_takes_three_copies_of_the_logits_in_fp32_or_in_the_type_of_the_model() -> None:
    assert logits_bytes(job_of(approach="lora")) == 12 * 128256
    masked = job_of(model="bert-base-uncased", approach="full_finetune", states="16bit")
    assert logits_bytes(masked) == 6 * 30522
    assert logits_bytes(masked._replace(objective="classification")) == 0


def test_fused_kernels_keep_less_of_a_block() -> None:
    eager = job_of(approach="pretrain", gpus=8)
    assert block_bytes(eager._replace(compiled=True)) < 0.8 * block_bytes(eager)


# --- how it is shared out


def test_the_first_stage_of_a_pipeline_holds_activations_of_one_piece_for_each_stage() -> None:
    given = {"approach": "pretrain", "gpus": 8, "tensor_parallel": 1, "seq_len": 8192}
    one = job_of(pipeline_parallel=8, micro_batch=1, **given)
    fed = one._replace(gradient_accumulation=8)
    alone = one._replace(gradient_accumulation=1)
    blocks = 32 / 8 * kept_bytes(one) * 8192 / GB
    assert peak_memory(fed).activations == pytest.approx(8 * blocks, rel=0.05)
    assert peak_memory(alone).activations == pytest.approx(blocks, rel=0.35)


def test_scales_of_a_quantized_base_stay_whole_on_each_gpu() -> None:
    given = {"approach": "lora", "method": "qlora", "quantization": "nf4", "sharding": "fsdp"}
    few, many = (memory_of(gpus=gpus, **given, **ONE_STEP) for gpus in (2, 64))
    blocks = PARAMS - 2 * 128256 * 4096 / GB
    assert many.weights > 0.0625 * blocks
    assert few.weights - many.weights > 0.5 * blocks * (1 / 2 - 1 / 64)


def test_the_allocator_keeps_the_block_of_freed_logits() -> None:
    short, long = (
        memory_of(approach="lora", micro_batch=1, seq_len=length) for length in (1024, 8192)
    )
    stranded = 2 * 128256 * (8192 - 1024) / GB
    assert long.framework - short.framework > stranded


def test_old_software_loads_every_kernel_and_keeps_its_gradients() -> None:
    given = {"model": "bert-base-uncased", "approach": "full_finetune", "precision": "fp32"}
    old, new = (
        job_of(gpu=gpu, global_batch_tokens=512, seq_len=512, micro_batch=1, **given)
        for gpu in ("v100-sxm2-16gb", "a100-sxm4-80gb")
    )
    assert beyond_allocator_gb(old) > 2 * beyond_allocator_gb(new)
    assert (peak_memory(old).gradients > 0, peak_memory(new).gradients > 0) == (True, False)


# --- against published figures, by what each of them counts

QWEN = {"model": "Qwen-7B", "params_b": 7.72, "n_layers": 32, "hidden": 4096, "n_heads": 32}
QWEN |= {"vocab": 151936, "lora_rank": 64, "lora_targets": "q,k,v,o,gate,up"}
YI = {"model": "Yi-34B", "params_b": 34.39, "n_layers": 60, "hidden": 7168, "n_heads": 56}
PUBLISHED: list[tuple[str, float, str, Fields]] = [
    # QwenLM/Qwen README, profiling table; finetune/finetune_ds.sh runs DeepSpeed stage 2.
    *(
        (
            "driver",
            43.5,
            "full",
            {
                "model": "Qwen-1.8B",
                "n_layers": 24,
                "hidden": 2048,
                "n_heads": 16,
                "vocab": 151936,
                "params_b": 1.84,
                "sharding": "zero2",
                "gradient_checkpointing": "yes",
                "seq_len": length,
                "micro_batch": 1,
                "global_batch_tokens": 8 * length,
                "gpu": "a100-sxm4-80gb",
            },
        )
        for length in (256, 512, 1024, 2048)
    ),
    (
        "driver",
        23.8,
        "lora",
        QWEN
        | {
            "gradient_checkpointing": "yes",
            "seq_len": 2048,
            "micro_batch": 1,
            "global_batch_tokens": 16384,
        },
    ),
    # AnswerDotAI/fsdp_qlora, benchmarks_03_2024.md: reserved.
    (
        "reserved",
        24.75,
        "qlora",
        YI
        | {
            "vocab": 64000,
            "quantization": "nf4",
            "lora_rank": 64,
            "lora_targets": "q,k,v,gate,up,down",
            "gradient_checkpointing": "yes",
            "sharding": "fsdp",
            "gpus": 2,
            "seq_len": 2048,
            "micro_batch": 2,
        },
    ),
    # huggingface/peft method_comparison/MetaMathQA, Llama-3.2-3B on an L40S: reserved.
    *(
        (
            "reserved",
            measured,
            method,
            {
                "model": "Llama-3.2-3B",
                "lora_rank": rank,
                "lora_targets": targets,
                "sharding": "single",
                "seq_len": 768,
                "micro_batch": 4,
                "global_batch_tokens": 3072,
                "gpu": "l40s",
            },
        )
        for measured, method, rank, targets in (
            (38.87, "full", None, None),
            (22.29, "lora", 32, "q,v"),
            (24.70, "lora", 10, "gate,up,down"),
            (23.23, "ia3", None, None),
        )
    ),
    # pytorch/torchtitan, benchmarks/llama3_h100_202412_torchtitan.md: reserved.
    (
        "reserved",
        82.68,
        "pretrain",
        {
            "model": "Llama-3.1-8B",
            "seq_len": 8192,
            "micro_batch": 2,
            "global_batch_tokens": 131072,
            "gradient_checkpointing": "selective",
            "sharding": "fsdp",
            "gpus": 8,
        },
    ),
    # Lightning-AI/litgpt, config_hub/finetune/README.md: allocated.
    (
        "allocated",
        20.66,
        "lora",
        {
            "model": "mistralai/Mistral-7B-v0.1",
            "lora_rank": 32,
            "lora_targets": "q,v",
            "seq_len": 512,
            "micro_batch": 2,
        },
    ),
    # transformers documentation, perf_train_gpu_one (2022), BERT-large on a V100: the driver's.
    (
        "driver",
        7.63,
        "full",
        {
            "model": "bert-large-uncased",
            "objective": "classification",
            "precision": "fp16",
            "gradient_checkpointing": "yes",
            "seq_len": 512,
            "micro_batch": 1,
            "global_batch_tokens": 2048,
            "gpu": "v100-sxm2-16gb",
        },
    ),
]


def comparable(job: TrainingJob, counted: str) -> float:
    memory = peak_memory(job)
    if counted == "allocated":
        return memory.total - memory.framework
    return memory.total - (beyond_allocator_gb(job) if counted == "reserved" else 0.0)


@pytest.mark.parametrize(("counted", "measured", "method", "request_"), PUBLISHED)
def test_published_peaks_are_met(
    counted: str, measured: float, method: str, request_: Fields
) -> None:
    approach = {"full": "full_finetune", "pretrain": "pretrain"}.get(method, "lora")
    named = {"method": method} if method != "pretrain" else {}
    job = job_of(**{"approach": approach, "precision": "bf16"} | named | request_)
    assert comparable(job, counted) == pytest.approx(measured, rel=0.08)


def test_parts_sum_up_to_the_peak() -> None:
    memory = memory_of(approach="lora")
    assert sum(memory) == memory.total


def test_what_is_assumed_of_states_is_said() -> None:
    given = {"approach": "full_finetune", "precision": "bf16"}
    planned, described = (job_of(sharding=s, **given).assumptions for s in (None, "single"))
    asked = job_of(states="fp32", **given).assumptions
    assert any(line.startswith("states: fp32") for line in planned)
    assert any(line.startswith("states: 16bit") for line in described)
    assert not any(line.startswith("states") for line in asked)
