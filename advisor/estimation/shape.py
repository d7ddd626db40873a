"""The shape of a model: its widths, and how many parameters each part holds."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from advisor.catalog import Model, PretrainingShape
from advisor.estimation.anatomy import LLAMA, Anatomy, anatomy_of

ENCODER_DECODER = "encoder-decoder"
ENCODER = "encoder"
STATE_SPACE = "ssm"
TABLES = frozenset({"embeddings", "lm_head"})
ALL_LINEAR = ("q", "k", "v", "o", "gate", "up", "down")


class Linear(NamedTuple):
    """One kind of linear layer: its widths, how many copies, how many of them a token uses."""

    name: str
    inputs: int
    outputs: int
    copies: int
    active: int
    bias: int = 0

    @property
    def size(self) -> int:
        """Parameters of one layer."""
        return (self.inputs + self.bias) * self.outputs


class Shape(NamedTuple):
    """One model: widths in elements, `params` in parameters, exact where the source counts them.

    `n_layers` counts every block; `n_decoder_layers` those of them that also attend to an encoder.
    A mixture of experts runs `top_k` of `n_experts` MLPs a token; a dense model has 1 of 1. Where
    its first blocks are dense, their MLP is `dense_intermediate` wide. An encoder ends in its MLM
    head (`mlm_head`) or, where its family has one, in its pooler.
    """

    name: str | None
    kind: str
    n_layers: int
    hidden: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    params: float
    params_active: float
    gated: bool = True
    tied: bool = False
    n_decoder_layers: int = 0
    n_experts: int = 1
    top_k: int = 1
    max_context: int | None = None
    anatomy: Anatomy = LLAMA
    dense_intermediate: int = 0
    mlm_head: bool = False

    @property
    def q_width(self) -> int:
        """Width of the queries of all heads."""
        return self.n_heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Width of the keys (or values) of all heads."""
        return self.n_kv_heads * self.head_dim

    @property
    def active_intermediate(self) -> int:
        """Width of the MLPs that one token runs through."""
        return self.intermediate * self.top_k

    @property
    def embedding_width(self) -> int:
        """Width of the vocabulary tables."""
        return self.anatomy.embedding_width or self.hidden

    @property
    def outer_width(self) -> int:
        """Width outside of the blocks: encoders widen to `hidden` last, decoders first."""
        return self.embedding_width if self.kind == ENCODER else self.hidden

    @property
    def table_params(self) -> float:
        """Parameters of one vocabulary table."""
        return float(self.vocab * self.embedding_width)

    @property
    def embedding_params(self) -> float:
        """Parameters of the embedding and, where it is its own table, of the output head."""
        return self.table_params * (1 if self.tied else 2)

    @property
    def block_params(self) -> float:
        """Parameters of all blocks: what quantization shrinks and sharding gathers by layer."""
        return max(self.params - self.embedding_params, 0.0)

    @property
    def active_block_params(self) -> float:
        """Parameters of the blocks that one token runs through."""
        return max(self.params_active - self.embedding_params, 0.0)

    @property
    def attentions(self) -> int:
        """Attention modules: decoder blocks of an encoder-decoder have two."""
        return 0 if self.kind == STATE_SPACE else self.n_layers + self.n_decoder_layers

    def linears(self) -> Iterator[Linear]:
        """Yield every kind of linear layer but the tables; a name may come more than once."""
        yield from _state_space(self) if self.kind == STATE_SPACE else _attention(self)
        if self.kind != STATE_SPACE:
            yield from _mlps(self)
        yield from _outer(self)

    def linear_widths(self) -> dict[str, tuple[int, int, int]]:
        """Return (inputs, outputs, how many there are) of the main linear layer of each name."""
        widths: dict[str, tuple[int, int, int]] = {}
        for linear in self.linears():
            widths.setdefault(linear.name, linear[1:4])
        return widths


def _blocks(shape: Shape) -> int:
    """Return how many blocks have parameters of their own."""
    return 1 if shape.anatomy.shared_blocks else shape.n_layers


def _attention(shape: Shape) -> Iterator[Linear]:
    anatomy, hidden = shape.anatomy, shape.hidden
    n = 1 if anatomy.shared_blocks else shape.attentions
    if anatomy.kv_rank:
        yield from _latent_attention(shape)
        return
    yield Linear("q", hidden, shape.q_width, n, n, anatomy.qkv_bias)
    yield Linear("k", hidden, shape.kv_width, n, n, anatomy.qkv_bias)
    yield Linear("v", hidden, shape.kv_width, n, n, anatomy.qkv_bias)
    yield Linear("o", shape.q_width, hidden, n, n, anatomy.out_bias)


def _latent_attention(shape: Shape) -> Iterator[Linear]:
    """Yield the layers of MLA: k compresses keys and values, v expands both for all heads.

    Source: DeepSeek-V2, arXiv 2405.04434, section 2.1.
    """
    anatomy, hidden, n = shape.anatomy, shape.hidden, shape.attentions
    expanded = shape.n_heads * (shape.head_dim - anatomy.rope_dim + anatomy.value_dim)
    yield Linear("q", anatomy.q_rank or hidden, shape.q_width, n, n)
    if anatomy.q_rank:
        yield Linear("q", hidden, anatomy.q_rank, n, n, anatomy.qkv_bias)
    yield Linear("k", hidden, anatomy.kv_rank + anatomy.rope_dim, n, n, anatomy.qkv_bias)
    yield Linear("v", anatomy.kv_rank, expanded, n, n)
    yield Linear("o", shape.n_heads * anatomy.value_dim, hidden, n, n, anatomy.out_bias)


def _mlps(shape: Shape) -> Iterator[Linear]:
    anatomy, hidden = shape.anatomy, shape.hidden
    dense = min(anatomy.dense_layers, shape.n_layers) if shape.n_experts > 1 else 0
    n = _blocks(shape) - dense
    yield from _mlp(shape, shape.intermediate, n * shape.n_experts, n * shape.top_k)
    if shape.n_experts > 1:
        yield Linear("router", hidden, shape.n_experts, n, n, anatomy.mlp_bias)
        yield Linear("shared_gate", hidden, anatomy.shared_gate, n, n)
        yield from _mlp(shape, anatomy.shared_intermediate, n, n)
        yield from _mlp(shape, shape.dense_intermediate, dense, dense)


def _mlp(shape: Shape, width: int, copies: int, active: int) -> Iterator[Linear]:
    bias = shape.anatomy.mlp_bias
    if not width * copies:
        return
    if shape.gated:
        yield Linear("gate", shape.hidden, width, copies, active, bias)
    yield Linear("up", shape.hidden, width, copies, active, bias)
    yield Linear("down", width, shape.hidden, copies, active, bias)


def _state_space(shape: Shape) -> Iterator[Linear]:
    """Yield the layers of a Mamba block. Source: arXiv 2312.00752, figure 3 and section 3.6."""
    n, inner = shape.n_layers, shape.intermediate
    rank = -(-shape.hidden // 16)
    yield Linear("up", shape.hidden, 2 * inner, n, n)
    yield Linear("x", inner, rank + 2 * shape.anatomy.state_size, n, n)
    yield Linear("dt", rank, inner, n, n, 1)
    yield Linear("down", inner, shape.hidden, n, n)


def _outer(shape: Shape) -> Iterator[Linear]:
    """Yield the layers around the blocks."""
    anatomy, hidden, table = shape.anatomy, shape.hidden, shape.embedding_width
    if table != hidden:
        n = anatomy.projections
        yield Linear("projection", table, hidden, n, n, anatomy.projection_bias)
    if anatomy.head_transform and shape.mlm_head:
        yield Linear("transform", hidden, table, 1, 1, anatomy.transform_bias)
    if anatomy.pooler and not shape.mlm_head:
        yield Linear("pooler", hidden, hidden, 1, 1, 1)


def lora_params(shape: Shape, rank: int, targets: Iterable[str]) -> float:
    """Return the parameters of LoRA adapters: rank x (inputs + outputs) for each target matrix.

    The vocabulary tables are trained whole where they are targets (`modules_to_save` in peft).
    Source: Hu et al. 2021, LoRA (arXiv 2106.09685), section 4.1.
    """
    names = set(targets)
    small = sum(
        rank * (linear.inputs + linear.outputs) * linear.copies
        for linear in shape.linears()
        if linear.name in names
    )
    return small + shape.table_params * len(names & TABLES)


def count_params(shape: Shape) -> tuple[float, float]:
    """Return the (total, active) parameters that the widths and the anatomy of `shape` amount to.

    Exact for the families of profiles/anatomy.csv.
    """
    linears = tuple(shape.linears())
    rest = shape.embedding_params + _vectors(shape) + _extra(shape)
    return (
        rest + sum(linear.size * linear.copies for linear in linears),
        rest + sum(linear.size * linear.active for linear in linears),
    )


def _extra(shape: Shape) -> int:
    """Return the parameters of what feeds the text model, such as a vision tower."""
    return shape.anatomy.extra_params + shape.anatomy.extra_width * shape.hidden


def _vectors(shape: Shape) -> int:
    """Return the parameters outside of linear layers and vocabulary tables."""
    anatomy = shape.anatomy
    in_blocks = _scalars(shape) + shape.n_heads * anatomy.sinks + anatomy.scalars
    return (
        _norms(shape)
        + _positions(shape)
        + _blocks(shape) * in_blocks
        + shape.n_heads * anatomy.head_rows
        + shape.vocab * anatomy.head_bias * (shape.kind != ENCODER or shape.mlm_head)
    )


def _scalars(shape: Shape) -> int:
    """Return the parameters of one state-space block outside of its linear layers."""
    if shape.kind != STATE_SPACE:
        return 0
    # A convolution with its bias, the diagonal of the state matrix, and the skip connection.
    return shape.intermediate * (shape.anatomy.conv_width + 1 + shape.anatomy.state_size + 1)


def _norms(shape: Shape) -> int:
    anatomy, one = shape.anatomy, 1 + shape.anatomy.norm_bias
    latent = anatomy.q_rank + anatomy.kv_rank
    heads = 2 * shape.head_dim * anatomy.qk_head_norm
    heads += (shape.q_width + shape.kv_width) * anatomy.qk_width_norm
    in_blocks = anatomy.norms * _blocks(shape) + shape.n_decoder_layers
    outer = anatomy.outer_norms + anatomy.head_transform * shape.mlm_head
    widths = in_blocks * shape.hidden + outer * shape.outer_width
    return one * widths + (latent + heads) * shape.attentions


def _positions(shape: Shape) -> int:
    anatomy = shape.anatomy
    rows = (shape.max_context or 0) + anatomy.position_offset
    return (anatomy.position_tables * rows + anatomy.fixed_rows) * shape.outer_width


def shape_of_model(model: Model, *, mlm_head: bool = False) -> Shape:
    """Return the shape of a catalogue model; its parameter counts are the catalogue's.

    An encoder is its backbone, or with `mlm_head` what masked words are learned with.
    """
    decoders = model.n_decoder_layers or 0
    anatomy = anatomy_of(model.id, model.variant_of, model.family, model.model_type)
    with_head = model.params_with_mlm_head if mlm_head else None
    return Shape(
        name=model.id,
        kind=model.kind,
        n_layers=model.n_layers + decoders,
        n_decoder_layers=decoders,
        hidden=model.hidden,
        n_heads=max(model.n_heads, 1),
        n_kv_heads=max(model.n_kv_heads, 1),
        head_dim=model.head_dim or model.hidden,
        intermediate=model.moe_intermediate or model.intermediate,
        vocab=model.vocab,
        params=float(with_head or model.params),
        params_active=float(with_head or model.params_active),
        gated=bool(anatomy.gated),
        tied=model.tied or (model.kind == ENCODER and not with_head),
        n_experts=model.n_experts or 1,
        top_k=model.top_k or 1,
        max_context=model.max_context,
        anatomy=anatomy,
        dense_intermediate=model.intermediate if model.moe_intermediate else 0,
        mlm_head=bool(with_head),
    )


def shape_for_pretraining(row: PretrainingShape) -> Shape:
    """Return the shape of a catalogue row for pretraining: Llama-style, exact."""
    return Shape(
        name=row.id,
        kind="decoder",
        n_layers=row.n_layers,
        hidden=row.hidden,
        n_heads=row.n_heads,
        n_kv_heads=row.n_kv_heads,
        head_dim=row.head_dim,
        intermediate=row.intermediate,
        vocab=row.vocab,
        params=float(row.params),
        params_active=float(row.params),
        tied=row.tied,
        max_context=row.max_context,
    )


def renamed(shape: Shape, **changes: object) -> Shape:
    """Return `shape` with some fields changed."""
    return shape._replace(**changes)  # type: ignore[arg-type]
