"""Loads a base model and its tokenizer from disk, whole or not at all."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from ..batches.rendering import PLAIN_TEMPLATE
from ..faults import explained
from ..settings import Settings
from .bases import check_template, unusable
from .hardware import LOCAL_RANK, Hardware


def load_tokenizer(folder: Path) -> Any:  # noqa: ANN401
    """Return the base's tokenizer, with the plain template where it has none of its own."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001 - a damaged file can raise nearly anything
        raise _damaged(error, folder, "its tokenizer cannot be read") from None
    if tokenizer.eos_token_id is None:
        raise unusable("its tokenizer has no end-of-text token", folder, "use another base")
    if tokenizer.chat_template:
        check_template(tokenizer, folder)
    else:
        tokenizer.chat_template = PLAIN_TEMPLATE
    return tokenizer


def load_base(folder: Path, settings: Settings, hardware: Hardware) -> Any:  # noqa: ANN401
    """Return the base model, complete, on the CPU (4-bit weights: on the GPU)."""
    options: dict[str, Any] = {"dtype": hardware.frozen if settings.adds else torch.float32}
    if settings.quantization:
        options |= {"quantization_config": _nf4(hardware), "device_map": {"": LOCAL_RANK}}
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except Exception as error:  # noqa: BLE001 - a damaged file can raise nearly anything
        raise _damaged(error, folder, "it cannot be loaded") from None
    if report["missing_keys"] or report["mismatched_keys"]:
        first = min(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
        raise unusable(f"its weights are incomplete: {first}", folder, "get the model again")
    return model


def _nf4(hardware: Hardware) -> BitsAndBytesConfig:
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=hardware.frozen,
    )


def _damaged(error: Exception, folder: Path, what: str) -> BaseException:
    """Return `error` itself where memory or disk is the cause, else the model's fault."""
    if explained(error, smaller="", free=""):
        return error
    cause = (str(error).strip().splitlines() or [""])[0]
    return unusable(f"{what}: {type(error).__name__} {cause}", folder, "get the model again")
