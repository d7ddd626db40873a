"""The shape of a model: its widths, and how many parameters each part holds."""

from collections.abc import Iterable
from typing import NamedTuple

from advisor.catalog import Model, PretrainingShape
from advisor.estimation.anatomy import LLAMA, Anatomy, anatomy_of

ENCODER_DECODER = "encoder-decoder"
ENCODER = "encoder"
TABLES = frozenset({"embeddings", "lm_head"})
ALL_LINEAR = ("q", "k", "v", "o", "gate", "up", "down")


class Shape(NamedTuple):
    """One model: widths in elements, `params` in parameters, exact where the source counts them.

    `n_layers` counts every block; `n_decoder_layers` those of them that also attend to an encoder.
    A mixture of experts runs `top_k` of `n_experts` MLPs a token; a dense model has 1 of 1.
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
    def table_params(self) -> float:
        """Parameters of one vocabulary table."""
        return float(self.vocab * self.hidden)

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
        return self.n_layers + self.n_decoder_layers

    def linear_widths(self) -> dict[str, tuple[int, int, int]]:
        """Return (inputs, outputs, how many there are) of each kind of linear layer."""
        mlps = self.n_layers * self.n_experts
        gate = {"gate": (self.hidden, self.intermediate, mlps)} if self.gated else {}
        return {
            "q": (self.hidden, self.q_width, self.attentions),
            "k": (self.hidden, self.kv_width, self.attentions),
            "v": (self.hidden, self.kv_width, self.attentions),
            "o": (self.q_width, self.hidden, self.attentions),
            **gate,
            "up": (self.hidden, self.intermediate, mlps),
            "down": (self.intermediate, self.hidden, mlps),
        }


def lora_params(shape: Shape, rank: int, targets: Iterable[str]) -> float:
    """Return the parameters of LoRA adapters: rank x (inputs + outputs) for each target matrix.

    The vocabulary tables are trained whole where they are targets (`modules_to_save` in peft).
    Source: Hu et al. 2021, LoRA (arXiv 2106.09685), section 4.1.
    """
    widths = shape.linear_widths()
    names = set(targets)
    small = sum(
        rank * (inputs + outputs) * count
        for inputs, outputs, count in (widths[name] for name in names if name in widths)
    )
    return small + shape.table_params * len(names & TABLES)


def count_params(shape: Shape, anatomy: Anatomy = LLAMA) -> tuple[float, float]:
    """Return the (total, active) parameters that the widths of `shape` amount to.

    Exact for the families of `ANATOMY`; their biases, norms and position tables are counted.
    """
    widths = shape.linear_widths()
    attention = sum(a * b * n for a, b, n in (widths[name] for name in "qkvo"))
    mlp_names = [name for name in ("gate", "up", "down") if name in widths]
    one_mlp = sum(widths[name][0] * widths[name][1] for name in mlp_names)
    router = shape.n_layers * shape.hidden * shape.n_experts if shape.n_experts > 1 else 0
    rest = (
        attention
        + router
        + _small_params(shape, anatomy)
        + shape.embedding_params
        + anatomy.positions * shape.hidden
    )
    return (
        rest + one_mlp * shape.n_layers * shape.n_experts,
        rest + one_mlp * shape.n_layers * shape.top_k,
    )


def _small_params(shape: Shape, anatomy: Anatomy) -> float:
    bias = (shape.q_width + 2 * shape.kv_width) * anatomy.qkv_bias * shape.attentions
    bias += shape.hidden * anatomy.out_bias * shape.attentions
    bias += (shape.intermediate + shape.hidden) * anatomy.mlp_bias * shape.n_layers
    norms = anatomy.norms * shape.n_layers + shape.n_decoder_layers + anatomy.final_norm
    qk = 2 * shape.head_dim * anatomy.qk_norm * shape.attentions
    return float(bias + norms * anatomy.norm * shape.hidden + qk)


def shape_of_model(model: Model) -> Shape:
    """Return the shape of a catalogue model; its parameter counts are the catalogue's."""
    decoders = model.n_decoder_layers or 0
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
        params=float(model.params),
        params_active=float(model.params_active),
        gated=anatomy_of(model.model_type).gated,
        tied=model.tied or model.kind == ENCODER,
        n_experts=model.n_experts or 1,
        top_k=model.top_k or 1,
        max_context=model.max_context,
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
