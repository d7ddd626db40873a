"""Where the model trains, and in which number formats."""

import os
from dataclasses import dataclass
from typing import Final

import torch

from ..faults import JobError
from ..settings import Settings

LOCAL_RANK: Final = int(os.environ.get("LOCAL_RANK", "0"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardware:
    """Where the model trains, and in which number formats.

    `mixed` is what matrix products run in (None: as the weights); `frozen` holds weights that do
    not train. Weights that train are kept in 32 bits.
    """

    device: str
    mixed: torch.dtype | None

    @property
    def frozen(self) -> torch.dtype:
        """Return the format of weights that do not train."""
        return self.mixed or torch.float32

    def autocast(self) -> torch.autocast:
        """Return the context in which matrix products run in the mixed format, if there is one."""
        mixed = self.mixed or torch.bfloat16
        return torch.autocast(self.device, dtype=mixed, enabled=self.mixed is not None)


def hardware_for(settings: Settings) -> Hardware:
    """Return what this machine offers for the settings; raise JobError where it is too little."""
    found = torch.cuda.is_available()
    if settings.device == "cuda" and not found:
        raise _elsewhere("the plan wants a CUDA GPU, none is here")
    device = "cuda" if found and settings.device != "cpu" else "cpu"
    if device == "cuda":
        torch.cuda.set_device(LOCAL_RANK)
    if device == "cpu" and settings.precision == "fp16":
        raise _elsewhere("fp16 needs a CUDA GPU")
    if settings.method == "qlora" or settings.optimizer == "adamw_8bit":
        _need_bitsandbytes(device)
    return Hardware(device=device, mixed=_mixed(settings.precision, device))


def _mixed(precision: str, device: str) -> torch.dtype | None:
    if precision == "auto":
        if device == "cpu":
            return None
        # The second argument leaves out GPUs that only emulate bf16.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def _need_bitsandbytes(device: str) -> None:
    try:
        import bitsandbytes  # noqa: F401, PLC0415 - an extra that only 4 and 8 bits need
    except ImportError:
        raise _elsewhere("4-bit weights and 8-bit AdamW need bitsandbytes") from None
    if device != "cuda":
        raise _elsewhere("4-bit weights and 8-bit AdamW need a CUDA GPU")


def _elsewhere(what: str) -> JobError:
    hint = "make a plan for this machine: advisor plan --gpu local"
    return JobError("hardware_elsewhere", what, where="plan.json", hint=hint)
