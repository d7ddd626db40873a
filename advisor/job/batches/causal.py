"""Next-token prediction: texts joined, dialogues packed."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Final

import numpy as np
from jinja2 import TemplateError
from numpy.random import Generator

from ..reading.findings import Findings
from ..reading.rows import RowFault
from ..records import Record
from ..settings import Settings
from .encoding import Encoder
from .packing import MUTE, Block, Layout, Page, unmarked
from .rendering import Piece, Tokens, dialogue_pieces, turns_of

CHANGE_TURNS: Final = "change its turns, or use another base"


class Causal:
    """Predicts the next token: of all of a text, of a dialogue's answers (or all, as settings say).

    A text ends with the end-of-text token.
    """

    answers = False

    def __init__(self, settings: Settings, encoder: Encoder, *, packing: bool) -> None:
        self.page = Page(settings.seq_len, joined=packing)
        self._encoder = encoder
        self._all = settings.loss_on == "all"
        opening = encoder.opening[encoder.opening != encoder.end]
        self._text = opening, np.array([encoder.end], dtype=np.int32)

    def place(self, records: Sequence[Record], layout: Layout, findings: Findings) -> None:
        """Join texts, and lay out dialogues with their marks."""
        texts = [record.text for record in records if record.kind == "text"]
        opening, end = self._text
        for ids in self._encoder.each(texts):
            layout.text(np.concatenate([opening, ids, end]))
        dialogues = (record for record in records if record.kind != "text")
        pieces = [found for found in (self._pieces(one, findings) for one in dialogues) if found]
        layout.examples(self._marked(pieces))

    def block(self, ids: Tokens, labels: Tokens, chance: Callable[[], Generator]) -> Block:  # noqa: ARG002
        """Return the row without its marks."""
        return unmarked(ids)

    def _pieces(self, record: Record, findings: Findings) -> list[Piece]:
        try:
            return dialogue_pieces(turns_of(record), self._encoder.tokenizer)
        except TemplateError as error:
            reason = f"the base's chat template refuses this dialogue: {error}"
            findings.bad_row(record.path, record.line, RowFault(reason, CHANGE_TURNS))
            return []

    def _marked(self, dialogues: list[list[Piece]]) -> list[Tokens]:
        if not dialogues:
            return []
        pieces = list(chain.from_iterable(dialogues))
        tokens, counts = self._encoder.flat([text for text, _ in pieces])
        mute = np.array([not (learned or self._all) for _, learned in pieces])
        tokens |= np.repeat(mute * np.int32(MUTE), counts)
        ends = np.cumsum(counts)[np.cumsum([len(one) for one in dialogues]) - 1]
        return np.split(tokens, ends[:-1])
