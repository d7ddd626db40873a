"""Small things that a run folder needs: files written whole, hashes, lines on stderr."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TextIO

MAIN_PROCESS: Final = os.environ.get("RANK", "0") == "0"


def say(line: str) -> None:
    """Print one line of narration on stderr; of several processes the main one does."""
    if MAIN_PROCESS:
        tell(f"job: {line}")


def tell(line: str) -> None:
    """Print one line on stderr, at once; a closed stderr is no reason to stop."""
    with suppress(OSError):
        os.write(2, f"{line}\n".encode(errors="backslashreplace"))


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Replace `path` by `document`, never leaving half a file there."""
    beside = path.with_name(f".tmp-{path.name}")
    with private(beside) as file:
        json.dump(document, file, indent=1, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def private(path: Path) -> TextIO:
    """Open a text file to write, that only its owner may read; never through a symbolic link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8")


def sha256_of(value: object) -> str:
    """Return the SHA-256 of a JSON value's canonical form, in hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def free_space(folder: Path) -> str:
    """Return how much disk is left, for an error line."""
    try:
        return f"{folder}: {shutil.disk_usage(folder).free / 1e9:.2f} GB free"
    except OSError as error:
        return f"unknown space: {error.strerror}"
