"""Loads a model and its tokenizer from disk, whole or not at all."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
)

from ..batches.rendering import PLAIN_TEMPLATE
from ..bounds import HEADS
from ..faults import JobError, explained
from ..plan import Plan
from ..settings import Settings
from . import bottleneck  # noqa: F401 - adapters of this kind are read by it
from .bases import check_adapter, check_base, check_template, checked_base, unusable
from .hardware import LOCAL_RANK, Hardware, hardware_for

CLASSES: Final = {
    "clm": AutoModelForCausalLM,
    "mlm": AutoModelForMaskedLM,
    "seq2seq": AutoModelForSeq2SeqLM,
    "classification": AutoModelForSequenceClassification,
    "extraction": AutoModelForTokenClassification,
}
# What a tokenizer must have for an objective; padding is the end of text where it has none.
NEEDED_TOKENS: Final = {
    "clm": ("eos_token",),
    "mlm": ("mask_token", "pad_token"),
    "seq2seq": ("eos_token", "pad_token"),
    "classification": ("pad_token",),
    "extraction": ("pad_token",),
}
# What stands on top for classification and extraction: it trains, so it keeps its full width.
NEW_HEADS: Final = ("classifier", "score", "classification_head", "head", r".*\.pooler")
TOKEN_NAMES: Final = {
    "eos_token": "end-of-text token",
    "mask_token": "mask token",
    "pad_token": "padding token",
}


class Loaded(NamedTuple):
    """A base model; `fresh` are the keys of a new head's weights, which the base did not bring."""

    model: Any
    fresh: tuple[str, ...]


def load_tokenizer(folder: Path, objective: str = "clm") -> Any:  # noqa: ANN401
    """Return the tokenizer in `folder`; raise JobError unless it serves the objective.

    It pads with the end of text where it has no padding. Where dialogues are learned (clm) it
    gets the plain template unless it has its own.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001 - a damaged file can raise nearly anything
        raise _damaged(error, folder, "its tokenizer cannot be read") from None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    missing = [
        TOKEN_NAMES[name] for name in NEEDED_TOKENS[objective] if getattr(tokenizer, name) is None
    ]
    if missing:
        raise unusable(f"its tokenizer has no {', no '.join(missing)}", folder, "use another base")
    if tokenizer.chat_template:
        check_template(tokenizer, folder)
    elif objective == "clm":
        tokenizer.chat_template = PLAIN_TEMPLATE
    return tokenizer


def pad_with(tokenizer: Any, model: Any) -> None:  # noqa: ANN401
    """Tell a model that knows of no padding which token it is: by that it finds a text's end."""
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def load_base(folder: Path, settings: Settings, hardware: Hardware) -> Loaded:
    """Return the base model, complete, on the CPU (4-bit weights: on the GPU)."""
    rests = settings.adds or not settings.trains
    options: dict[str, Any] = {"dtype": hardware.frozen if rests else torch.float32}
    if settings.quantization:
        options |= {"quantization_config": _nf4(settings, hardware), "device_map": {"": LOCAL_RANK}}
    return load_model(folder, settings, options)


def load_model(folder: Path, settings: Settings, options: dict[str, Any]) -> Loaded:
    """Return the model in `folder` for the settings' objective, with safe weights alone.

    A head that is missing, or was made for other labels, is made anew.
    """
    headed = settings.objective in HEADS
    if headed:
        options = options | _labels(settings.labels) | {"ignore_mismatched_sizes": True}
    try:
        model, report = CLASSES[settings.objective].from_pretrained(
            folder,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except Exception as error:  # noqa: BLE001 - a damaged file can raise nearly anything
        raise _damaged(error, folder, "it cannot be loaded") from None
    missing = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    fresh = _fresh(missing, model) if headed else set()
    if wrong := missing - fresh:
        raise unusable(f"its weights are incomplete: {min(wrong)}", folder, "get the model again")
    return Loaded(model, tuple(sorted(fresh)))


def load_trained(folder: Path) -> tuple[Any, Any]:
    """Return tokenizer and model of a finished run, on this machine's device, to be asked.

    The adapter is put beside its base, else the whole model is loaded. Weights are in the format of
    the training's matrix products. Raise JobError `run_unusable` where the run has left neither.
    """
    settings = replace(Plan.read(folder).last.settings, device="auto")
    hardware = hardware_for(settings)
    adapter, whole = folder / "adapter", folder / "model"
    if adapter.is_dir():
        check_adapter(adapter)
        tokenizer = load_tokenizer(adapter, settings.objective)
        model = load_base(base_beside(folder, settings), settings, hardware).model
        model = _with_trained(model, adapter, len(tokenizer))
    elif whole.is_dir():
        check_base(whole)
        tokenizer = load_tokenizer(whole, settings.objective)
        model, fresh = load_model(whole, settings, {"dtype": hardware.frozen})
        if fresh:
            raise unusable(f"its head is incomplete: {fresh[0]}", whole, "train it again")
    else:
        hint = "wait until it is done, or: python -m job --resume"
        raise JobError("run_unusable", "no trained model here", where=str(folder), hint=hint)
    pad_with(tokenizer, model)
    return tokenizer, (model if settings.quantization else model.to(hardware.device)).eval()


def base_beside(folder: Path, settings: Settings) -> Path:
    """Return the folder of the base; a relative path in the plan begins at the run folder."""
    name = settings.base_model or ""
    return checked_base(str(folder / name) if (folder / name).is_dir() else name)


def _with_trained(model: Any, adapter: Path, tokens: int) -> Any:  # noqa: ANN401
    if tokens > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(tokens, mean_resizing=False)
    try:
        return PeftModel.from_pretrained(model, adapter)
    except Exception as error:  # noqa: BLE001 - a damaged file can raise nearly anything
        raise _damaged(error, adapter, "it cannot be loaded") from None


def _labels(names: Iterable[str]) -> dict[str, Any]:
    labels = dict(enumerate(names))
    return {"id2label": labels, "label2id": {name: number for number, name in labels.items()}}


def _fresh(missing: set[str], model: Any) -> set[str]:  # noqa: ANN401
    """Return which missing weights belong to a new head: a layer on top, or the pooler under it."""
    backbone = f"{model.base_model_prefix}."
    return {key for key in missing if not key.startswith(backbone) or ".pooler." in key}


def _nf4(settings: Settings, hardware: Hardware) -> BitsAndBytesConfig:
    return BitsAndBytesConfig(
        llm_int8_skip_modules=list(NEW_HEADS) if settings.objective in HEADS else None,
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
