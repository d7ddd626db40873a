"""What a GPU's operators keep, where those of a CPU keep something else.

Fake tensors of a PyTorch without CUDA must say that they lie on the CPU, and PyTorch would take
the CPU's operators. Attention, dropout and autocast keep other tensors there than on a GPU.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

# What CUDA's autocast runs in fp32 and the CPU's does not, as far as models use it.
# Source: PyTorch 2.13, aten/src/ATen/autocast_mode.h, AT_FORALL_FP32.
IN_FP32: Final = frozenset(
    {
        *("pow", "__pow__", "__rpow__", "exp", "log", "log1p", "expm1", "rsqrt", "reciprocal"),
        *("softmax", "log_softmax", "layer_norm", "group_norm", "norm", "softplus", "sum", "prod"),
        *("cumsum", "cumprod", "cross_entropy", "nll_loss", "binary_cross_entropy_with_logits"),
    }
)


class GpuKernels(TorchFunctionMode):
    """Makes attention, dropout and autocast keep what they keep on a GPU."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run `func`, or what a GPU would run in its place."""
        options = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            return _attention(*args, **options)
        if func is functional.dropout:
            return _dropout(*args, **options)
        if getattr(func, "__name__", "") in IN_FP32 and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                wide = {name: _in_fp32(value) for name, value in options.items()}
                return func(*map(_in_fp32, args), **wide)
        return func(*args, **options)


def _in_fp32(value: Any) -> Any:  # noqa: ANN401 - any argument of any operator
    half = isinstance(value, torch.Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if half else value


def _dropout(
    input: torch.Tensor,  # noqa: A002 - PyTorch's names, here and below
    p: float = 0.5,
    training: bool = True,  # noqa: FBT001, FBT002
    inplace: bool = False,  # noqa: ARG001, FBT001, FBT002
) -> torch.Tensor:
    """Keep a mask of one byte an element, as CUDA does; the CPU keeps factors of full width."""
    return torch.native_dropout(input, p, train=True)[0] if training and p else input


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    **_: Any,  # noqa: ANN401 - nothing else changes what is kept
) -> torch.Tensor:
    """Return a tensor of the attention's shape, keeping what a fused kernel keeps."""
    inputs: list[torch.Tensor | None] = [query, key, value, attn_mask]
    if torch.is_autocast_enabled("cpu"):
        half = torch.get_autocast_dtype("cpu")
        inputs = [x.to(half) if x is not None and x.is_floating_point() else x for x in inputs]
    with torch.autocast("cpu", enabled=False):
        result: torch.Tensor = _Fused.apply(*inputs)  # type: ignore[no-untyped-call]
        return result


class _Fused(torch.autograd.Function):
    """A flash or, with a mask, memory-efficient kernel: all but its arithmetic.

    It keeps inputs, output and a row of fp32 statistics. Source: PyTorch 2.13, derivatives.yaml,
    _scaled_dot_product_flash_attention and _scaled_dot_product_efficient_attention.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        batch, heads, length, _ = query.shape
        if mask is not None and mask.dtype is torch.bool:
            # The kernel adds its mask, so truth values are turned into numbers.
            mask = mask.to(query.dtype)
        # Written token by token, as the product that follows reads it.
        out = query.new_zeros(batch, length, heads, value.shape[-1]).transpose(1, 2)
        statistics = query.new_zeros(batch, heads, length, dtype=torch.float32)
        ctx.save_for_backward(query, key, value, mask, out, statistics)
        return out

    @staticmethod
    def backward(
        ctx: Any,  # noqa: ANN401
        gradient: torch.Tensor,  # noqa: ARG004 - what comes of it does not matter here
    ) -> tuple[torch.Tensor | None, ...]:
        query, key, value, mask, _, statistics = ctx.saved_tensors
        scratch = torch.zeros_like(statistics)
        grouped = query.shape[1] // key.shape[1]
        found = [torch.zeros_like(query)]
        for one in (key, value):
            # Where heads share keys, the kernel writes a gradient for each, summed afterwards.
            shape = (key.shape[0], key.shape[1], grouped, *one.shape[2:])
            found.append(one.new_zeros(shape).sum(2) if grouped > 1 else torch.zeros_like(one))
        bias = None
        if ctx.needs_input_grad[3]:
            bias = mask.new_zeros(*query.shape[:3], key.shape[2]).sum_to_size(mask.shape)
        del scratch
        return (*found, bias)
