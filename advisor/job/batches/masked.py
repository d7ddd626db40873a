"""Masked language modelling: hidden tokens of running text are guessed."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

from ..reading.findings import Findings
from ..records import Record
from ..settings import Settings
from .encoding import Encoder, unfit
from .noise import Masks
from .packing import NOTHING, Block, Layout, Page
from .rendering import Tokens, running_text


class Masked:
    """Guesses hidden tokens of running text: that of pairs and dialogues too, their parts joined.

    Each row stands between the tokens that the tokenizer puts around a text ([CLS] and [SEP]);
    joined texts are parted by the closing one.
    """

    answers = False

    def __init__(self, settings: Settings, encoder: Encoder, *, packing: bool) -> None:
        tokenizer = encoder.tokenizer
        if tokenizer.mask_token_id is None:
            raise unfit("no mask token to learn mlm with")
        opening, closing = encoder.opening, encoder.closing
        width = settings.seq_len - len(opening) - len(closing)
        self.page = Page(width, joined=packing, opening=opening, closing=closing)
        self._encoder = encoder
        self._between = closing[-1:] if packing else NOTHING
        special = np.array(sorted(tokenizer.all_special_ids), dtype=np.int32)
        self._masks = Masks(int(tokenizer.mask_token_id), len(tokenizer), special)

    def place(self, records: Sequence[Record], layout: Layout, findings: Findings) -> None:  # noqa: ARG002
        """Join the text of all records."""
        for ids in self._encoder.each([running_text(record) for record in records]):
            layout.text(np.concatenate([ids, self._between]))

    def block(self, ids: Tokens, labels: Tokens, chance: Callable[[], Generator]) -> Block:  # noqa: ARG002
        """Return the row with other tokens hidden in each epoch."""
        read, learned = self._masks.hidden(ids, chance())
        return Block(ids=read, labels=learned)
