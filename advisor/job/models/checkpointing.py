"""Activation checkpointing: what the backward pass works out again instead of keeping it."""

from functools import partial
from typing import Any, Final

import torch
from torch.utils.checkpoint import create_selective_checkpoint_contexts

from ..faults import JobError

# The dear part of a layer: matrix products and attention. What `selective` keeps; the rest of the
# layer (norms, activations, additions) costs little to work out again and much to keep.
KEPT: Final = tuple(
    getattr(torch.ops.aten, name).default
    for name in (
        *("mm", "addmm", "bmm", "baddbmm", "_grouped_mm"),
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_fused_attention_overrideable",
    )
    if hasattr(torch.ops.aten, name)
)


def use_checkpointing(model: Any, choice: str) -> None:  # noqa: ANN401
    """Set `choice`: "no", "selective" (products are kept) or "yes" (a layer's input alone is).

    Raise JobError `usage` for a model that cannot.
    """
    if choice == "no":
        return
    options: dict[str, Any] = {"use_reentrant": False}
    if choice == "selective":
        options["context_fn"] = partial(create_selective_checkpoint_contexts, list(KEPT))
    try:
        model.activation_checkpointing_enable(options)
    except ValueError as error:
        hint = "plan with gradient_checkpointing no"
        raise JobError("usage", str(error), where="plan.json", hint=hint) from None
