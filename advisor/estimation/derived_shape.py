"""Completes a shape of which only some widths are given; what is left out follows from the rest."""

import math
from typing import NamedTuple

from advisor.estimation.shape import (
    ENCODER,
    ENCODER_DECODER,
    Shape,
    count_params,
    renamed,
)

HEAD_DIM = 128
# Llama 1 to 3: hidden is about 128 times the number of layers, the MLP makes up two thirds of a
# block. Source: arXiv 2302.13971 Table 2, arXiv 2407.21783 Table 3.
ASPECT = 128
_VOCABULARIES = (128_256, 49_152, 32_000, 16_384, 8_192, 4_096, 1_024)
_TIED_BELOW = 4e9


class GivenShape(NamedTuple):
    """What a request says about the shape; None where it says nothing."""

    params: float | None = None
    params_active: float | None = None
    n_layers: int | None = None
    hidden: int | None = None
    n_heads: int | None = None
    n_kv_heads: int | None = None
    intermediate: int | None = None
    vocab: int | None = None

    @property
    def enough(self) -> bool:
        """Whether the rest can be derived: the parameters, or layers and width."""
        return bool(self.params or (self.n_layers and self.hidden))


def overridden(base: Shape, given: GivenShape) -> Shape:
    """Return `base` with the given widths in place of its own, its parameters counted anew."""
    heads = given.n_heads or base.n_heads
    hidden = given.hidden or base.hidden
    same_width = hidden == base.hidden and heads == base.n_heads
    shape = renamed(
        base,
        n_layers=given.n_layers or base.n_layers,
        hidden=hidden,
        n_heads=heads,
        n_kv_heads=given.n_kv_heads or min(base.n_kv_heads, heads),
        head_dim=base.head_dim if same_width else max(hidden // heads, 1),
        intermediate=given.intermediate or base.intermediate,
        vocab=given.vocab or base.vocab,
    )
    if shape == base:
        total, active = base.params, base.params_active
    else:
        total, active = count_params(shape)
    total = given.params or total
    active = min(active, total) if shape.n_experts > 1 else total
    return renamed(shape, params=total, params_active=given.params_active or active)


def derived(given: GivenShape, *, name: str | None, kind: str) -> Shape:
    """Return a Llama-style shape that agrees with what is given; `given` must be `enough`."""
    hidden = given.hidden or _hidden(given.params or 1.0, given.n_layers)
    layers = given.n_layers or _layers(given.params or 1.0, hidden)
    heads = given.n_heads or max(hidden // HEAD_DIM, 1)
    vocab = given.vocab or _vocabulary(given.params, hidden)
    tied = kind == ENCODER or (given.params or hidden * hidden * 12 * layers) < _TIED_BELOW
    shape = Shape(
        name=name,
        kind=kind,
        n_layers=layers,
        n_decoder_layers=layers // 2 if kind == ENCODER_DECODER else 0,
        hidden=hidden,
        n_heads=heads,
        n_kv_heads=min(given.n_kv_heads or heads, heads),
        head_dim=max(hidden // heads, 1),
        intermediate=given.intermediate or round(hidden * 8 / 3),
        vocab=vocab,
        params=given.params or 0.0,
        params_active=given.params_active or given.params or 0.0,
        tied=tied,
    )
    return _fitted(shape, given)


def _fitted(shape: Shape, given: GivenShape) -> Shape:
    """Give the MLP the width that makes up the given parameters; count where none are given."""
    if not given.params:
        total, active = count_params(shape)
        return renamed(shape, params=total, params_active=given.params_active or active)
    if given.intermediate or given.params_active:
        return shape
    attention = 2 * shape.hidden * (shape.q_width + shape.kv_width)
    per_block = shape.block_params / shape.n_layers
    each = attention * shape.attentions / shape.n_layers
    width = round((per_block - each) / (3 * shape.hidden))
    return renamed(shape, intermediate=width) if width >= shape.hidden else shape


def _hidden(params: float, layers: int | None) -> int:
    block = params / 12
    width = math.sqrt(block / layers) if layers else math.cbrt(block * ASPECT)
    return max(round(width / 64), 1) * 64


def _layers(params: float, hidden: int) -> int:
    return max(round(params / (12 * hidden * hidden)), 1)


def _vocabulary(params: float | None, hidden: int) -> int:
    limit = 0.3 * params if params else float("inf")
    return next((size for size in _VOCABULARIES if size * hidden <= limit), _VOCABULARIES[-1])
