"""Bottleneck adapters (Houlsby et al., arXiv 1902.00751), as a method of peft.

A small network behind the attention and another behind the feed-forward part of each layer: to a
narrow width, through a nonlinearity and back, added to what went in. It begins as the identity.

Importing this module registers the method; then peft makes, saves and loads it like its own.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import torch
from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils import PeftType, register_peft_method
from torch import nn

NAME: Final = "bottleneck"


def _peft_type() -> PeftType:
    """Return this method's entry in peft's list of methods, which has no door for others."""
    key = NAME.upper()
    if key not in PeftType.__members__:
        member = str.__new__(PeftType, key)
        member._name_ = member._value_ = key
        type.__setattr__(PeftType, key, member)
        PeftType._member_names_.append(key)
        PeftType._member_map_[key] = PeftType._value2member_map_[key] = member
    return PeftType[key]


PEFT_TYPE: Final = _peft_type()


@dataclass
class BottleneckConfig(PeftConfig):
    """The adapters: how wide, and behind which linear layers."""

    width: int = field(default=64, metadata={"help": "values between the two matrices"})
    target_modules: list[str] | str | None = field(
        default=None, metadata={"help": "the layers to follow: names, or one expression"}
    )
    modules_to_save: list[str] | None = field(
        default=None, metadata={"help": "modules that train in full and are saved, as a head"}
    )

    def __post_init__(self) -> None:
        """Say which method of peft this is."""
        super().__post_init__()
        self.peft_type = PEFT_TYPE


class BottleneckLayer(nn.Module, BaseTunerLayer):
    """A linear layer with an adapter behind it."""

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")

    def __init__(self, base_layer: nn.Module, adapter_name: str, width: int) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.bottleneck_down = nn.ModuleDict()
        self.bottleneck_up = nn.ModuleDict()
        self.merged_adapters: list[str] = []
        self.update_layer(adapter_name, width)

    def update_layer(self, adapter_name: str, width: int) -> None:
        """Add an adapter that leaves everything as it is until it is trained."""
        size = _outputs(self.get_base_layer())
        down, up = nn.Linear(size, width), nn.Linear(width, size)
        for zero in (down.bias, up.weight, up.bias):
            nn.init.zeros_(zero)
        self.bottleneck_down[adapter_name], self.bottleneck_up[adapter_name] = down, up
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters)

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ANN401
        """Return what the layer gives, through the adapter."""
        result = self.base_layer(x, *args, **kwargs)
        for name in () if self.disable_adapters else self.active_adapters:
            if name in self.bottleneck_down:
                down, up = self.bottleneck_down[name], self.bottleneck_up[name]
                narrow = nn.functional.gelu(down(self._cast_input_dtype(result, down.weight.dtype)))
                result = result + up(narrow).to(result.dtype)
        return result

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:  # noqa: ARG002, FBT001, FBT002 - peft calls it so
        """Refuse: there is a nonlinearity in between."""
        message = "bottleneck adapters cannot be merged into the weights"
        raise ValueError(message)


def _outputs(layer: Any) -> int:  # noqa: ANN401
    """Return how many values a linear layer gives; Conv1D calls them `nf`."""
    return int(layer.out_features if hasattr(layer, "out_features") else layer.nf)


class BottleneckModel(BaseTuner):
    """Puts the adapters into a model."""

    prefix = f"{NAME}_"
    tuner_layer_cls = BottleneckLayer
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012 - as peft declares it

    def _create_and_replace(
        self,
        peft_config: BottleneckConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        **_: Any,  # noqa: ANN401
    ) -> None:
        if isinstance(target, BottleneckLayer):
            target.update_layer(adapter_name, peft_config.width)
        else:
            layer = BottleneckLayer(target, adapter_name, peft_config.width)
            self._replace_module(parent, target_name, layer, target)


register_peft_method(name=NAME, config_cls=BottleneckConfig, model_cls=BottleneckModel)
