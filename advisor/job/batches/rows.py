"""The rows that a stage trains and validates on, laid out from its corpus."""

from typing import Any

from ..faults import JobError
from ..files import say
from ..reading.corpus import Corpus
from .packing import Block, Layout
from .rendering import encode


def lay_out(
    corpus: Corpus,
    tokenizer: Any,  # noqa: ANN401
    *,
    packing: bool,
) -> tuple[list[Block], list[Block]]:
    """Return the rows to train on and those to validate on; say what was cut."""
    seq_len = corpus.stage.settings.seq_len
    train, validation = (Layout(seq_len=seq_len, packing=packing) for _ in range(2))
    for record, example in encode(corpus.records(), tokenizer):
        (validation if corpus.holds_out(record) else train).add(example)
    if cut := train.cut + validation.cut:
        dropped = train.dropped + validation.dropped
        say(
            f"{cut} examples were longer than {seq_len} tokens and cut; "
            f"{dropped} examples had nothing left to learn and were dropped"
        )
    rows = train.finish(), validation.finish()
    if not rows[0]:
        hint = "raise seq_len, or shorten the prompts"
        raise JobError("data_unusable", "nothing to learn within seq_len tokens", hint=hint)
    say(f"{len(rows[0])} rows to train on, {len(rows[1])} held out")
    return rows
