"""Puts the model of a stage together: base or random weights, tokenizer, method."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..files import say
from ..settings import Settings
from .checkpointing import use_checkpointing
from .hardware import Hardware
from .loading import load_base, load_tokenizer, pad_with
from .methods import with_method
from .scratch import untaught
from .tokenizing import train_tokenizer
from .vocabulary import Extended, extend, grow

Texts = Callable[[], Iterable[str]]


def assemble(
    settings: Settings,
    *,
    base: Path | None,
    earlier: Path | None,
    texts: Texts,
    hardware: Hardware,
) -> tuple[Any, Any]:
    """Return tokenizer and model, on its device, in training mode, before any step.

    Args:
        settings: Those of the stage.
        base: The folder of the base model; None where there is none.
        earlier: A checkpoint to take a tokenizer of one's own from, instead of learning it anew.
        texts: What a tokenizer of one's own, or new tokens, are learned from.
        hardware: Where the model goes.
    """
    if base:
        tokenizer, model = _on_base(settings, base, earlier, texts, hardware)
    else:
        tokenizer = _own_tokenizer(settings, earlier, texts)
        model = untaught(settings, tokenizer)
    use_checkpointing(model, settings.gradient_checkpointing)
    if not settings.quantization:
        model.to(hardware.device)
    model.train()
    return tokenizer, model


def _on_base(
    settings: Settings, base: Path, earlier: Path | None, texts: Texts, hardware: Hardware
) -> tuple[Any, Any]:
    say(f"loading the base model {settings.base_model}")
    tokenizer = load_tokenizer(base, settings.objective)
    loaded = load_base(base, settings, hardware)
    pad_with(tokenizer, loaded.model)
    first = len(tokenizer)
    if settings.new_tokens:
        extended = _extended(tokenizer, settings, earlier, texts)
        tokenizer = extended.tokenizer
        grow(loaded.model, len(tokenizer), extended.pieces)
    return tokenizer, with_method(loaded, settings, new_tokens=range(first, len(tokenizer)))


def _extended(
    tokenizer: Any,  # noqa: ANN401
    settings: Settings,
    earlier: Path | None,
    texts: Texts,
) -> Extended:
    """Return the base's tokenizer with new tokens; what they begin as is in the checkpoint."""
    if earlier:
        return Extended(load_tokenizer(earlier, settings.objective), {})
    say("learning new tokens from the data")
    return extend(tokenizer, texts, settings.new_tokens)


def _own_tokenizer(settings: Settings, earlier: Path | None, texts: Texts) -> Any:  # noqa: ANN401
    if earlier:
        return load_tokenizer(earlier, settings.objective)
    assert settings.shape is not None  # noqa: S101 - the settings were checked
    say("learning a tokenizer from the data")
    return train_tokenizer(
        texts(), settings.shape.vocab, objective=settings.objective, kind=settings.tokenizer
    )
