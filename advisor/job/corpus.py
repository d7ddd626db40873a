"""The run's data as the training sees it: one part to learn from, one held out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .data import Block, Layout
from .faults import JobError
from .files import say
from .records import read_records
from .rendering import encode
from .rows import Record
from .signals import Stop
from .split import key_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """The data files, and the keys of the records that are held out."""

    paths: tuple[Path, ...]
    held: frozenset[bytes]
    seed: int
    stop: Stop

    def records(self) -> Iterator[Record]:
        """Yield all records in order; raise Stopped as soon as a stop is asked for."""
        for record in read_records(self.paths):
            self.stop.check()
            yield record

    def holds_out(self, record: Record) -> bool:
        """Return whether the record is one to validate on."""
        return key_of(record, self.seed) in self.held

    def part(self, *, held: bool) -> Iterator[Record]:
        """Yield the records to validate on, or the others."""
        return (record for record in self.records() if self.holds_out(record) == held)


def lay_out(
    corpus: Corpus,
    tokenizer: Any,  # noqa: ANN401
    *,
    seq_len: int,
    packing: bool,
) -> tuple[list[Block], list[Block]]:
    """Return the blocks to train on and those to validate on; say what was cut."""
    train, validation = (Layout(seq_len=seq_len, packing=packing) for _ in range(2))
    for record, example in encode(corpus.records(), tokenizer):
        (validation if corpus.holds_out(record) else train).add(example)
    if cut := train.cut + validation.cut:
        dropped = train.dropped + validation.dropped
        say(
            f"{cut} examples were longer than {seq_len} tokens and cut; "
            f"{dropped} examples had nothing left to learn and were dropped"
        )
    blocks = train.finish(), validation.finish()
    if not blocks[0]:
        hint = "raise seq_len, or shorten the prompts"
        raise JobError("data_unusable", "nothing to learn within seq_len tokens", hint=hint)
    say(f"{len(blocks[0])} rows to train on, {len(blocks[1])} held out")
    return blocks
