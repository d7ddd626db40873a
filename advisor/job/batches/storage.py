"""Rows on disk: written while the data is tokenised, read where they lie."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .rendering import Tokens

BUFFERED_TOKENS: Final = 1 << 20
NO_LIMIT: Final = 1 << 62


class Writer:
    """Writes rows: `NAME.tokens` holds each row's tokens and labels, `NAME.ends` where they end.

    What waits to be written is about a million tokens, however many rows there are; rows beyond
    `most` are passed over.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.rows = 0
        self.most = NO_LIMIT
        self._paths = folder / f"{name}.tokens", folder / f"{name}.ends"
        for path in self._paths:
            path.touch()
        self._waiting: list[Tokens] = []
        self._ends: list[int] = []
        self._written = 0
        self._end = 0

    def add(self, ids: Tokens, labels: Tokens) -> None:
        """Add a row, unless there are enough."""
        if self.rows >= self.most:
            return
        self._waiting += [ids, labels]
        middle = self._end + len(ids)
        self._end = middle + len(labels)
        self._ends += [middle, self._end]
        self.rows += 1
        if self._end - self._written >= BUFFERED_TOKENS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._ends:
            tokens, ends = self._paths
            _append(tokens, np.concatenate(self._waiting, dtype=np.int32))
            _append(ends, np.array(self._ends, dtype=np.int64))
        self._waiting, self._ends, self._written = [], [], self._end


def _append(path: Path, values: NDArray[Any]) -> None:
    with path.open("ab") as file:
        file.write(values.data)


class Store:
    """The rows that a `Writer` left in `folder` under `name`, mapped into memory."""

    def __init__(self, folder: Path, name: str) -> None:
        self._tokens = _mapped(folder / f"{name}.tokens", np.int32)
        self._ends = _mapped(folder / f"{name}.ends", np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._ends)

    def lengths(self) -> Tokens:
        """Return how many tokens each row holds, and how many labels of their own."""
        return np.diff(self._ends.ravel(), prepend=0).astype(np.int32).reshape(-1, 2)

    def row(self, number: int) -> tuple[Tokens, Tokens]:
        """Return the tokens and the labels of a row."""
        start = int(self._ends[number - 1, 1]) if number else 0
        middle, end = self._ends[number].tolist()
        return self._tokens[start:middle], self._tokens[middle:end]


def _mapped(path: Path, kind: type) -> NDArray[Any]:
    if not path.stat().st_size:
        return np.empty(0, dtype=kind)
    return np.asarray(np.memmap(path, dtype=kind, mode="r"))
