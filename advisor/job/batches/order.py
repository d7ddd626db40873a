"""In which order an epoch reads the rows."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

BATCHES_SORTED: Final = 50


def order_of(
    lengths: NDArray[np.int32], batch_rows: int, *, seed: int, epoch: int, grouped: bool
) -> NDArray[np.int64]:
    """Return every row's number once, in the order of this epoch.

    A function of its arguments alone. Where `grouped`, each `batch_rows` in turn are of like
    length, so that padding wastes little: the rows are shuffled, sorted by length within every 50
    batches, and these batches shuffled; only the rows left over at the end are not. In the first
    epoch the batch with the longest row comes first: what fits then fits to the end. With several
    processes `batch_rows` is what all of them read in one micro-step.
    """
    chance = np.random.default_rng((seed, epoch))
    order = chance.permutation(len(lengths))
    batches = len(order) // batch_rows
    if not grouped or not batches:
        return order
    longest = int(np.argmax(lengths[order]))
    order[[0, longest]] = order[[longest, 0]]
    full = order[: batches * batch_rows]
    for start in range(0, len(full), batch_rows * BATCHES_SORTED):
        part = full[start : start + batch_rows * BATCHES_SORTED]
        part[:] = part[np.argsort(-lengths[part], kind="stable")]
    turns = chance.permutation(batches)
    if epoch == 0:
        turns = np.concatenate([[0], turns[turns != 0]])
    return np.concatenate([full.reshape(batches, batch_rows)[turns].ravel(), order[len(full) :]])
