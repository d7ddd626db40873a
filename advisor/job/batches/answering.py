"""Sequence to sequence: prompts are answered, hidden spans of a text told."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.random import Generator

from ..reading.findings import Findings
from ..reading.rows import RowFault
from ..records import Record
from ..settings import Settings
from .encoding import Encoder, unfit
from .noise import Spans
from .packing import Block, Layout, Page
from .rendering import Tokens, question_and_answer

EMPTY_ANSWER: Final = RowFault("the answer has no tokens", "write one, or drop the row")
SENTINEL: Final = re.compile(r"<extra_id_(\d+)>")


class SequenceToSequence:
    """Answers: the completion of a prompt, or the hidden spans of a text.

    Texts are always joined, so that they fill the rows once their spans are hidden. An answer ends
    with the end-of-text token, unless it was cut.
    """

    answers = True

    def __init__(self, settings: Settings, encoder: Encoder, *, packing: bool) -> None:  # noqa: ARG002
        self._encoder = encoder
        self._seq_len = settings.seq_len
        sentinels = _sentinels(encoder.tokenizer)
        self._spans = Spans(sentinels, encoder.opening, encoder.closing, encoder.end)
        self.page = Page(self._spans.width(settings.seq_len) if len(sentinels) else 0, joined=True)

    def place(self, records: Sequence[Record], layout: Layout, findings: Findings) -> None:
        """Join texts, and lay out each pair as a row."""
        texts = [record.text for record in records if record.kind == "text"]
        if texts and not self.page.width:
            raise unfit("no <extra_id_0> … to stand for hidden spans of text")
        end = np.array([self._encoder.end], dtype=np.int32)
        for ids in self._encoder.each(texts):
            layout.text(np.concatenate([ids, end]))
        pairs = [record for record in records if record.kind != "text"]
        rendered = [question_and_answer(record, self._encoder.tokenizer) for record in pairs]
        tokens = self._encoder.each([text for pair in rendered for text in pair])
        for record, question, answer in zip(pairs, tokens[0::2], tokens[1::2], strict=True):
            if len(answer):
                self._lay(question, answer, layout)
            else:
                findings.bad_row(record.path, record.line, EMPTY_ANSWER)

    def block(self, ids: Tokens, labels: Tokens, chance: Callable[[], Generator]) -> Block:
        """Return the pair, or the text with other spans hidden in each epoch."""
        if not len(labels):
            ids, labels = self._spans.hidden(ids, chance())
        return Block(ids=ids, labels=labels)

    def _lay(self, question: Tokens, answer: Tokens, layout: Layout) -> None:
        read = self._encoder.framed(question, self._seq_len)
        opening, closing = self._encoder.opening, self._encoder.closing
        end = closing if self._encoder.end in closing else np.append(closing, self._encoder.end)
        told = np.concatenate([opening, answer, end.astype(np.int32)])
        whole = len(question) + len(opening) + len(closing)
        cut = max(whole, len(told)) > self._seq_len
        layout.whole(read, told[: self._seq_len], cut=cut)


def _sentinels(tokenizer: Any) -> Tokens:  # noqa: ANN401
    """Return the tokens that stand for hidden spans, <extra_id_0> first."""
    found = [(SENTINEL.fullmatch(token), number) for token, number in tokenizer.get_vocab().items()]
    numbered = sorted((int(match[1]), number) for match, number in found if match)
    return np.array([number for _, number in numbered], dtype=np.int32)
