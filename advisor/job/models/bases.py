"""Finds the base model on disk and checks that it is whole and safe, before it is loaded."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any, Final, NoReturn

from safetensors import SafetensorError, safe_open

from ..faults import JobError, explained, shown

HUB_NAME: Final = re.compile(r"[\w.-]+(/[\w.-]+)?")
TEMPLATE_SECONDS: Final = 5
TEMPLATE_CHARACTERS: Final = 1_000_000
NEEDED_FILES: Final = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "README.md")
# Beyond these a config is damaged or hostile; they hold before anything is allocated.
CONFIG_BOUNDS: Final = {
    "num_hidden_layers": 1000,
    "hidden_size": 131_072,
    "num_attention_heads": 1024,
    "num_key_value_heads": 1024,
    "intermediate_size": 1_048_576,
    "vocab_size": 5_000_000,
    # as T5 names them
    "num_layers": 1000,
    "num_decoder_layers": 1000,
    "d_model": 131_072,
    "d_kv": 131_072,
    "d_ff": 1_048_576,
    "num_heads": 1024,
}
ADAPTER: Final = "adapter_model.safetensors"


def checked_base(name: str) -> Path:
    """Return the base's folder; raise JobError unless it holds a whole and safe model."""
    folder = base_folder(name).resolve()
    check_base(folder)
    return folder


def base_folder(name: str) -> Path:
    """Return the folder of the base model: a local path, or what the hub's cache holds of it.

    A path that is missing is never looked up as a hub name. The hub itself is asked only with
    ADVISOR_ALLOW_DOWNLOAD=1.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    hint = "check base_model in the plan"
    if not HUB_NAME.fullmatch(name) or path.exists() or Path(path.parts[0]).exists():
        raise JobError("model_unusable", "no such model folder", where=name, hint=hint)
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow, and only for hub names

    online = os.environ.get("ADVISOR_ALLOW_DOWNLOAD") == "1"
    try:
        return Path(
            snapshot_download(name, local_files_only=not online, allow_patterns=list(NEEDED_FILES))
        )
    except (OSError, ValueError) as error:
        if known := explained(error, smaller="", free=""):
            raise known from None
        what = "not in the local model cache" if not online else "cannot be downloaded"
        hint = hint if online else "download it first, or set ADVISOR_ALLOW_DOWNLOAD=1"
        raise JobError("model_unusable", what, where=name, hint=hint) from None


def check_base(folder: Path) -> None:
    """Raise JobError unless the folder holds a whole model in safetensors, free of own code."""
    config = _config(folder / "config.json")
    for name in ("config.json", "tokenizer_config.json"):
        if (folder / name).is_file() and "auto_map" in _config(folder / name):
            raise unusable("it brings its own code", folder / name, "use a model without auto_map")
    for key, most in CONFIG_BOUNDS.items():
        value = config.get(key)
        if value is not None and not (type(value) is int and 1 <= value <= most):
            raise unusable(f"{key} is {shown(value)}", folder / "config.json", "get it again")
    shards = sorted(folder.glob("*.safetensors"))
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = [folder / name for name in sorted(set(_config(index)["weight_map"].values()))]
    if not shards:
        raise unusable(
            "no weights in safetensors", folder, "pickled weights can run code: convert them"
        )
    for shard in shards:
        _check_shard(shard)


def check_adapter(folder: Path) -> None:
    """Raise JobError unless the folder holds an adapter in safetensors, free of own code."""
    for name in ("adapter_config.json", "tokenizer_config.json"):
        if "auto_map" in _config(folder / name):
            raise unusable("it brings its own code", folder / name, "train it again")
    _check_shard(folder / ADAPTER)


def _config(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise unusable("a file is missing", path, "get the model again") from None
    except (ValueError, RecursionError):
        raise unusable("a file is damaged", path, "get the model again") from None
    if not isinstance(content, dict):
        raise unusable("a file is damaged", path, "get the model again")
    return content


def _check_shard(path: Path) -> None:
    try:
        with safe_open(path, framework="numpy") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        what = "missing" if isinstance(error, FileNotFoundError) else "damaged"
        raise unusable(f"a weights file is {what}", path, "get the model again") from None


def check_template(tokenizer: Any, folder: Path) -> None:  # noqa: ANN401
    """Raise JobError where the chat template fails, runs without end or writes without measure."""
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    earlier = signal.signal(signal.SIGALRM, _too_slow)
    signal.setitimer(signal.ITIMER_REAL, TEMPLATE_SECONDS)
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False)
    except Exception as error:  # noqa: BLE001 - it is a program of strangers
        what = f"its chat template fails: {type(error).__name__}"
        raise unusable(what, folder, "use another base") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)
    if len(text) > TEMPLATE_CHARACTERS:
        raise unusable("its chat template writes too much", folder, "use another base")


def _too_slow(*_: object) -> NoReturn:
    raise TimeoutError


def unusable(what: str, where: Path, hint: str) -> JobError:
    """Return the error of a model that cannot be used."""
    return JobError("model_unusable", what, where=str(where), hint=hint)
