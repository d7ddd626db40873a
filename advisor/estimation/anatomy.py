"""What the blocks of each model family are made of, so that parameters can be counted exactly."""

from functools import cache
from typing import NamedTuple

from advisor.catalog.reading import ById
from advisor.places import shipped


class Anatomy(NamedTuple):
    """The parts of a model beyond the widths of its shape; the defaults are those of Llama.

    All are counts: 0 or 1 where a part is there or not. `norms` are those of one block,
    `outer_norms` all others, as wide as the vocabulary tables. `position_tables` have a row for
    each position and `position_offset` more, `fixed_rows` stand beside them; `context_offset` is
    by how much config.json gives more positions than can be used, `mlps_in_config` of how many
    matrices together it gives the width. `head_transform` and `pooler`
    are layers on top of an encoder, with an MLM head or without. Latent attention has `kv_rank`.
    """

    family: str = "llama"
    kind: str = "decoder"
    gated: int = 1
    tied: int = 0
    kv_heads: int = 0
    qkv_bias: int = 0
    out_bias: int = 0
    mlp_bias: int = 0
    head_bias: int = 0
    norms: int = 2
    outer_norms: int = 1
    norm_bias: int = 0
    qk_head_norm: int = 0
    qk_width_norm: int = 0
    sinks: int = 0
    scalars: int = 0
    head_rows: int = 0
    position_tables: int = 0
    position_offset: int = 0
    context_offset: int = 0
    fixed_rows: int = 0
    embedding_width: int = 0
    projections: int = 0
    projection_bias: int = 0
    shared_blocks: int = 0
    pooler: int = 0
    head_transform: int = 0
    transform_bias: int = 0
    dense_layers: int = 0
    shared_intermediate: int = 0
    shared_gate: int = 0
    q_rank: int = 0
    kv_rank: int = 0
    rope_dim: int = 0
    value_dim: int = 0
    state_size: int = 0
    conv_width: int = 0
    mlps_in_config: int = 1
    extra_params: int = 0
    extra_width: int = 0


LLAMA = Anatomy()


class AnatomyRow(NamedTuple):
    """How one family, or one model, differs from Llama; `known_as` begins names of its models."""

    id: str
    known_as: str
    kind: str
    parts: str
    source: str
    date: str
    notes: str


@cache
def anatomy_rows() -> ById[AnatomyRow]:
    """Return every row of the table, by model_type, family or hub id."""
    return ById(shipped("profiles") / "anatomy.csv", AnatomyRow)


@cache
def find_anatomy(name: str) -> Anatomy | None:
    """Return the anatomy in the row `name`; None where there is none."""
    row = anatomy_rows().get(name)
    if row is None:
        return None
    parts = (part.split("=") for part in row.parts.split())
    return Anatomy(row.id, row.kind, **{part: int(count) for part, count in parts})


def anatomy_of(*names: str) -> Anatomy:
    """Return the anatomy of the first name that is known; Llama's where none is."""
    return next((found for name in names if (found := find_anatomy(name))), LLAMA)


def anatomy_by_name(model: str) -> Anatomy | None:
    """Return the anatomy of the family whose names begin as `model` does; None if none does."""
    short = model.rpartition("/")[2].lower()
    fits = [(len(start), id_) for start, id_ in _beginnings() if short.startswith(start)]
    return find_anatomy(max(fits)[1]) if fits else None


@cache
def _beginnings() -> tuple[tuple[str, str], ...]:
    rows = anatomy_rows().all()
    return tuple((start, row.id) for row in rows for start in row.known_as.split("|") if start)
