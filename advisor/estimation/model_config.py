"""Reads the shape of a model from its config.json, as the Hugging Face libraries write it."""

import json
from pathlib import Path
from typing import Any

from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation.anatomy import anatomy_of
from advisor.estimation.shape import ENCODER, ENCODER_DECODER, Shape, count_params, renamed

LONGEST_CONFIG = 10_000_000
_NAMES = {
    "n_layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "encoder_layers"),
    "hidden": ("hidden_size", "n_embd", "d_model", "dim"),
    "n_heads": ("num_attention_heads", "n_head", "num_heads", "n_heads", "encoder_attention_heads"),
    "n_kv_heads": ("num_key_value_heads", "n_head_kv"),
    "head_dim": ("head_dim", "d_kv"),
    "intermediate": ("intermediate_size", "n_inner", "d_ff", "ffn_dim", "encoder_ffn_dim"),
    "vocab": ("vocab_size",),
    "n_experts": ("num_local_experts", "num_experts", "n_routed_experts"),
    "top_k": ("num_experts_per_tok",),
    "max_context": ("max_position_embeddings", "n_positions"),
}
_ENCODERS = frozenset(
    {
        "albert",
        "bert",
        "camembert",
        "deberta",
        "deberta-v2",
        "distilbert",
        "electra",
        "eurobert",
        "modernbert",
        "roberta",
        "xlm-roberta",
    }
)


def shape_of_config(path: Path) -> Shape:
    """Return the shape that a config.json (or the folder that holds it) describes.

    Raises FILE_UNREADABLE where it cannot be read, MODEL_UNUSABLE where widths are missing.
    """
    file = path / "config.json" if path.is_dir() else path
    config = _read(file)
    text = config.get("text_config")
    return _shape(text if isinstance(text, dict) else config, file)


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


def _find(config: dict[str, Any], field: str) -> int | None:
    for name in _NAMES[field]:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _shape(config: dict[str, Any], file: Path) -> Shape:
    found = {field: _find(config, field) for field in _NAMES}
    needed = ("n_layers", "hidden", "n_heads", "vocab")
    if missing := [field for field in needed if not found[field]]:
        raise AdvisorError(
            ErrorName.MODEL_UNUSABLE,
            f"{file} does not give the shape of the model",
            [Fault(path=str(file), field=field, expected="a whole number") for field in missing],
        )
    return _counted(config, {field: value or 0 for field, value in found.items()})


def _counted(config: dict[str, Any], found: dict[str, int]) -> Shape:
    family = str(config.get("model_type", ""))
    anatomy = anatomy_of(family)
    both = bool(config.get("is_encoder_decoder"))
    decoders = int(config.get("num_decoder_layers") or config.get("decoder_layers") or 0)
    decoders = (decoders or found["n_layers"]) if both else 0
    heads = found["n_heads"]
    shape = Shape(
        name=str(config.get("_name_or_path") or family) or None,
        kind=ENCODER_DECODER if both else ENCODER if family in _ENCODERS else "decoder",
        n_layers=found["n_layers"] + decoders,
        n_decoder_layers=decoders,
        hidden=found["hidden"],
        n_heads=heads,
        n_kv_heads=found["n_kv_heads"] or heads,
        head_dim=found["head_dim"] or max(found["hidden"] // heads, 1),
        intermediate=_expert_width(config) or found["intermediate"] or 4 * found["hidden"],
        vocab=found["vocab"],
        params=0.0,
        params_active=0.0,
        gated=anatomy.gated or "gated" in str(config.get("feed_forward_proj", "")),
        tied=bool(config.get("tie_word_embeddings", anatomy.tied)) or family in _ENCODERS,
        n_experts=found["n_experts"] or 1,
        top_k=found["top_k"] or 1,
        max_context=found["max_context"] or None,
    )
    total, active = count_params(shape, anatomy)
    return renamed(shape, params=total, params_active=active)


def _expert_width(config: dict[str, Any]) -> int:
    width = config.get("moe_intermediate_size")
    return width if isinstance(width, int) else 0
