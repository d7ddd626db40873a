"""Completes a shape of which only some widths are given; what is left out follows from the rest."""

import math
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from advisor.catalog import Catalog
from advisor.estimation.anatomy import Anatomy, anatomy_by_name, anatomy_of
from advisor.estimation.shape import (
    ENCODER,
    ENCODER_DECODER,
    Shape,
    count_params,
    renamed,
    shape_of_model,
)

HEAD_DIM = 128
# Llama 1 to 3: hidden is about 128 times the number of layers, the MLP makes up two thirds of a
# block. Source: arXiv 2302.13971 Table 2, arXiv 2407.21783 Table 3.
ASPECT = 128
_VOCABULARIES = (128_256, 49_152, 32_000, 16_384, 8_192, 4_096, 1_024)
_TIED_BELOW = 4e9
# The most by which a rounded figure differs from what it stands for: 7 for 6.74.
_ROUNDED = 0.05
_USUAL = {"decoder": "llama", ENCODER: "bert", ENCODER_DECODER: "bart"}


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

    def means(self, params: float) -> bool:
        """Whether the given parameters are `params`, rounded to the digits that are given."""
        if not self.params:
            return True
        decimals = len(f"{self.params / 1e9:.9f}".rstrip("0").partition(".")[2])
        half = 0.5000001 * 10.0 ** (9 - decimals)
        return abs(params - self.params) <= min(half, _ROUNDED * params)


def overridden(base: Shape, given: GivenShape) -> Shape:
    """Return `base` with the given widths in place of its own, its parameters counted anew.

    Given parameters stand, unless they are but the counted ones in fewer digits.
    """
    heads = given.n_heads or base.n_heads
    hidden = given.hidden or base.hidden
    layers = given.n_layers or base.n_layers
    # All heads together keep their proportion to the model's width.
    head_dim = -(-base.q_width * hidden // (base.hidden * heads))
    shape = renamed(
        base,
        n_layers=layers,
        n_decoder_layers=base.n_decoder_layers * layers // base.n_layers,
        hidden=hidden,
        n_heads=heads,
        n_kv_heads=given.n_kv_heads or min(base.n_kv_heads, heads),
        head_dim=head_dim,
        intermediate=given.intermediate or base.intermediate,
        vocab=given.vocab or base.vocab,
    )
    counted = (base.params, base.params_active) if shape == base else count_params(shape)
    return _with_params(shape, given, counted)


def known_shape(
    given: GivenShape, catalog: Catalog, *, name: str, mlm_head: bool = False
) -> Shape | None:
    """Return the shape of the catalogue's model that has the given widths, or None.

    Publications print names and rounded parameters: "Llama-2-7B, 6.74 billion" is the shape of
    meta-llama/Llama-2-7b-hf. Several may fit: that with the nearest number of parameters.
    """
    widths = (given.n_layers, given.hidden, given.n_heads, given.vocab)
    start = name.rpartition("/")[2].lower()
    fitting: list[tuple[bool, float, str]] = []
    for id_ in _by_widths(catalog).get(widths, ()):
        params = catalog.models[id_].params
        other_name = not id_.rpartition("/")[2].lower().startswith(start)
        if given.means(params) or not other_name:
            fitting.append((other_name, abs(params - (given.params or params)), id_))
    if not fitting or (not given.params and len(fitting) > 1):
        return None
    shape = shape_of_model(catalog.models[min(fitting)[2]], mlm_head=mlm_head)
    return overridden(shape._replace(name=name), given)


@cache
def _by_widths(catalog: Catalog) -> dict[tuple[int | None, ...], list[str]]:
    names = ("id", "n_layers", "n_decoder_layers", "hidden", "n_heads", "vocab")
    found: dict[tuple[int | None, ...], list[str]] = {}
    for id_, layers, decoders, *widths in zip(*map(catalog.models.column, names), strict=True):
        found.setdefault((layers + (decoders or 0), *widths), []).append(id_)
    return found


def derived(given: GivenShape, *, name: str | None, kind: str, mlm_head: bool = False) -> Shape:
    """Return a shape that agrees with what is given; `given` must be `enough`.

    Its blocks are those of the family that `name` begins with; else Llama's, BERT's or BART's.
    """
    named = anatomy_by_name(name or "")
    anatomy = named or anatomy_of(_USUAL[kind])
    base = _drafted(given, anatomy)._replace(name=name)
    if named or kind != "decoder":
        base = base._replace(tied=bool(anatomy.tied))
    if base.kind == ENCODER:
        base = base._replace(mlm_head=mlm_head, tied=base.tied or not mlm_head)
    shapes = list(_completed(base, given))
    if given.params and not (given.n_layers and given.hidden):
        # Widths that follow from the parameters cannot make them more exact.
        return _with_params(shapes[-1], given, (given.params, given.params))
    shape = next((one for one in shapes if given.means(count_params(one)[0])), shapes[-1])
    return _with_params(shape, given, count_params(shape))


def _drafted(given: GivenShape, anatomy: Anatomy) -> Shape:
    """Return the shape with what is given and the usual proportions for the rest."""
    hidden = given.hidden or _hidden(given.params or 1.0, given.n_layers)
    layers = given.n_layers or _layers(given.params or 1.0, hidden)
    heads = given.n_heads or max(hidden // HEAD_DIM, 1)
    return Shape(
        name=None,
        kind=anatomy.kind,
        n_layers=layers,
        n_decoder_layers=layers // 2 if anatomy.kind == ENCODER_DECODER else 0,
        hidden=hidden,
        n_heads=heads,
        n_kv_heads=min(given.n_kv_heads or anatomy.kv_heads or heads, heads),
        head_dim=max(hidden // heads, 1),
        intermediate=given.intermediate or _intermediate(hidden, gated=bool(anatomy.gated)),
        vocab=given.vocab or _vocabulary(given.params, hidden),
        params=given.params or 0.0,
        params_active=given.params_active or given.params or 0.0,
        gated=bool(anatomy.gated),
        tied=(given.params or hidden * hidden * 12 * layers) < _TIED_BELOW,
        anatomy=anatomy,
    )


def _completed(shape: Shape, given: GivenShape) -> Iterator[Shape]:
    """Yield the shapes that may be meant, the likeliest first, the one to fall back on last."""
    yield shape
    if given.params and shape.kind == "decoder":
        yield shape._replace(tied=not shape.tied)
    if given.params and shape.gated and not (given.intermediate or given.params_active):
        one_column = 3 * shape.hidden * shape.n_layers
        missing = given.params - count_params(shape)[0]
        width = shape.intermediate + round(missing / one_column)
        if width >= shape.hidden:
            yield shape._replace(intermediate=round(width / 128) * 128)
            yield shape._replace(intermediate=width)
            return
    yield shape


def _with_params(shape: Shape, given: GivenShape, counted: tuple[float, float]) -> Shape:
    """Return `shape` with its parameters: counted, or as given where both disagree."""
    total, active = counted
    if given.params and not given.means(total):
        total = given.params
        active = given.params_active or (min(active, total) if shape.n_experts > 1 else total)
    elif shape.n_experts == 1:
        active = given.params_active or total
    return shape._replace(params=total, params_active=min(active, total))


def _intermediate(hidden: int, *, gated: bool) -> int:
    """Return the usual width of the MLP.

    Ungated four times the model's width (arXiv 1706.03762); gated as many parameters as that, in
    multiples of 256 (arXiv 2302.13971, section 2.2, and its reference code).
    """
    if not gated:
        return 4 * hidden
    multiple = 256 if hidden >= 1024 else 64  # noqa: PLR2004 - small models round finer
    return math.ceil(hidden * 8 / 3 / multiple) * multiple


def _hidden(params: float, layers: int | None) -> int:
    block = params / 12
    width = math.sqrt(block / layers) if layers else math.cbrt(block * ASPECT)
    return max(round(width / 64), 1) * 64


def _layers(params: float, hidden: int) -> int:
    return max(round(params / (12 * hidden * hidden)), 1)


def _vocabulary(params: float | None, hidden: int) -> int:
    limit = 0.3 * params if params else float("inf")
    return next((size for size in _VOCABULARIES if size * hidden <= limit), _VOCABULARIES[-1])
