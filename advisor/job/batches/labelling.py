"""Classification and extraction: a text, or each of its words, has one of the plan's labels."""

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
from numpy.random import Generator

from ..reading.findings import Findings
from ..records import Record
from ..settings import Settings
from .encoding import Encoder
from .packing import Block, Layout, Page
from .rendering import IGNORED, Tokens


class _Labelling:
    """What both have: the number of each label; rows stay apart, and as they are."""

    answers = False

    def __init__(self, settings: Settings, encoder: Encoder, *, packing: bool) -> None:  # noqa: ARG002
        self.page = Page(settings.seq_len, joined=False)
        self._encoder = encoder
        self._seq_len = settings.seq_len
        self._number = {label: number for number, label in enumerate(settings.labels)}

    def block(self, ids: Tokens, labels: Tokens, chance: Callable[[], Generator]) -> Block:  # noqa: ARG002
        """Return the row as it is."""
        return Block(ids=ids, labels=labels)


class Classification(_Labelling):
    """Tells which of the plan's labels a text has."""

    def place(self, records: Sequence[Record], layout: Layout, findings: Findings) -> None:  # noqa: ARG002
        """Lay out each text as a row, cut at its end where it is too long."""
        tokens = self._encoder.each([record.text for record in records])
        for record, ids in zip(records, tokens, strict=True):
            row = self._encoder.framed(ids, self._seq_len)
            number = self._number[record.label]
            whole = len(ids) + len(self._encoder.opening) + len(self._encoder.closing)
            cut = len(row) < whole
            layout.whole(row, np.array([number], dtype=np.int32), cut=cut)


class Extraction(_Labelling):
    """Tells the tag of each word; the first piece of a word carries it."""

    def place(self, records: Sequence[Record], layout: Layout, findings: Findings) -> None:  # noqa: ARG002
        """Lay out each record as a row; words beyond it are cut off."""
        spaced = [
            (*record.tokens[:1], *(self._encoder.space + w for w in record.tokens[1:]))
            for record in records
        ]
        words = list(dict.fromkeys(chain.from_iterable(spaced)))
        pieces = dict(zip(words, self._encoder.each(words), strict=True))
        for record, row in zip(records, spaced, strict=True):
            self._lay([pieces[word] for word in row], record.tags, layout)

    def _lay(self, words: list[Tokens], tags: Sequence[str], layout: Layout) -> None:
        ids = np.concatenate(words)
        lengths = np.array([len(word) for word in words])
        labels = np.full(len(ids), IGNORED, dtype=np.int32)
        firsts = np.cumsum(lengths) - lengths
        numbers = np.array([self._number[tag] for tag in tags], dtype=np.int32)
        labels[firsts[lengths > 0]] = numbers[lengths > 0]
        row = self._encoder.framed(ids, self._seq_len)
        start = len(self._encoder.opening)
        room = len(row) - start - len(self._encoder.closing)
        learned = np.full(len(row), IGNORED, dtype=np.int32)
        learned[start : start + room] = labels[:room]
        layout.whole(row, learned, cut=room < len(ids))
