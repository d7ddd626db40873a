"""The longest micro-batch runs once before training, so that memory is short now or never."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import torch
from torch.utils.checkpoint import set_checkpoint_early_stop
from torch.utils.flop_counter import (
    FlopCounterMode,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

from ..faults import is_memory
from ..settings import Settings
from .losses import Batch, Loss

ATEN: Final = torch.ops.aten
# The library counts attention on a GPU alone.
CPU_ATTENTION: Final = {
    ATEN._scaled_dot_product_flash_attention_for_cpu: (  # noqa: SLF001
        lambda query, key, value, *_, **__: sdpa_flop_count(query, key, value)
    ),
    ATEN._scaled_dot_product_flash_attention_for_cpu_backward: (  # noqa: SLF001
        lambda out, query, key, value, *_, **__: sdpa_backward_flop_count(out, query, key, value)
    ),
}
# Bytes that an optimizer keeps for each parameter that trains; adafactor keeps rows and columns.
STATE_BYTES: Final = {"adamw": 8.0, "adamw_8bit": 2.0, "adafactor": 0.1}


class Probe:
    """Runs a micro-batch forward and backward beside what training keeps, then drops it all."""

    def __init__(self, model: Any, loss: Loss, settings: Settings, *, processes: int) -> None:  # noqa: ANN401
        self._model = model
        self._loss = loss
        self._trained = [p for p in model.parameters() if p.requires_grad]
        # Several processes also keep the gradients in buckets to exchange them.
        self._kept_bytes = STATE_BYTES[settings.optimizer] + (4.0 if processes > 1 else 0.0)
        self._repeats = settings.gradient_checkpointing == "yes"
        self.flops_per_token: float | None = None

    def run(self, make: Callable[[], Batch]) -> BaseException | None:
        """Return the error where memory was too short; random numbers go on as before."""
        devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
        try:
            with torch.random.fork_rng(devices=devices):
                self._step(make())
        except Exception as error:
            if not is_memory(error):
                raise
            # With its traceback it would hold on to the very tensors that were too many.
            return error.with_traceback(None)
        finally:
            self._model.zero_grad(set_to_none=True)
        return None

    def _step(self, batch: Batch) -> None:
        kept = [
            torch.empty(int(p.numel() * self._kept_bytes), dtype=torch.uint8, device=p.device)
            for p in self._trained
        ]
        for parameter in self._trained:
            parameter.grad = torch.zeros_like(parameter)
        counter = FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION)
        with (
            counter,
            set_checkpoint_early_stop(enable=False),
        ):  # what is repeated is the whole layer
            with self._loss.autocast():
                loss = self._loss(self._model, batch)
            forward = counter.get_total_flops()
            (loss / max(1, len(batch["targets"]))).backward()
            whole = counter.get_total_flops()
        # What is worked out twice counts once; the head's products are not repeated.
        head = 2 * len(batch["targets"]) * self._loss.head_weights
        again = forward - head if self._repeats else 0
        self.flops_per_token = (whole - again) / batch["slots"]
        del kept


def longest(lengths: Any, most: int) -> Iterable[int]:  # noqa: ANN401
    """Return the numbers of the `most` longest rows."""
    return sorted(range(len(lengths)), key=lambda row: -int(lengths[row]))[:most]
