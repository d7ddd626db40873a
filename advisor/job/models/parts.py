"""Where things are in a model: its linear layers by what they do, and its head."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from torch import nn
from transformers.pytorch_utils import Conv1D

from ..faults import JobError

# How architectures name the matrices of a layer; of two names that fit, the longer one counts.
# One matrix may do the work of several: then it is found under each of their names.
MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "q": ("q_proj", "query", "query_proj", "q", "q_lin"),
    "k": ("k_proj", "key", "key_proj", "k", "k_lin"),
    "v": ("v_proj", "value", "value_proj", "v", "v_lin"),
    "qkv": ("Wqkv", "qkv_proj", "query_key_value", "c_attn"),
    "o": (
        *("o_proj", "out_proj", "o", "out_lin", "attn.Wo", "attn.c_proj"),
        *("attention.output.dense", "attention.dense", "self_attention.dense"),
    ),
    "gate": ("gate_proj", "wi_0"),
    "up": (
        *("up_proj", "wi_1", "wi", "intermediate.dense", "fc1", "fc_in", "c_fc", "ffn"),
        *("dense_h_to_4h", "lin1"),
    ),
    "gate_up": ("gate_up_proj", "mlp.Wi"),
    "down": (
        *("down_proj", "wo", "output.dense", "fc2", "fc_out", "mlp.Wo", "mlp.c_proj"),
        *("dense_4h_to_h", "lin2", "ffn_output"),
    ),
}
JOINED: Final = {"q": "qkv", "k": "qkv", "v": "qkv", "gate": "gate_up", "up": "gate_up"}
POSITION_TABLES: Final = ("position_embeddings", "embed_positions", "wpe")
NUMBERED: Final = re.compile(r"\.\d+\.")


def linear_layers(model: Any) -> dict[str, str]:  # noqa: ANN401
    """Return the paths of all linear layers inside the repeated blocks, each with its role.

    The role is a key of MODULES, or empty for a layer whose name is not known. Heads, poolers and
    output embeddings are not among them.
    """
    return {
        path: _role(path)
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and NUMBERED.search(path)
    }


def _role(path: str) -> str:
    fitting = [
        (len(name), role)
        for role, names in MODULES.items()
        for name in names
        if path.endswith(f".{name}")
    ]
    return max(fitting)[1] if fitting else ""


def chosen_layers(model: Any, targets: Iterable[str] | str, setting: str) -> list[str]:  # noqa: ANN401
    """Return the paths of the linear layers that `targets` mean; raise JobError `usage`.

    A target is "all-linear", one of q k v o gate up down, or the end of a path as the model names
    it. One of the seven may be missing (BERT has no gate); any other name must be there.
    """
    layers = linear_layers(model)
    if targets == "all-linear":
        chosen = list(layers)
    else:
        meant = {target: _meant(target, layers) for target in targets}
        unknown = [name for name, paths in meant.items() if not paths and name not in MODULES]
        if unknown:
            raise _no_such(f"no linear layer named {', '.join(unknown)}", setting, layers)
        hit = {path for paths in meant.values() for path in paths}
        chosen = [path for path in layers if path in hit]
    if not chosen:
        raise _no_such("no linear layer that the targets name", setting, layers)
    return chosen


def _meant(target: str, layers: Mapping[str, str]) -> list[str]:
    roles = {target, JOINED.get(target, target)} if target in MODULES else set()
    return [
        path
        for path, role in layers.items()
        if role in roles or (not roles and f".{path}".endswith(f".{target}"))
    ]


def _no_such(what: str, setting: str, layers: Mapping[str, str]) -> JobError:
    there = ", ".join(sorted({path.rpartition(".")[2] for path in layers})) or "none"
    return JobError("usage", what, where=f"{setting} in plan.json", hint=f"there are: {there}")


def pattern_of(model: Any, paths: Iterable[str]) -> list[str] | str:  # noqa: ANN401
    """Return what names exactly the modules at `paths`: their last names, else one expression."""
    chosen = set(paths)
    names = sorted({path.rpartition(".")[2] for path in chosen})
    hit = {path for path, _ in model.named_modules() if path.rpartition(".")[2] in names}
    if hit == chosen:
        return names
    patterns = {re.sub(r"\\\.\d+(?=\\\.)", r"\\.\\d+", re.escape(path)) for path in chosen}
    return "|".join(sorted(patterns))


def head_of(model: Any, fresh: Iterable[str]) -> list[str]:  # noqa: ANN401
    """Return the paths of the layers on top of the backbone, each one that has weights of its own.

    Args:
        model: A model for classification of texts or tokens.
        fresh: The keys of weights that the base did not bring; what holds them is part of the head.
    """
    new = {key.rpartition(".")[0] for key in fresh}
    return [
        path
        for path, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False))
        and (path in new or path.split(".")[0] != model.base_model_prefix)
    ]


def positions_of(model: Any) -> int | None:  # noqa: ANN401
    """Return the most tokens that the tables of positions have rows for; None without a table."""
    rows = [
        table.num_embeddings - getattr(table, "offset", (table.padding_idx or -1) + 1)
        for path, table in model.named_modules()
        if isinstance(table, nn.Embedding) and path.rpartition(".")[2] in POSITION_TABLES
    ]
    return min(rows, default=None)
