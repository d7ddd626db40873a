"""From rows to a batch of tensors."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from .packing import Block
from .rendering import IGNORED, Tokens


class Collator(NamedTuple):
    """Puts rows together, padded on the right with `pad_id`, as the objective needs them.

    - clm: input_ids, labels, and position_ids where examples share a row. No attention mask:
      attention looks back only, so padding at the end is never seen, behind virtual tokens neither.
    - mlm, extraction: input_ids, attention_mask, labels.
    - seq2seq: the same; the labels are as long as the longest answer.
    - classification: the same; one label for each row.

    `tokens` is the number of tokens that are no padding, answers included.
    """

    objective: str
    pad_id: int

    def __call__(self, blocks: Sequence[Block]) -> dict[str, torch.Tensor]:
        """Return the batch, on the CPU."""
        lengths = np.array([len(block.ids) for block in blocks])
        tokens = int(lengths.sum())
        batch = {"input_ids": _padded([block.ids for block in blocks], self.pad_id)}
        if self.objective == "clm":
            batch |= _positions(blocks, batch["input_ids"].shape[1])
        else:
            longest = np.arange(batch["input_ids"].shape[1])
            batch["attention_mask"] = (longest < lengths[:, None]).astype(np.int64)
        batch["labels"] = _padded([block.labels for block in blocks], IGNORED)
        if self.objective == "classification":
            batch["labels"] = batch["labels"][:, 0]
        if self.objective == "seq2seq":
            tokens += sum(len(block.labels) for block in blocks)
        tensors = {name: torch.from_numpy(values) for name, values in batch.items()}
        return {**tensors, "tokens": torch.tensor(tokens)}


def _padded(rows: list[Tokens], fill: int) -> NDArray[np.int64]:
    padded = np.full((len(rows), max(map(len, rows))), fill, dtype=np.int64)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    return padded


def _positions(blocks: Sequence[Block], longest: int) -> dict[str, NDArray[np.int64]]:
    """Return the positions where any row starts anew within; else the model counts by itself.

    It then need not look for starts, which on a GPU would wait for the step before.
    """
    if all(block.positions is None for block in blocks):
        return {}
    positions = np.tile(np.arange(longest), (len(blocks), 1))
    for target, block in zip(positions, blocks, strict=True):
        if block.positions is not None:
            length = len(block.ids)
            target[:length] = block.positions
            target[length:] -= length - 1 - block.positions[-1]
    return {"position_ids": positions}
