"""A stand-in for 4-bit matrices: what bitsandbytes holds and keeps, without its kernels.

Source: bitsandbytes, Linear4bit and autograd/_functions.py, MatMul4Bit: the matrix is unpacked to
16 bit for each product and forgotten; for the backward pass only the packed one is kept.
"""

from typing import Any, Final

import torch
from torch import nn

# A scale for each block of 64 weights: in fp32; or in 8 bit, with an fp32 scale for 256 of those.
BLOCK: Final = 64
SCALE_BYTES: Final = {"nf4": 4.0, "nf4_dq": 1.0 + 4.0 / 256}
COMPUTE: Final = torch.bfloat16


class PackedLinear(nn.Linear):
    """A frozen linear layer with two weights to a byte; for peft it is one as any other."""

    def __init__(self, linear: nn.Linear, quantization: str) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        blocks = linear.weight.numel() // BLOCK
        packed = linear.weight.new_empty(linear.weight.numel() // 2, dtype=torch.uint8)
        scales = packed.new_empty(round(blocks * SCALE_BYTES[quantization]))
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.register_buffer("scales", scales)
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the product, made in 16 bit, in the type that came in."""
        shape = (self.out_features, self.in_features)
        made: torch.Tensor = _Product.apply(x.to(COMPUTE), self.weight, shape)  # type: ignore[no-untyped-call]
        made = made if self.bias is None else made + self.bias.to(COMPUTE)
        return made.to(x.dtype)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: torch.Tensor,
        packed: torch.Tensor,
        shape: tuple[int, int],
    ) -> torch.Tensor:
        ctx.shape = shape
        ctx.save_for_backward(packed)
        return nn.functional.linear(x, x.new_zeros(shape))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:  # noqa: ANN401
        return gradient @ gradient.new_zeros(ctx.shape), None, None


def packed(model: Any, quantization: str) -> Any:  # noqa: ANN401
    """Pack every linear layer but the head, and lift all else to fp32, as peft prepares a model."""
    head = model.get_output_embeddings()
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Linear and child is not head:
                setattr(module, name, PackedLinear(child, quantization))
    lifted: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, one in module.named_parameters(recurse=False):
            if one.is_floating_point():
                wide = lifted.setdefault(id(one), nn.Parameter(one.float(), requires_grad=False))
                module.register_parameter(name, wide)
    return model
