"""Lays tokens into rows: texts joined and cut, dialogues packed so that little room is wasted."""

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import torch

from .rendering import IGNORED, Tokens

# Marks on a token, above any vocabulary: the loss does not count on it; an example starts with it.
MUTE: Final = 1 << 29
START: Final = 1 << 30
TOKEN: Final = MUTE - 1
OPEN_TOKENS: Final = 1 << 21
FEWEST_OPEN: Final = 32
NOTHING: Final = np.empty(0, dtype=np.int32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One row of a batch: what the model reads, and what it learns from it.

    `labels` are as long as `ids` where each token has one (-100: not learned); for seq2seq they
    are the answer's tokens, for classification the one label. Where `positions` start again at 0
    attention starts anew; None where they simply count.
    """

    ids: Tokens
    labels: Tokens
    positions: Tokens | None = None


class Page(NamedTuple):
    """How text fills rows: `width` tokens each, between `opening` and `closing`."""

    width: int
    joined: bool
    opening: Tokens = NOTHING
    closing: Tokens = NOTHING


class Layout:
    """Gives tokens their places in rows of at most `seq_len`; `emit` gets each row and its labels.

    Examples longer than a row are cut and counted in `cut`, or in `dropped` where nothing to learn
    is left of them. When packing, each goes where it leaves the least room, so that rows come out
    nearly full; only as many are kept open as fit a fixed memory.
    """

    def __init__(
        self,
        emit: Callable[[Tokens, Tokens], None],
        *,
        seq_len: int,
        page: Page,
        packing: bool = False,
    ) -> None:
        self.cut = 0
        self.dropped = 0
        self.emit = emit
        self._seq_len = seq_len
        self._page = page
        self._packing = packing
        self._text: list[Tokens] = []
        self._waiting = 0
        self._open: list[tuple[int, int]] = []  # (room left, number), least room first
        self._rows: dict[int, list[Tokens]] = {}
        self._made = 0

    def text(self, ids: Tokens) -> None:
        """Add a text: to the one before it where texts are joined, else to rows of its own."""
        if not self._page.joined:
            self._cut(ids, last=True)
            return
        self._text.append(ids)
        self._waiting += len(ids)
        if self._waiting >= self._page.width:
            self._cut(np.concatenate(self._text), last=False)

    def examples(self, batch: Sequence[Tokens]) -> None:
        """Add examples with their marks, the longest first when packing."""
        for ids in sorted(batch, key=len, reverse=True) if self._packing else batch:
            short = ids[: self._seq_len]
            self.cut += len(short) < len(ids)
            if not (short[1:] & MUTE == 0).any():
                self.dropped += 1
            elif self._packing:
                self._pack(short)
            else:
                self.emit(short, NOTHING)

    def whole(self, ids: Tokens, labels: Tokens, *, cut: bool) -> None:
        """Add a row as it is; `cut` tells that it was longer."""
        self.cut += cut
        self.emit(ids, labels)

    def finish(self) -> None:
        """Emit all that waits for more."""
        if self._text:
            self._cut(np.concatenate(self._text), last=True)
        for _, number in self._open:
            self._close(number)
        self._open = []

    def _cut(self, ids: Tokens, *, last: bool) -> None:
        width = self._page.width
        full = len(ids) - len(ids) % width
        for start in range(0, full, width):
            self._emit_text(ids[start : start + width])
        rest = ids[full:]
        if last and len(rest) > 1:  # one token alone predicts nothing
            self._emit_text(rest)
        self._text = [] if last else [rest]
        self._waiting = 0 if last else len(rest)

    def _emit_text(self, ids: Tokens) -> None:
        self.emit(np.concatenate([self._page.opening, ids, self._page.closing]), NOTHING)

    def _pack(self, ids: Tokens) -> None:
        """Put the example into the open row that it fills best, else into a new one."""
        at = bisect_left(self._open, (len(ids), 0))
        if at < len(self._open):
            room, number = self._open.pop(at)
        else:
            room, number = self._seq_len, self._made
            self._made += 1
            self._rows[number] = []
        ids = ids.copy()  # of its own: what it is cut from can go
        ids[0] |= START | MUTE  # else the last token before it would learn its first
        self._rows[number].append(ids)
        insort(self._open, (room - len(ids), number))
        if len(self._open) > max(FEWEST_OPEN, OPEN_TOKENS // self._seq_len):
            self._close(self._open.pop(0)[1])

    def _close(self, number: int) -> None:
        self.emit(np.concatenate(self._rows.pop(number)), NOTHING)


def unmarked(row: Tokens) -> Block:
    """Return a row of marked tokens as the model needs it."""
    if not (row > TOKEN).any():
        return Block(ids=row, labels=row)
    ids = row & TOKEN
    labels = np.where(row & MUTE, np.int32(IGNORED), ids)
    starts = np.flatnonzero(row & START)
    if not starts[1:].size:
        return Block(ids=ids, labels=labels)
    count = np.arange(len(row), dtype=np.int32)
    lengths = np.diff(starts, append=len(row))
    positions = count - np.repeat(starts, lengths).astype(np.int32)
    return Block(ids=ids, labels=labels, positions=positions)


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
