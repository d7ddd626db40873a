"""Which rows go into which micro-batch: the same rows an update, however it is cut up."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler

from ..batches.rendering import IGNORED

Order = Callable[[int], Sequence[int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """How an update is cut: `rows` a micro-batch, `times` micro-batches, over `world` processes."""

    rows: int
    times: int
    world: int = 1
    rank: int = 0

    @property
    def update(self) -> int:
        """Return how many rows an optimizer step sees, over all processes."""
        return self.rows * self.times * self.world


class Updates(Sampler[list[int]]):
    """Yields the row numbers of each micro-batch of this process, one epoch.

    The rows of an update follow from the order of the epoch alone. Within it they go by length,
    so that processes work alike long. Where the last one has too few, a process gets a row
    whose labels do not count: its number is that of the row, inverted.
    """

    def __init__(self, rows: Any, cut: Cut, order: Order) -> None:  # noqa: ANN401
        self._rows = rows
        self._cut = cut
        self._order = order
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Go on with another epoch."""
        self._epoch = epoch
        self._rows.set_epoch(epoch)

    def __len__(self) -> int:
        full, rest = divmod(len(self._rows), self._cut.update)
        return full * self._cut.times + -(-rest // (self._cut.rows * self._cut.world))

    def __iter__(self) -> Iterator[list[int]]:
        order, lengths = np.asarray(self._order(self._epoch)), self._rows.lengths
        for start in range(0, len(order), self._cut.update):
            update = order[start : start + self._cut.update]
            longest_first = update[np.argsort(-lengths[update], kind="stable")].tolist()
            yield from self._share(longest_first)

    def _share(self, update: list[int]) -> Iterator[list[int]]:
        rows, world = self._cut.rows, self._cut.world
        for first in range(0, len(update), rows * world):
            start = first + self._cut.rank * rows
            yield update[start : start + rows] or [~update[-1]]


class Numbered(Dataset[Any]):
    """The rows by their number; an inverted number gives a row whose labels do not count."""

    def __init__(self, rows: Any) -> None:  # noqa: ANN401
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Any:  # noqa: ANN401
        if number >= 0:
            return self._rows[number]
        row = self._rows[~number]
        return replace(row, labels=np.full_like(row.labels, IGNORED))


class Loader(DataLoader[Any]):
    """A loader that tells its batches which epoch it is."""

    def set_epoch(self, epoch: int) -> None:
        """Go on with another epoch."""
        self.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr] - ours
