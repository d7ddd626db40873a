"""From tokens to batches: packing and padding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from .rendering import IGNORED, Example, Tokens

OPEN_BLOCKS: Final = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A row of a batch, at most seq_len tokens: a piece of text, or one example or more.

    Where `positions` start again at 0 attention starts anew: examples do not see each other.
    """

    ids: Tokens
    labels: Tokens
    positions: Tokens


class Layout:
    """Lays examples into blocks of at most `seq_len` tokens.

    Texts are cut to blocks, end to end when packing. Dialogues longer than a block are cut and
    counted in `cut`, or in `dropped` where nothing to learn is left of them; when packing, several
    share a block.
    """

    def __init__(self, *, seq_len: int, packing: bool) -> None:
        self.cut = 0
        self.dropped = 0
        self._seq_len = seq_len
        self._packing = packing
        self._positions = np.arange(seq_len, dtype=np.int32)
        self._blocks: list[Block] = []
        self._text: list[Tokens] = []
        self._waiting = 0
        self._open: list[list[Example]] = []

    def add(self, example: Example) -> None:
        """Give the example its place."""
        if example.kind == "text":
            self._add_text(example.ids)
        else:
            self._add_dialogue(example)

    def finish(self) -> list[Block]:
        """Return all blocks."""
        if self._text:
            self._cut_text(np.concatenate(self._text), last=True)
        self._blocks += [self._joined(examples) for examples in self._open]
        self._text, self._open = [], []
        return self._blocks

    def _add_text(self, ids: Tokens) -> None:
        if not self._packing:
            self._cut_text(ids, last=True)
            return
        self._text.append(ids)
        self._waiting += len(ids)
        if self._waiting >= self._seq_len:
            self._cut_text(np.concatenate(self._text), last=False)

    def _cut_text(self, ids: Tokens, *, last: bool) -> None:
        full = len(ids) - len(ids) % self._seq_len
        for start in range(0, full, self._seq_len):
            self._add_text_block(ids[start : start + self._seq_len])
        rest = ids[full:]
        if last and len(rest) > 1:
            self._add_text_block(rest)
        self._text = [] if last else [rest]
        self._waiting = 0 if last else len(rest)

    def _add_text_block(self, ids: Tokens) -> None:
        self._blocks.append(Block(ids=ids, labels=ids, positions=self._positions[: len(ids)]))

    def _add_dialogue(self, example: Example) -> None:
        if len(example.ids) > self._seq_len:
            ids, labels = example.ids[: self._seq_len], example.labels[: self._seq_len]
            example = Example(kind=example.kind, ids=ids, labels=labels)
            self.cut += 1
        if (example.labels[1:] == IGNORED).all():
            self.dropped += 1
        elif not self._packing:
            self._blocks.append(self._joined([example]))
        else:
            self._pack(example)

    def _pack(self, example: Example) -> None:
        """Put the example into the first open block with room, else into a new one."""
        for examples in self._open:
            if sum(len(e.ids) for e in examples) + len(example.ids) <= self._seq_len:
                examples.append(example)
                return
        self._open.append([example])
        if len(self._open) > OPEN_BLOCKS:
            self._blocks.append(self._joined(self._open.pop(0)))

    def _joined(self, examples: list[Example]) -> Block:
        labels = np.concatenate([e.labels for e in examples])
        starts = np.cumsum([0, *(len(e.ids) for e in examples[:-1])])
        labels[starts] = (
            IGNORED  # else the last token of one example would learn the next one's first
        )
        return Block(
            ids=np.concatenate([e.ids for e in examples]),
            labels=labels,
            positions=np.concatenate([self._positions[: len(e.ids)] for e in examples]),
        )


def collate(blocks: Sequence[Block], pad_id: int) -> dict[str, torch.Tensor]:
    """Return a batch, padded on the right: input_ids, labels, position_ids, each (rows, longest).

    There is no attention mask: attention looks back only, so padding at the end is never seen.
    `tokens` is the number of tokens that are no padding.
    """
    rows, longest = len(blocks), max(len(block.ids) for block in blocks)
    ids = np.full((rows, longest), pad_id, dtype=np.int64)
    labels = np.full((rows, longest), IGNORED, dtype=np.int64)
    positions = np.empty((rows, longest), dtype=np.int64)
    for row, block in enumerate(blocks):
        length = len(block.ids)
        ids[row, :length] = block.ids
        labels[row, :length] = block.labels
        positions[row, :length] = block.positions
        positions[row, length:] = block.positions[-1] + 1 + np.arange(longest - length)
    return {
        "input_ids": torch.from_numpy(ids),
        "labels": torch.from_numpy(labels),
        "position_ids": torch.from_numpy(positions),
        "tokens": torch.tensor(sum(len(block.ids) for block in blocks)),
    }


def keeps_examples_apart(model: Any, vocabulary: int) -> bool:  # noqa: ANN401
    """Return whether an example in this model is blind to the one packed before it.

    Measured: the second one's logits must not change by a bit with the first one's tokens. Not all
    architectures read the beginning of an example off the positions.
    """
    device = next(model.parameters()).device
    first, other, second = (torch.arange(n, n + 8, device=device) % vocabulary for n in (3, 20, 40))
    positions = torch.arange(8, device=device).repeat(2)[None]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits = [
                model(
                    input_ids=torch.cat([before, second])[None],
                    position_ids=positions,
                    use_cache=False,
                ).logits[0, 8:]
                for before in (first, other)
            ]
    except (TypeError, ValueError):
        return False
    finally:
        model.train(was_training)
    return torch.equal(*logits)
