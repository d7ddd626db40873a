"""The traced step: right by what a real step allocates, straight in the depth, near the formula."""

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import run
from rich.console import Console
from torch.profiler import ProfilerActivity, profile

from advisor import tracing
from advisor.catalog import Catalog, load_catalog
from advisor.errors import AdvisorError, ErrorName
from advisor.estimation.documents import Trace, read_request
from advisor.estimation.training_job import TrainingJob
from advisor.machine import Machine
from advisor.options.layout import complete_request
from advisor.probes import trace as program
from advisor.report.traces import trace_lines

pytestmark = pytest.mark.filterwarnings("ignore")

Told = dict[str, Any]
Complete = Callable[..., TrainingJob]
CPU = Machine(platform="Linux x86_64", cpu="a processor", cores=2, ram_gb=16.0, disk_gb=100.0)
# The scratch space of a kernel is no tensor; those of the small models here are smaller than this.
SCRATCH = 1024


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="module")
def complete(catalog: Catalog) -> Complete:
    def run(**request: Any) -> TrainingJob:
        asked = {"gpu": "a100-sxm4-80gb", "gpus": 1} | request
        return complete_request(read_request(asked), catalog=catalog, machine=CPU)

    return run


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the program run in this process, which has loaded PyTorch already."""
    monkeypatch.setattr(
        tracing, "_run", lambda told, _: program.answer(json.loads(json.dumps(told)))
    )


# --- the trace itself

TINY: Told = {
    "family": "llama",
    "config": {},
    "widths": {
        "hidden": 64,
        "n_heads": 4,
        "n_kv_heads": 2,
        "head_dim": 16,
        "intermediate": 176,
        "vocab": 512,
        "tied": True,
        "embedding_width": 64,
        "max_context": 64,
    },
    "gated": True,
    "objective": "clm",
    "attention": "sdpa",
    "method": "full",
    "lora": {"rank": 4, "dropout": 0.0, "targets": [*"qkvo", "gate", "up", "down"]},
    "weights": "fp32",
    "autocast": False,
    "quantization": None,
    "checkpointing": False,
    "accumulates": False,
    "batch": 2,
    "seq_len": 64,
    "target_len": 32,
}
LORA = {"method": "lora", "weights": "bf16", "autocast": True}
ONE_STACK = {"n_layers": 3}
STEPS: dict[str, tuple[Told, dict[str, int]]] = {
    "full": ({}, ONE_STACK),
    "full, more tokens": ({"batch": 8}, ONE_STACK),
    "full, mixed precision": ({"autocast": True}, ONE_STACK),
    "full, checkpointed": ({"checkpointing": True}, ONE_STACK),
    "full, accumulating": ({"accumulates": True}, ONE_STACK),
    "lora": (LORA, ONE_STACK),
    "lora, checkpointed": (LORA | {"checkpointing": True}, ONE_STACK),
    "qlora": (LORA | {"quantization": "nf4_dq"}, ONE_STACK),
    "gpt2": ({"family": "gpt2"}, ONE_STACK),
    "bert": ({"family": "bert", "objective": "mlm"}, ONE_STACK),
    "t5": (
        {"family": "t5", "objective": "seq2seq", "gated": False},
        {"n_encoder_layers": 2, "n_decoder_layers": 3},
    ),
}


def total(peaks: dict[str, dict[str, int]]) -> dict[str, int]:
    return {moment: sum(parts.values()) for moment, parts in peaks.items()}


@pytest.fixture
def allocated(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return what the allocator's own log says of the most bytes that a step took at a time."""
    sums: list[int] = [0]
    step = program.step

    def watched(*arguments: Any) -> None:
        gc.collect()
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
            step(*arguments)
        events = [one for one in found.profiler.kineto_results.events() if one.name() == "[memory]"]
        for event in sorted(events, key=lambda one: one.start_ns()):
            sums.append(sums[-1] + event.nbytes())

    monkeypatch.setattr(program, "step", watched)
    return lambda: max(sums)


@pytest.mark.slow
@pytest.mark.parametrize(("change", "depths"), STEPS.values(), ids=STEPS.keys())
def test_a_traced_step_holds_what_a_real_one_allocates(
    change: Told, depths: dict[str, int], allocated: Callable[[], int]
) -> None:
    real, _ = program.trace(TINY | change | {"fake": False}, depths)
    before = real["before the step"]["weights"]
    most = max(total(real).values()) - before
    assert allocated() == pytest.approx(most, abs=SCRATCH)


@pytest.mark.parametrize(("change", "depths"), STEPS.values(), ids=STEPS.keys())
def test_a_step_without_memory_is_booked_as_one_with_memory(
    change: Told, depths: dict[str, int]
) -> None:
    fake, params = program.trace(TINY | change, depths)
    real, same = program.trace(TINY | change | {"fake": False}, depths)
    assert (fake, params) == (real, same)


@pytest.mark.parametrize(("change", "depths"), STEPS.values(), ids=STEPS.keys())
def test_two_depths_give_every_other(change: Told, depths: dict[str, int]) -> None:
    least = dict.fromkeys(depths, 2)
    traced = [least, *(least | {stack: 4} for stack in depths)]
    peaks = [program.trace(TINY | change, one)[0] for one in traced]
    extended = tracing.at_full_depth(peaks, [2.0] * len(depths))
    directly, _ = program.trace(TINY | change, dict.fromkeys(depths, 6))
    moment, parts = tracing.fullest(extended)
    assert moment == tracing.fullest(directly)[0]
    assert sum(parts.values()) == pytest.approx(max(total(directly).values()), rel=1e-3)
    assert {m: sum(p.values()) for m, p in extended.items()} == pytest.approx(
        {moment: total(directly)[moment] for moment in extended}, rel=0.01
    )


def test_frozen_weights_are_held_but_have_no_gradients() -> None:
    peaks, params = program.trace(TINY | LORA, ONE_STACK)
    end = peaks["optimizer's step"]
    assert end["weights"] >= 2 * params
    assert 0 < end["gradients"] < 0.25 * end["weights"]
    assert end["optimizer"] == pytest.approx(2 * end["gradients"], rel=0.01)


def test_fused_attention_keeps_no_scores() -> None:
    def kept(length: int) -> float:
        widths = TINY["widths"] | {"max_context": 512, "vocab": 32}
        told = TINY | {"widths": widths, "seq_len": length, "family": "gpt2"}
        peaks, _ = program.trace(told, ONE_STACK)
        return peaks["backward, loss"]["activations"] / length

    assert kept(512) == pytest.approx(kept(128), rel=0.02)


def test_attention_written_out_keeps_scores() -> None:
    peaks = [
        program.trace(TINY | {"attention": attention}, ONE_STACK)[0]["backward, loss"]
        for attention in ("eager", "sdpa")
    ]
    batch, heads, length = 2, 4, 64
    scores = 3 * batch * heads * length * length * 4
    assert peaks[0]["activations"] - peaks[1]["activations"] > scores


def test_dropout_keeps_a_byte_an_element() -> None:
    def kept(dropout: float) -> int:
        lora = TINY["lora"] | {"dropout": dropout, "targets": ["q"]}
        peaks, _ = program.trace(TINY | {"method": "lora", "lora": lora}, ONE_STACK)
        return peaks["backward, loss"]["activations"]

    # The first block's input has no gradient, so that its mask is not needed again.
    tokens, blocks, hidden = 2 * 64, 3 - 1, 64
    assert kept(0.1) - kept(0.0) == tokens * blocks * hidden


# --- beside the formula

FULL = {"approach": "full_finetune", "method": "full", "seq_len": 1024, "micro_batch": 2}
TUNED = {"approach": "lora", "method": "lora", "seq_len": 1024, "micro_batch": 2}
ALL = {"gradient_checkpointing": "no"}
AGAIN = {"gradient_checkpointing": "yes"}
QV = {"lora_targets": "q,v"}
MLM = {"approach": "continued_pretrain", "method": "full", "objective": "mlm", "seq_len": 512}
LLAMA, QWEN, GEMMA = "meta-llama/Llama-3.2-1B", "Qwen/Qwen2.5-1.5B", "google/gemma-2b"
COMBINATIONS: dict[str, dict[str, Any]] = {
    "Llama, full": {"model": LLAMA, **FULL, **ALL},
    "Llama, full in fp32": {"model": LLAMA, **FULL, **ALL, "precision": "fp32"},
    "Llama, full, checkpointed": {"model": LLAMA, **FULL, **AGAIN, "micro_batch": 8},
    "Llama, LoRA": {"model": "meta-llama/Llama-2-7b-hf", **TUNED, **ALL},
    "Llama, LoRA, checkpointed": {"model": "meta-llama/Llama-2-7b-hf", **TUNED, **QV, **AGAIN},
    "Llama, QLoRA, checkpointed": {"model": LLAMA, **TUNED, **AGAIN, "method": "qlora"},
    "Llama, QLoRA": {"model": "meta-llama/Llama-2-7b-hf", **TUNED, **ALL, "method": "qlora"},
    "Mistral, DoRA": {"model": "mistralai/Mistral-7B-v0.3", **TUNED, **ALL, "method": "dora"},
    "Qwen, full": {"model": QWEN, **FULL, **ALL},
    "Qwen, LoRA": {"model": "Qwen/Qwen3-4B-Base", **TUNED, **ALL},
    "Qwen, LoRA, checkpointed": {"model": "Qwen/Qwen2.5-7B", **TUNED, **AGAIN, "micro_batch": 4},
    "Gemma, full, checkpointed": {"model": GEMMA, **FULL, **AGAIN, "seq_len": 512},
    "Gemma, LoRA": {"model": GEMMA, **TUNED, **ALL},
    "Gemma 2, LoRA": {"model": "google/gemma-2-2b", **TUNED, **ALL, "seq_len": 512},
    "Gemma 3, full": {"model": "google/gemma-3-1b-pt", **FULL, **ALL, "seq_len": 512},
    "GPT-2, pretraining": {"model": "gpt2", **FULL, **ALL, "approach": "pretrain"},
    "GPT-2, LoRA, checkpointed": {"model": "gpt2-medium", **TUNED, **QV, **AGAIN},
    "BERT, full": {"model": "bert-base-uncased", **FULL, **ALL, **MLM},
    "BERT, full, checkpointed": {"model": "bert-large-uncased", **FULL, **AGAIN, **MLM},
    "BERT, LoRA": {"model": "bert-base-uncased", **TUNED, **QV, **ALL, **MLM, "method": "lora"},
    "T5, full in fp32": {"model": "t5-base", **FULL, **ALL, "seq_len": 512, "precision": "fp32"},
    "T5, full": {"model": "t5-large", **FULL, **ALL, "seq_len": 512},
    "T5, LoRA, checkpointed": {"model": "google/flan-t5-xl", **TUNED, **QV, **AGAIN},
}


STATES_IN_FP32 = [name for name in COMBINATIONS if "full" in name and "fp32" not in name]


def show_parts(found: Trace) -> str:
    parts = (f"{name} {p.traced:.3f} {p.formula:.3f}" for name, p in found.parts.items())
    return f"{found.moment}: {', '.join(parts)}"


@pytest.mark.slow
@pytest.mark.parametrize("name", COMBINATIONS)
def test_formula_and_trace_agree_within_3_percent(
    name: str,
    complete: Complete,
    catalog: Catalog,
    here: None,  # noqa: ARG001
) -> None:
    found = tracing.trace_job(complete(**COMBINATIONS[name]), catalog)
    assert found.formula_gb == pytest.approx(found.traced_gb, rel=0.03), show_parts(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", STATES_IN_FP32)
def test_they_agree_on_mixed_precision_too(
    name: str,
    complete: Complete,
    catalog: Catalog,
    here: None,  # noqa: ARG001
) -> None:
    job = complete(**COMBINATIONS[name])._replace(master_weights=True)
    found = tracing.trace_job(job, catalog)
    assert found.formula_gb == pytest.approx(found.traced_gb, rel=0.03), show_parts(found)


# --- what cannot be traced


def test_every_reason_is_given_at_once(complete: Complete, catalog: Catalog) -> None:
    job = complete(
        model="Qwen/Qwen3-8B-Base",
        approach="lora",
        method="qlora",
        quantization="int8",
        optimizer="adamw_8bit",
        gradient_checkpointing="selective",
        compiled=True,
    )
    with pytest.raises(AdvisorError) as found:
        tracing.trace_job(job, catalog)
    named = {fault.field for fault in found.value.faults}
    assert named == {"quantization", "optimizer", "gradient_checkpointing", "compiled"}
    assert found.value.name is ErrorName.REQUEST_INVALID


NOT_TRACED = {
    "parts on several GPUs": {"model": LLAMA, "gpus": 8, "sharding": "fsdp"},
    "a method that peft does not build": {"model": LLAMA, "method": "adapter"},
    "a state-space model": {"model": "state-spaces/mamba-130m-hf"},
    "a model of several": {"model": "google/gemma-3-4b-pt"},
    "a shape that the family's defaults do not give": {"model": "tiiuae/falcon-rw-1b"},
}


@pytest.mark.parametrize("request_", NOT_TRACED.values(), ids=NOT_TRACED.keys())
def test_what_cannot_be_traced_is_refused_with_the_reason(
    request_: dict[str, Any],
    complete: Complete,
    catalog: Catalog,
    here: None,  # noqa: ARG001
) -> None:
    job = complete(approach="lora", **request_)
    with pytest.raises(AdvisorError, match="cannot be traced") as found:
        tracing.trace_job(job, catalog)
    assert all(fault.field and fault.expected and fault.found for fault in found.value.faults)


def test_a_config_of_ones_own_is_traced(
    complete: Complete,
    catalog: Catalog,
    here: None,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    config = {
        "model_type": "qwen3",
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_hidden_layers": 7,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "vocab_size": 1000,
        "layer_types": ["full_attention"] * 7,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    job = complete(model=str(tmp_path), **FULL, precision="fp32")
    found = tracing.trace_job(job, catalog)
    assert found.parts["weights"].traced == pytest.approx(4 * job.shape.params / 1e9, rel=0.01)


# --- the command


GPT2 = ("estimate", "--model", "gpt2", "--gpu", "l4")


# The command in a process of its own, which tells at its end whether it loaded PyTorch.
WATCHED = """
import sys
from advisor.cli import main
try:
    main()
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def told() -> tuple[dict[str, Any], list[str]]:
    """Return what `estimate --trace --json` prints on stdout, and its lines on stderr."""
    asked = (*GPT2, "--approach", "full_finetune", "--trace", "--json")
    command = [sys.executable, "-c", WATCHED, *asked]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr.splitlines()


def test_the_trace_is_part_of_the_estimate_and_names_its_time(
    told: tuple[dict[str, Any], list[str]],
) -> None:
    document, narration = told
    found = document["trace"]
    parts = document["memory_gb_per_gpu"]["parts"]
    assert found["formula_gb"] == pytest.approx(sum(parts[name] for name in found["parts"]))
    assert found["difference"] == pytest.approx(found["formula_gb"] / found["traced_gb"] - 1)
    assert found["seconds"] > 0
    assert found["versions"]["torch"] == torch.__version__
    assert narration[-2].startswith("4 blocks in")


def test_the_command_itself_loads_no_framework(told: tuple[dict[str, Any], list[str]]) -> None:
    assert told[1][-1] == "False"


def test_the_trace_as_text_has_every_part(told: tuple[dict[str, Any], list[str]]) -> None:
    found = Trace.model_validate(told[0]["trace"])
    console = Console(width=100, no_color=True)
    with console.capture() as captured:
        for line in trace_lines(found):
            console.print(line)
    text = captured.get()
    assert f"traced in {found.seconds:g} s" in text
    assert all(name in text for name in (*found.parts, "all", found.moment))


def test_without_the_flag_nothing_is_traced() -> None:
    done = run(*GPT2, "--json")
    assert json.loads(done.stdout)["trace"] is None


def test_what_cannot_be_traced_is_a_fault_of_the_request() -> None:
    done = run(*GPT2, "--optimizer", "sgd", "--trace")
    assert done.returncode == 2
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert "cannot be traced" in last
    assert "optimizer" in last
