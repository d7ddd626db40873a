"""Puts the model of a stage together: base or random weights, tokenizer, method."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..files import say
from ..settings import Settings
from .hardware import Hardware
from .loading import load_base, load_tokenizer
from .methods import CHECKPOINTING, with_adapter
from .scratch import from_scratch, train_tokenizer


def assemble(
    settings: Settings,
    *,
    base: Path | None,
    earlier: Path | None,
    texts: Callable[[], Iterable[str]],
    hardware: Hardware,
) -> tuple[Any, Any]:
    """Return tokenizer and model, on its device, in training mode, before any step.

    Args:
        settings: Those of the stage.
        base: The folder of the base model; None where there is none.
        earlier: A checkpoint to take a tokenizer of one's own from, instead of learning it anew.
        texts: What a tokenizer of one's own is learned from.
        hardware: Where the model goes.
    """
    if base:
        say(f"loading the base model {settings.base_model}")
        tokenizer = load_tokenizer(base)
        model = load_base(base, settings, hardware)
        model = with_adapter(model, settings) if settings.adds else model
    else:
        tokenizer = _own_tokenizer(settings, earlier, texts)
        model = from_scratch(
            settings.shape,
            vocabulary=len(tokenizer),
            seq_len=settings.seq_len,
            end=tokenizer.eos_token_id,
        )
    if settings.gradient_checkpointing != "no":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=CHECKPOINTING)
    if not settings.quantization:
        model.to(hardware.device)
    model.train()
    return tokenizer, model


def _own_tokenizer(
    settings: Settings, earlier: Path | None, texts: Callable[[], Iterable[str]]
) -> Any:  # noqa: ANN401
    if earlier:
        return load_tokenizer(earlier)
    say("learning a tokenizer from the data")
    return train_tokenizer(texts(), settings.shape.vocab)
