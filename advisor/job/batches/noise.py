"""What is hidden from the model to be guessed: single tokens (BERT) or spans (T5)."""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .rendering import IGNORED, Tokens

SHARE = 0.15
SPAN = 3.0
MASKED, KEPT = 0.8, 0.9  # of the hidden tokens: masked up to here; then other tokens; then as is


class Masks(NamedTuple):
    """What a masked token becomes, how many tokens there are, and which are never masked."""

    mask: int
    vocabulary: int
    special: Tokens

    def hidden(self, ids: Tokens, chance: Generator) -> tuple[Tokens, Tokens]:
        """Return the row with 15 % of its tokens hidden, at least one, and the labels.

        Of these 80 % are masked, 10 % replaced, 10 % left (Devlin et al., arXiv 1810.04805).
        """
        free = np.flatnonzero(~np.isin(ids, self.special))
        labels = np.full(len(ids), IGNORED, dtype=np.int32)
        if not free.size:
            return ids, labels
        chosen = chance.choice(free, max(1, round(SHARE * len(free))), replace=False)
        labels[chosen] = ids[chosen]
        read = ids.copy()
        fate = chance.random(len(chosen))
        others = chance.integers(self.vocabulary, size=len(chosen), dtype=np.int32)
        read[chosen] = np.where(
            fate < MASKED, self.mask, np.where(fate < KEPT, others, read[chosen])
        )
        return read, labels


class Spans(NamedTuple):
    """The tokens that stand for hidden spans, in order, and what ends an input and an answer."""

    sentinels: Tokens
    opening: Tokens
    closing: Tokens
    end: int

    def hidden(self, ids: Tokens, chance: Generator) -> tuple[Tokens, Tokens]:
        """Return the text with a sentinel for each hidden span, and the answer that tells them.

        15 % of the tokens in spans of 3 on average (Raffel et al., arXiv 1910.10683).
        """
        noise, count = self._sizes(len(ids))
        lengths = np.empty(2 * count, dtype=np.int64)
        lengths[0::2] = _parts(len(ids) - noise, count, chance)
        lengths[1::2] = _parts(noise, count, chance)
        starts = np.cumsum(lengths)[0::2]
        hidden = np.repeat(np.arange(2 * count) % 2 == 1, lengths)
        sentinels = self.sentinels[:count]
        read = ids.copy()
        read[starts] = sentinels
        shown = ~hidden
        shown[starts] = True
        told = np.insert(ids[hidden], np.cumsum(lengths[1::2]) - lengths[1::2], sentinels)
        answer = np.append(told, np.int32(self.end))
        return np.concatenate([self.opening, read[shown], self.closing]), answer

    def width(self, seq_len: int) -> int:
        """Return how many tokens of text fill an input of `seq_len` once spans are hidden."""
        width = room = seq_len - len(self.opening) - len(self.closing)
        while self._shown(width + 1) <= room:
            width += 1
        return width

    def _shown(self, length: int) -> int:
        noise, count = self._sizes(length)
        return length - noise + count

    def _sizes(self, length: int) -> tuple[int, int]:
        """Return how many tokens of `length` are hidden, and in how many spans."""
        noise = min(max(1, round(SHARE * length)), length - 1)
        count = max(1, round(noise / SPAN))
        return noise, min(count, length - noise, len(self.sentinels))


def _parts(total: int, count: int, chance: Generator) -> NDArray[np.int64]:
    """Return `count` random lengths of 1 or more that add up to `total`."""
    cuts = np.sort(chance.choice(total - 1, count - 1, replace=False)) + 1
    return np.diff(np.concatenate([[0], cuts, [total]]))
