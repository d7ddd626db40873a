"""A second opinion on memory: a step of the real model, run without memory, beside the formula."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from advisor.catalog import Catalog, load_catalog
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation import EstimateRequest, TrainingJob
from advisor.estimation.blocks import TARGET_SHARE
from advisor.estimation.documents import Trace, TracedPart
from advisor.estimation.memory import peak_memory
from advisor.estimation.shape import ENCODER, ENCODER_DECODER, STATE_SPACE, Shape
from advisor.estimation.states import HALF, in_autocast
from advisor.estimation.training_job import VIRTUAL_TOKENS
from advisor.machine import Machine
from advisor.options.layout import complete_request
from advisor.options.named import config_path
from advisor.options.recipes import recipe_of

GB = 1e9
# Each stack has this many blocks, then twice as many: two points of a straight line.
FEWEST = 2
# Where a model is built that has more or fewer parameters than the job's, it is another model.
SAME_PARAMS = 0.02
PARTS = ("weights", "gradients", "optimizer", "activations", "logits")
METHODS = frozenset({"full", "lora", "rslora", "qlora", "dora", "ia3", "prompt"})
# Packed matrices are those of a stand-in that holds and keeps what bitsandbytes does.
STAND_IN = "4-bit matrices are a stand-in that holds and keeps what those of bitsandbytes do"
QUANTIZATIONS = frozenset({"nf4", "nf4_dq"})
ON_QUANTIZED = frozenset({"lora", "rslora", "qlora"})
# Paged states are held like others as long as there is room.
OPTIMIZERS = frozenset({"adamw", "adamw_paged"})
PRECISIONS = frozenset({"fp32", "tf32", "bf16", "fp16"})
# GPUs that each hold a whole model hold what a single one holds, and buffers to talk to each other.
UNSHARDED = frozenset({"single", "ddp"})
PROGRAM = "advisor.probes.trace"
# The program's narration; other words there are the libraries' own.
SAID = "trace: "
Say = Callable[[str], None]
Bytes = Mapping[str, float]


class _Model(NamedTuple):
    """What transformers calls the model's family, and its config.json where there is one."""

    family: str
    config: Mapping[str, Any]


def trace_request(
    request: EstimateRequest,
    *,
    catalog: Catalog | None = None,
    machine: Machine | None = None,
    say: Say = lambda _: None,
) -> Trace:
    """Return the trace of the job that `request` describes, completed as its estimate is.

    Raises:
        AdvisorError: `request_invalid`, with every reason why the job cannot be traced.
    """
    facts = catalog or load_catalog()
    return trace_job(complete_request(request, catalog=facts, machine=machine), facts, say=say)


def trace_job(job: TrainingJob, catalog: Catalog, *, say: Say = lambda _: None) -> Trace:
    """Return what a step of `job` holds in memory, by its model's own code; `say` is told so far.

    Raises:
        AdvisorError: `request_invalid`, with every reason why the job cannot be traced.
    """
    start = time.perf_counter()
    told = what_is_traced(job, catalog)
    say("tracing a training step of the real model without memory; this takes seconds")
    found = _run(told, say)
    if "error" in found:
        raise _untraceable(f"that transformers can run ({told['family']})", found["error"])
    times = _times(told["depths"], _depth(job.shape))
    _require_same_model(job, at_full_depth(found["sizes"], times)["base"]["params"])
    moment, traced = fullest(at_full_depth(found["peaks"], times))
    formula = peak_memory(job)._asdict()
    parts = {
        name: TracedPart.model_construct(traced=traced.get(name, 0.0) / GB, formula=formula[name])
        for name in PARTS
    }
    total = sum(part.traced for part in parts.values())
    expected = sum(part.formula for part in parts.values())
    return Trace.model_construct(
        seconds=round(time.perf_counter() - start, 1),
        traced_gb=total,
        formula_gb=expected,
        difference=expected / total - 1,
        parts=parts,
        moment=moment,
        depths=told["depths"],
        versions=found["versions"],
        notes=(STAND_IN,) if job.quantization else (),
    )


def what_is_traced(job: TrainingJob, catalog: Catalog) -> dict[str, Any]:
    """Return what the tracing program is told of `job`; REQUEST_INVALID where it cannot run it."""
    if faults := list(_faults(job)):
        raise AdvisorError(ErrorName.REQUEST_INVALID, "this job cannot be traced", faults)
    model = _model_of(job, catalog)
    recipe = recipe_of(catalog, job.approach, job.method, params=job.shape.params)
    half = job.precision in HALF
    return {
        "family": model.family,
        "config": dict(model.config),
        "widths": _widths(job.shape),
        "gated": bool(job.shape.gated),
        "objective": job.objective,
        # What a flash kernel keeps, transformers' sdpa keeps too.
        "attention": "eager" if job.attention == "eager" else "sdpa",
        "method": job.method,
        "lora": {
            "rank": job.lora_rank,
            "dropout": recipe.lora_dropout or 0.0,
            "targets": job.lora_targets,
            "prompt_tokens": VIRTUAL_TOKENS,
        },
        "weights": "bf16" if half and not in_autocast(job) else "fp32",
        # Adapters are kept in fp32 on a 16-bit base, which autocast brings together.
        "autocast": half and (in_autocast(job) or job.adapts),
        "quantization": job.quantization,
        "checkpointing": job.gradient_checkpointing == "yes",
        "accumulates": job.gradient_accumulation > 1,
        "batch": job.micro_batch,
        "seq_len": job.seq_len,
        "target_len": max(round(job.seq_len * TARGET_SHARE), 1),
        "depths": _depths(_depth(job.shape)),
    }


def _faults(job: TrainingJob) -> Iterator[Fault]:
    """Yield what of `job` the tracing program cannot build or run."""
    whole = job.sharding in UNSHARDED and job.model_parallel == 1
    packed = job.quantization in QUANTIZATIONS and job.method in ON_QUANTIZED
    traceable = {
        "model": job.shape.kind != STATE_SPACE,
        "method": job.method in METHODS,
        "quantization": packed or job.quantization is None,
        "precision": job.precision in PRECISIONS,
        "optimizer": job.optimizer in OPTIMIZERS,
        "gradient_checkpointing": job.gradient_checkpointing != "selective",
        "sharding": whole,
        "compiled": not job.compiled,
    }
    expected = {
        "model": "a transformer: the kernels of state-space models run on a GPU only",
        "method": f"one of {', '.join(sorted(METHODS))}",
        "quantization": "none, or nf4 or nf4_dq under LoRA",
        "precision": f"one of {', '.join(sorted(PRECISIONS))}",
        "optimizer": "adamw or adamw_paged",
        "gradient_checkpointing": "yes or no: what selective keeps is up to the framework",
        "sharding": "a whole model on each GPU",
        "compiled": "no: the compiler decides what is kept",
    }
    for name, whether in traceable.items():
        if not whether:
            found = getattr(job, name, None) or job.request.model
            yield Fault(field=name, expected=expected[name], found=str(found))


def _model_of(job: TrainingJob, catalog: Catalog) -> _Model:
    name = job.request.model or ""
    if row := catalog.find_model(name):
        return _Model(row.model_type, {})
    path = None if name in catalog.shapes else config_path(name)
    if path is None:
        usual = {ENCODER: "bert", ENCODER_DECODER: "t5"}
        return _Model(usual.get(job.shape.kind, "llama"), {})
    file = path / "config.json" if path.is_dir() else path
    config = json.loads(file.read_text(encoding="utf-8"))
    text = config.get("text_config")
    config = text if isinstance(text, dict) else config
    return _Model(str(config.get("model_type", "")), config)


def _widths(shape: Shape) -> dict[str, Any]:
    widths = {
        "hidden": shape.hidden,
        "n_heads": shape.n_heads,
        "n_kv_heads": shape.n_kv_heads,
        "head_dim": shape.head_dim,
        "intermediate": shape.intermediate,
        "vocab": shape.vocab,
        "tied": bool(shape.tied),
        "embedding_width": shape.embedding_width,
    }
    if shape.max_context:
        widths["max_context"] = shape.max_context
    if shape.kind == ENCODER_DECODER:
        widths |= {"n_decoder_heads": shape.n_heads, "decoder_intermediate": shape.intermediate}
    if shape.n_experts > 1:
        widths |= {"n_experts": shape.n_experts, "top_k": shape.top_k}
        widths |= {"moe_intermediate": shape.intermediate}
    return widths


def _depth(shape: Shape) -> dict[str, int]:
    """Return how many blocks each stack of the whole model has."""
    if shape.kind != ENCODER_DECODER:
        return {"n_layers": shape.n_layers}
    decoders = shape.n_decoder_layers
    return {"n_encoder_layers": shape.n_layers - decoders, "n_decoder_layers": decoders}


def _depths(full: Mapping[str, int]) -> list[dict[str, int]]:
    """Return the depths to trace: all stacks at their least, then each deeper on its own."""
    least = dict.fromkeys(full, FEWEST)
    return [least, *(least | {stack: 2 * FEWEST} for stack in full)]


def _run(told: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Return what the tracing program answers, or its error; what it narrates goes to `say`."""
    # It is found from the folder that holds this package, wherever that is installed.
    home = Path(__file__).resolve().parent.parent
    with subprocess.Popen(  # noqa: S603 - an argument list of our own
        [sys.executable, "-m", PROGRAM],
        cwd=home,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018 - asked for
        try:
            with suppress(BrokenPipeError):  # it may have ended for want of a library
                process.stdin.write(json.dumps(told))
                process.stdin.close()
            last = _narrated(process.stderr, say)
            answer = process.stdout.read()
        finally:
            process.kill()
    try:
        found: dict[str, Any] = json.loads(answer)
    except ValueError:
        return {"error": last}
    return found


def _narrated(lines: Iterator[str], say: Say) -> str:
    """Pass the program's narration on; return the last line of anything else."""
    last = "the tracing program ended without a word"
    for line in lines:
        if line.startswith(SAID):
            say(line.removeprefix(SAID).strip())
        elif line.strip():
            last = line.strip()
    return last


def _untraceable(expected: str, found: str) -> AdvisorError:
    fault = Fault(field="model", expected=f"a model {expected}", found=found[:300])
    return AdvisorError(ErrorName.REQUEST_INVALID, "this job cannot be traced", [fault])


def _require_same_model(job: TrainingJob, built: float) -> None:
    wanted = job.shape.params
    if abs(built - wanted) > SAME_PARAMS * wanted:
        raise _untraceable(
            f"of {wanted / GB:.3g}B parameters, as its shape says",
            f"{built / GB:.3g}B in what transformers builds of it",
        )


def _times(depths: Sequence[Mapping[str, int]], full: Mapping[str, int]) -> list[float]:
    """Return, for each depth but the first, how often what it adds is found in the whole model."""
    least, *deeper = depths
    grown = (next(name for name in full if depth[name] > least[name]) for depth in deeper)
    return [(full[stack] - FEWEST) / FEWEST for stack in grown]


def at_full_depth(
    peaks: Sequence[Mapping[str, Bytes]], times: Sequence[float]
) -> dict[str, dict[str, float]]:
    """Return each moment's parts at the full depth; they grow by the same with every block.

    `times` says of each of `peaks` but the first how often it is to be added what it has more.
    """
    least, *deeper = peaks
    found = {}
    for moment in (name for name in least if all(name in one for one in deeper)):
        parts = dict(least[moment])
        for often, peak in zip(times, deeper, strict=True):
            for part in {**least[moment], **peak[moment]}:
                more = peak[moment].get(part, 0.0) - least[moment].get(part, 0.0)
                parts[part] = parts.get(part, 0.0) + often * more
        found[moment] = parts
    return found


def fullest(moments: Mapping[str, Bytes]) -> tuple[str, Bytes]:
    """Return the moment with the most bytes, and its parts."""
    return max(moments.items(), key=lambda one: sum(one[1].values()))
