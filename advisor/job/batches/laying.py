"""A folder of rows is made once: by the main process, and anew only for other data or settings."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from ..checkpoints import published
from ..faults import JobError
from ..files import MAIN_PROCESS, write_json

KEY: Final = "key.json"
FORMAT: Final = 1
SECONDS_BETWEEN_LOOKS: Final = 0.1
MOST_SECONDS_STILL: Final = 900.0


def laid(
    path: Path,
    key: str,
    write: Callable[[Path], None],
    check: Callable[[], None],
    *,
    anew: bool = False,
) -> bool:
    """Make the folder `path` by `write`, unless it was made with this key; return whether it was.

    Of several processes the main one writes and the others wait, as long as something moves.
    `check` is called while waiting; it may raise. With `anew` the main one writes in any case.
    """
    if not MAIN_PROCESS:
        _wait(path, key, check)
        return False
    if _key_of(path) == key and not anew:
        return False
    with published(path) as beside:
        write(beside)
        write_json(beside / KEY, {"format": FORMAT, "key": key})
    return True


def tokenizer_sha256(tokenizer: Any) -> str:  # noqa: ANN401
    """Return a hash of all that decides what a tokenizer and its chat template make of text."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = (
        backend.to_str()
        if hasattr(backend, "to_str")
        else str(sorted(tokenizer.get_vocab().items()))
    )
    parts = (
        type(tokenizer).__name__,
        vocabulary,
        str(tokenizer.chat_template),
        str(tokenizer.special_tokens_map),
    )
    return sha256("\0".join(parts).encode()).hexdigest()


def _key_of(path: Path) -> str | None:
    try:
        found = json.loads((path / KEY).read_bytes())
        return str(found["key"]) if found["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _wait(path: Path, key: str, check: Callable[[], None]) -> None:
    seen, since = -1, monotonic()
    while _key_of(path) != key:
        check()
        if (size := _size(path.parent)) != seen:
            seen, since = size, monotonic()
        if monotonic() - since > MOST_SECONDS_STILL:
            what = "the main process did not lay out the data"
            hint = "the run folder must be one that all processes share"
            raise JobError("run_unusable", what, where=str(path), hint=hint)
        sleep(SECONDS_BETWEEN_LOOKS)


def _size(folder: Path) -> int:
    """Return the bytes below a folder, as far as they stand still to be counted."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # gone while looking
            continue
    return total
