"""Saves a model as safetensors; makes one model of a base and what was trained beside it."""

from pathlib import Path
from typing import Any, Final

from peft import PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.utils import PeftType
from safetensors.torch import load_file, save_file

from ..faults import JobError

MERGEABLE: Final = ("LORA", "IA3")
NETWORK: Final = "prompt_network.safetensors"


def save_model(model: Any, target: Path, state_dict: Any = None) -> None:  # noqa: ANN401
    """Save the weights as safetensors, the adapter's alone where there is one."""
    # New rows of the embeddings are saved by themselves; what `auto` would do is to ask the hub.
    options = {"save_embedding_layers": False} if isinstance(model, PeftModel) else {}
    model.save_pretrained(str(target), state_dict=state_dict, **options)


def check_mergeable(model: Any) -> None:  # noqa: ANN401
    """Raise JobError `usage` where what was trained is no change of the base's weights."""
    kind = model.active_peft_config.peft_type.value if isinstance(model, PeftModel) else "LORA"
    if kind not in MERGEABLE:
        what = f"{kind.lower()} cannot be merged: it is no change of the base's weights"
        hint = "plan with merge false; the adapter is loaded beside its base"
        raise JobError("usage", what, where="merge in plan.json", hint=hint)


def merged(model: Any) -> Any:  # noqa: ANN401
    """Return the base with the adapter in its weights; `model` itself is used up.

    A base of 4 bits gets its full width back first: what is merged is not rounded again.
    Raise JobError `usage` for methods that cannot be merged.
    """
    check_mergeable(model)
    if not isinstance(model, PeftModel):
        return model
    if not getattr(model.get_base_model(), "is_loaded_in_4bit", False):
        return model.merge_and_unload()
    width, whole = model.config.dtype, _dequantized(model).merge_and_unload()
    for parameter in whole.parameters():
        parameter.data = parameter.data.to(width)
    return whole


def _dequantized(model: Any) -> Any:  # noqa: ANN401
    """Return the model on weights of full width, which are those that it was trained beside."""
    config = model.active_peft_config
    trained = get_peft_model_state_dict(model, save_embedding_layers=False)
    again = get_peft_model(model.unload().dequantize(), config)
    set_peft_model_state_dict(again, trained)
    return again


def save_network(model: Any, target: Path) -> None:  # noqa: ANN401
    """Save the network that makes p-tuning's embeddings; to train on takes it, to use them not."""
    if network := _network(model):
        save_file(network.state_dict(), target / NETWORK)


def load_network(model: Any, folder: Path) -> None:  # noqa: ANN401
    """Put back what `save_network` left, over what peft has put in its place."""
    if network := _network(model):
        network.load_state_dict(load_file(folder / NETWORK))


def _network(model: Any) -> Any:  # noqa: ANN401
    if isinstance(model, PeftModel) and model.peft_type == PeftType.P_TUNING:
        return model.prompt_encoder[model.active_adapter]
    return None
