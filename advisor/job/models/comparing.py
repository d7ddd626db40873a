"""The base as it was before training, to compare with what training made of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.utils import AuxiliaryTrainingWrapper

from ..settings import Settings
from .hardware import Hardware
from .loading import load_base, load_tokenizer, pad_with
from .scratch import untaught


@contextmanager
def untrained(
    settings: Settings,
    tokenizer: Any,  # noqa: ANN401
    model: Any,  # noqa: ANN401
    *,
    base: Path | None,
    hardware: Hardware,
) -> Iterator[tuple[Any, Any]]:
    """Give tokenizer and model as they were before the first step; `model` itself comes back whole.

    Where an adapter was trained it is set aside. Where the weights themselves were trained the base
    is loaded again, or the same random weights are made again; meanwhile the trained model waits in
    main memory. With new tokens the base has its own tokenizer: rows are to be encoded with it.

    Args:
        settings: Those of the stage.
        tokenizer: That of the stage.
        model: The trained model, not wrapped for several processes.
        base: The folder of the base; None for a model from scratch.
        hardware: Where the model is.
    """
    if isinstance(model, PeftModel) and not settings.new_tokens:
        with _without_adapter(model) as plain:
            yield tokenizer, plain
        return
    with _aside(model, hardware):
        if base is None:
            yield tokenizer, _again(lambda: untaught(settings, tokenizer), settings, hardware)
            return
        own = load_tokenizer(base, settings.objective) if settings.new_tokens else tokenizer
        loaded = _again(lambda: load_base(base, settings, hardware).model, settings, hardware)
        pad_with(own, loaded)
        yield own, loaded


@contextmanager
def _without_adapter(model: Any) -> Iterator[Any]:  # noqa: ANN401
    was_training = model.training
    model.eval()
    try:
        if not model.active_peft_config.is_prompt_learning:
            with model.disable_adapter():
                yield model
            return
        # The base itself, as nothing inside it was changed, but for the head.
        heads = [one for one in model.modules() if isinstance(one, AuxiliaryTrainingWrapper)]
        try:
            for head in heads:
                head.enable_adapters(enabled=False)
            yield model.get_base_model()
        finally:
            for head in heads:
                head.enable_adapters(enabled=True)
    finally:
        model.train(was_training)


@contextmanager
def _aside(model: Any, hardware: Hardware) -> Iterator[None]:  # noqa: ANN401
    """Keep the model in main memory for a while, that another has its place."""
    moves = hardware.device != "cpu" and not getattr(model, "is_quantized", False)
    if moves:
        model.to("cpu")
        torch.cuda.empty_cache()
    try:
        yield
    finally:
        if moves:
            model.to(hardware.device)


def _again(make: Callable[[], Any], settings: Settings, hardware: Hardware) -> Any:  # noqa: ANN401
    """Return what `make` gives under the seed that the stage began with; no other draw changes."""
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        made = make()
    made = made if settings.quantization else made.to(hardware.device)
    return made.eval()
