"""Runs one training step of a job's real model without memory, at several depths.

Reads one JSON object on stdin, writes one on stdout, narrates on stderr. The model has a few blocks
only: each moment of the step is then a straight line in the depth, which the caller extends.
"""

import contextlib
import json
import logging
import sys
import time
import warnings
from typing import Any, Final
from unittest.mock import patch

import peft
import torch
import transformers
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from transformers import masking_utils
from transformers.modeling_layers import GradientCheckpointingLayer

from advisor.probes.trace_kernels import GpuKernels
from advisor.probes.trace_ledger import GRADIENTS, OPTIMIZER, WEIGHTS, Ledger
from advisor.probes.trace_model import adapted, build, config_of, materialised
from advisor.probes.trace_packed import packed

# The caller shows what stands behind this word, and nothing else.
SAID: Final = "trace: "
STACKS: Final = {
    "n_layers": "blocks",
    "n_encoder_layers": "encoder blocks",
    "n_decoder_layers": "decoder blocks",
}
DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16}
CHECKPOINTING: Final = {
    "use_reentrant": False,
    "preserve_rng_state": False,
    # PyTorch leaves the modes of the forward pass aside in the backward pass.
    "context_fn": lambda: (contextlib.nullcontext(), GpuKernels()),
}
# The values of fake tensors cannot be looked at; that nothing is packed must be said.
_ONE_TEXT_A_ROW: Final = patch.object(
    masking_utils, "find_packed_sequence_indices", return_value=None
)


class _Moments:
    """Tells the ledger when a block begins, forward and backward."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.backward = False

    def watch(self, model: torch.nn.Module) -> None:
        """Follow the blocks of every stack of `model`."""
        stacks: dict[str, list[torch.nn.Module]] = {}
        for name, module in model.named_modules():
            if isinstance(module, GradientCheckpointingLayer):
                stacks.setdefault(name.rpartition(".")[0], []).append(module)
        for stack, blocks in stacks.items():
            for index, block in enumerate(blocks):
                place = {0: "first", len(blocks) - 1: "last"}.get(index, "middle")
                self._follow(block, f"{place} block of {stack}")

    def _follow(self, block: torch.nn.Module, name: str) -> None:
        def before(*_: object) -> None:
            if not self.backward:
                self._ledger.moment(f"forward, {name}")

        def after(_: object, __: object, output: Any) -> None:  # noqa: ANN401
            if self.backward:
                return
            first = output if isinstance(output, torch.Tensor) else output[0]
            if first.requires_grad:
                first.register_hook(lambda _: self._ledger.moment(f"backward, {name}"))
            self._ledger.moment(f"forward, after the {name}")

        block.register_forward_pre_hook(before)
        block.register_forward_hook(after)


def trace(job: dict[str, Any], depths: dict[str, int]) -> tuple[dict[str, dict[str, int]], int]:
    """Return the peak of each moment of a step at `depths`, and the parameters of the base.

    A peak is given as bytes by part. Where the job says that it is not `fake`, the step is run with
    real tensors.
    """
    widths = job["widths"] | depths
    config = config_of(job["family"], job["config"], widths, gated=job["gated"])
    with torch.device("meta"):
        model = build(config, job, DTYPES[job["weights"]])
        params = sum(one.numel() for one in model.parameters())
        if job["quantization"]:
            model = packed(model, job["quantization"])
        model = adapted(model, job["objective"], job["method"], job["lora"])
    if job["checkpointing"]:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=CHECKPOINTING)
    ledger = Ledger(config.vocab_size)
    moments = _Moments(ledger)
    moments.watch(model)
    with FakeTensorMode() if job.get("fake", True) else contextlib.nullcontext():
        model = materialised(model)
        with GpuKernels(), ledger, _ONE_TEXT_A_ROW:
            step(model, job, ledger, moments)
    return ledger.peaks(), params


def step(model: Any, job: dict[str, Any], ledger: Ledger, moments: _Moments) -> None:  # noqa: ANN401
    """Run the second step: the optimizer has its states then, as in every later step."""
    trained = [one for one in model.parameters() if one.requires_grad]
    ledger.label((*model.parameters(), *model.buffers()), WEIGHTS)
    optimizer = _with_states(trained, ledger)
    if job["accumulates"]:
        ledger.label((one.grad for one in trained), GRADIENTS)
    else:
        optimizer.zero_grad(set_to_none=True)
    for one in trained:
        one.register_post_accumulate_grad_hook(lambda p: ledger.label((p.grad,), GRADIENTS))
    inputs = _inputs(job)
    ledger.moment("forward, before the blocks")
    with torch.autocast("cpu", torch.bfloat16, enabled=job["autocast"]):
        loss = model(**inputs).loss
    moments.backward = True
    ledger.moment("backward, loss")
    loss.backward()
    ledger.moment("optimizer's step")
    optimizer.step()


def _with_states(trained: list[torch.nn.Parameter], ledger: Ledger) -> torch.optim.Optimizer:
    """Return the optimizer after a step, the gradients still in place."""
    optimizer = torch.optim.AdamW(trained, fused=True)
    for one in trained:
        one.grad = torch.zeros_like(one)
    optimizer.step()
    states = (one for state in optimizer.state.values() for one in state.values())
    ledger.label(states, OPTIMIZER)
    return optimizer


def _inputs(job: dict[str, Any]) -> dict[str, torch.Tensor]:
    def ids(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.int64)

    batch, length = job["batch"], job["seq_len"]
    if job["objective"] == "classification":
        return {"input_ids": ids(batch, length), "labels": ids(batch)}
    labels = ids(batch, job["target_len"] if job["objective"] == "seq2seq" else length)
    return {"input_ids": ids(batch, length), "labels": labels}


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """Return the peaks and the parameters at each of the job's depths, or why there are none."""
    peaks, sizes = [], []
    for depths in job["depths"]:
        start = time.perf_counter()
        try:
            peak, params = trace(job, depths)
        except DataDependentOutputException:
            return {"error": "code that looks at the values of tensors, which have none here"}
        except Exception as error:  # noqa: BLE001 - whatever stops a model is the answer
            return {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"}
        peaks.append(peak)
        sizes.append({"base": {"params": params}})
        told = " and ".join(f"{count} {STACKS[name]}" for name, count in depths.items())
        _say(f"{told} in {time.perf_counter() - start:.1f} s")
    versions = {one.__name__: one.__version__ for one in (torch, transformers, peft)}
    return {"peaks": peaks, "sizes": sizes, "versions": versions}


def _say(what: str) -> None:
    sys.stderr.write(f"{SAID}{what}\n")
    sys.stderr.flush()


def main() -> None:
    """Answer one request."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    _say("PyTorch and transformers are loaded")
    with contextlib.redirect_stdout(sys.stderr):
        found = answer(json.load(sys.stdin))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
