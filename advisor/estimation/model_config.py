"""Reads the shape of a model from its config.json, as the Hugging Face libraries write it."""

import json
from pathlib import Path
from typing import Any

from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation.anatomy import Anatomy, anatomy_of
from advisor.estimation.shape import ENCODER, ENCODER_DECODER, Shape, count_params, renamed

LONGEST_CONFIG = 10_000_000
_NAMES = {
    "n_layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "encoder_layers"),
    "hidden": ("hidden_size", "n_embd", "d_model", "dim"),
    "n_heads": ("num_attention_heads", "n_head", "num_heads", "n_heads", "encoder_attention_heads"),
    "n_kv_heads": ("num_key_value_heads", "num_kv_heads", "n_head_kv"),
    "head_dim": ("head_dim", "d_kv"),
    "intermediate": (
        "intermediate_size",
        "n_inner",
        "d_ff",
        "ffn_dim",
        "encoder_ffn_dim",
        "ffn_hidden_size",
        "hidden_dim",
    ),
    "moe_intermediate": ("moe_intermediate_size",),
    "dense_intermediate": ("intermediate_size_mlp",),
    "vocab": ("vocab_size",),
    "n_experts": ("num_local_experts", "num_experts", "n_routed_experts"),
    "top_k": ("num_experts_per_tok",),
    "max_context": ("max_position_embeddings", "n_positions", "max_seq_len"),
}
NEEDED = ("n_layers", "hidden", "n_heads", "vocab")
# What a config says of its blocks, and the parts of the anatomy that it switches.
_PARTS = {
    "attention_bias": ("qkv_bias", "out_bias"),
    "attention_out_bias": ("out_bias",),
    "bias": ("qkv_bias", "out_bias", "mlp_bias"),
    "conv_kernel": ("conv_width",),
    "embedding_size": ("embedding_width",),
    "first_k_dense_replace": ("dense_layers",),
    "kv_lora_rank": ("kv_rank",),
    "lm_head_bias": ("head_bias",),
    "mlp_bias": ("mlp_bias",),
    "norm_bias": ("norm_bias",),
    "q_lora_rank": ("q_rank",),
    "qk_rope_head_dim": ("rope_dim",),
    "qkv_bias": ("qkv_bias",),
    "shared_expert_intermediate_size": ("shared_intermediate",),
    "shared_intermediate_size": ("shared_intermediate",),
    "state_size": ("state_size",),
    "use_bias": ("qkv_bias", "out_bias", "mlp_bias"),
    "use_qkv_bias": ("qkv_bias",),
    "v_head_dim": ("value_dim",),
    "word_embed_proj_dim": ("embedding_width",),
}


def shape_of_config(path: Path, *, mlm_head: bool = False) -> Shape:
    """Return the shape that a config.json (or the folder that holds it) describes.

    Raises FILE_UNREADABLE where it cannot be read, MODEL_UNUSABLE where widths are missing.
    """
    file = path / "config.json" if path.is_dir() else path
    config = _read(file)
    text = config.get("text_config")
    text = text if isinstance(text, dict) else config
    families = (str(part.get("model_type", "")) for part in (config, text))
    anatomy = anatomy_of(*families)
    widths = _widths(text, file)
    anatomy = anatomy._replace(**_parts(text, widths, anatomy))
    return _counted(text, widths, anatomy, mlm_head=mlm_head)


def _read(file: Path) -> dict[str, Any]:
    try:
        size = file.stat().st_size
        config = json.loads(file.read_text(encoding="utf-8")) if size < LONGEST_CONFIG else None
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(file, str(error)[:200]) from error
    if not isinstance(config, dict):
        raise _unreadable(file, f"{size:,} bytes that hold no JSON object")
    return config


def _unreadable(file: Path, found: str) -> AdvisorError:
    fault = Fault(path=str(file), expected="a config.json", found=found)
    return AdvisorError(ErrorName.FILE_UNREADABLE, f"cannot read {file}", [fault])


def _whole(config: dict[str, Any], *names: str) -> int:
    """Return the first whole number above 0 under one of the names; else 0."""
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0


def _widths(config: dict[str, Any], file: Path) -> dict[str, int]:
    found = {field: _whole(config, *names) for field, names in _NAMES.items()}
    if config.get("model_type") == "mamba":
        found["n_heads"] = 1
    if missing := [field for field in NEEDED if not found[field]]:
        raise AdvisorError(
            ErrorName.MODEL_UNUSABLE,
            f"{file} does not give the shape of the model",
            [Fault(path=str(file), field=field, expected="a whole number") for field in missing],
        )
    return found


def _parts(config: dict[str, Any], widths: dict[str, int], anatomy: Anatomy) -> dict[str, Any]:
    """Return the parts of the anatomy that the config sets."""
    parts = {
        part: max(int(value), 0) if isinstance(value := config[name], int) else 0
        for name, switched in _PARTS.items()
        if name in config
        for part in switched
    }
    dense = parts.get("dense_layers", anatomy.dense_layers)
    parts["dense_layers"] = dense + _dense_layers(config, widths["n_layers"])
    return parts | _special_parts(config, widths, anatomy)


def _special_parts(
    config: dict[str, Any], widths: dict[str, int], anatomy: Anatomy
) -> dict[str, int]:
    parts: dict[str, int] = {}
    if anatomy.family.startswith("deberta"):
        parts |= _deberta_parts(config)
    elif "type_vocab_size" in config:
        parts["fixed_rows"] = _whole(config, "type_vocab_size")
    if "feed_forward_proj" in config:
        # One table in the encoder, one in the decoder.
        parts["head_rows"] = 2 * _whole(config, "relative_attention_num_buckets")
        parts["gated"] = int(str(config["feed_forward_proj"]).startswith("gated"))
    if shared := _whole(config, "n_shared_experts"):
        parts["shared_intermediate"] = shared * widths["moe_intermediate"]
    if config.get("do_layer_norm_before") is False:
        parts["outer_norms"] = 0
    if "parallel_attn" in config:
        parts["norms"] = _falcon_norms(config)
    return parts


def _dense_layers(config: dict[str, Any], n_layers: int) -> int:
    """Return how many blocks keep one MLP where the others have experts."""
    only = config.get("mlp_only_layers")
    step = _whole(config, "decoder_sparse_step", "interleave_moe_layer_step") or 1
    return n_layers - n_layers // step + (len(only) if isinstance(only, list) else 0)


def _deberta_parts(config: dict[str, Any]) -> dict[str, int]:
    """Return the tables of DeBERTa: relative positions with a norm of their own, or absolute."""
    relative = bool(config.get("relative_attention"))
    buckets = _whole(config, "position_buckets", "max_relative_positions", *_NAMES["max_context"])
    return {
        "position_tables": int(config.get("position_biased_input", True)),
        "fixed_rows": 2 * buckets * relative + _whole(config, "type_vocab_size"),
        "outer_norms": 1 + ("layer_norm" in str(config.get("norm_rel_ebd")) and relative),
    }


def _falcon_norms(config: dict[str, Any]) -> int:
    if config.get("new_decoder_architecture"):
        return _whole(config, "num_ln_in_parallel_attn") or 2
    return 1 if config["parallel_attn"] else 2


def _kv_heads(config: dict[str, Any], widths: dict[str, int]) -> int:
    if "multi_query" in config and not config.get("new_decoder_architecture"):
        return 1 if config["multi_query"] else widths["n_heads"]
    return widths["n_kv_heads"] or widths["n_heads"]


def _head_dim(config: dict[str, Any], widths: dict[str, int], anatomy: Anatomy) -> int:
    if anatomy.kv_rank:
        return _whole(config, "qk_nope_head_dim") + anatomy.rope_dim
    return widths["head_dim"] or max(widths["hidden"] // widths["n_heads"], 1)


def _counted(
    config: dict[str, Any], widths: dict[str, int], anatomy: Anatomy, *, mlm_head: bool
) -> Shape:
    both = bool(config.get("is_encoder_decoder"))
    decoders = _whole(config, "num_decoder_layers", "decoder_layers") or widths["n_layers"]
    intermediate = (widths["intermediate"] or 4 * widths["hidden"]) // anatomy.mlps_in_config
    encoder = anatomy.kind == ENCODER
    tied = bool(config.get("tie_word_embeddings", anatomy.tied))
    shape = Shape(
        name=str(config.get("_name_or_path") or config.get("model_type")) or None,
        kind=ENCODER_DECODER if both else anatomy.kind,
        n_layers=widths["n_layers"] + decoders * both,
        n_decoder_layers=decoders * both,
        hidden=widths["hidden"],
        n_heads=widths["n_heads"],
        n_kv_heads=_kv_heads(config, widths),
        head_dim=_head_dim(config, widths, anatomy),
        intermediate=widths["moe_intermediate"] or intermediate,
        vocab=widths["vocab"],
        params=0.0,
        params_active=0.0,
        gated=bool(anatomy.gated),
        tied=tied or (encoder and not mlm_head),
        n_experts=widths["n_experts"] or 1,
        top_k=min(widths["top_k"] or 1, widths["n_experts"] or 1),
        max_context=max(widths["max_context"] - anatomy.context_offset, 0) or None,
        anatomy=anatomy,
        dense_intermediate=widths["dense_intermediate"] or intermediate,
        mlm_head=encoder and mlm_head,
    )
    total, active = count_params(shape)
    return renamed(shape, params=total, params_active=active)
