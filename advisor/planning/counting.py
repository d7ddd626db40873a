"""How many tokens and rows the data makes, from a sample and the base's own tokenizer."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from advisor.job.records import Record
from advisor.planning.inputs import Material
from advisor.units import BYTES_PER_TOKEN

SAMPLED_RECORDS = 200
# What the plain dialogue template adds to a pair: its role marks and the end of text.
TEMPLATE_TOKENS = 12
# What surrounds any other row: its beginning and its end.
MARKS = 2
# Share of tokens that are masked and learned. Source: BERT, arXiv 1810.04805, section 3.1.
MASKED = 0.15
# Rows are no shorter than this, so that a longer record outside of the sample is not cut.
LEAST_ROW = 64


class Layout(NamedTuple):
    """How rows are made: joined or padded, of so many tokens, so many rows at a time."""

    packing: bool
    seq_len: int
    micro_batch: int = 1


class Sample(NamedTuple):
    """The lengths in tokens of the first records; `splits` where a text may go on in a new row.

    `learned` is how many tokens of all of them the loss counts: completions, and whole texts.
    """

    lengths: tuple[int, ...]
    splits: bool
    learned: float

    @property
    def tokens_per_record(self) -> float:
        """Return the mean length of a record."""
        return sum(self.lengths) / len(self.lengths)

    @property
    def learned_per_record(self) -> float:
        """Return the mean number of tokens of a record that the loss counts."""
        return self.learned / len(self.lengths)

    def rows_per_record(self, layout: Layout) -> float:
        """Return the rows that a record takes: packed as the job packs, or one of its own."""
        if self.splits:
            return self.tokens_per_record / layout.seq_len
        if not layout.packing:
            return 1.0
        return _packed(self.lengths, layout.seq_len) / len(self.lengths)

    def row_tokens(self, layout: Layout) -> float:
        """Return the tokens of a row with its padding: rows of like length are padded together."""
        if self.splits or layout.packing:
            return float(layout.seq_len)
        lengths = sorted(min(length, layout.seq_len) for length in self.lengths)
        size = max(1, layout.micro_batch)
        batches = [lengths[at : at + size] for at in range(0, len(lengths), size)]
        return sum(batch[-1] * len(batch) for batch in batches) / len(lengths)

    def fill(self, layout: Layout) -> float:
        """Return the share of a row that holds tokens and no padding."""
        if self.splits:
            return 1.0
        held = sum(min(length, layout.seq_len) for length in self.lengths) / len(self.lengths)
        return held / (self.rows_per_record(layout) * self.row_tokens(layout))

    def labelled(self, layout: Layout) -> float:
        """Return the share of a row's positions, padding among them, that the loss counts."""
        positions = self.rows_per_record(layout) * self.row_tokens(layout)
        return min(1.0, self.learned_per_record / positions)

    def cut(self, seq_len: int) -> float:
        """Return the share of records that lose what lies beyond `seq_len` tokens."""
        if self.splits:
            return 0.0
        return sum(length > seq_len for length in self.lengths) / len(self.lengths)

    @property
    def row_for_the_longest(self) -> int:
        """Return the least power of two that holds every record of the sample."""
        return 1 << (max(LEAST_ROW, *self.lengths) - 1).bit_length()


def sample_of(tokenizer: str | None, material: Material, objective: str) -> Sample:
    """Measure the first records; without a tokenizer on disk, at `BYTES_PER_TOKEN`."""
    records = material.first(SAMPLED_RECORDS)
    splits = all(record.kind == "text" for record in records)
    lengths = _lengths(tokenizer, [_read(record, objective) for record in records])
    added = 0 if splits else _added(objective)
    return Sample(
        lengths=tuple(length + added for length in lengths),
        splits=splits,
        learned=_learned(tokenizer, records, lengths, objective),
    )


def _added(objective: str) -> int:
    return TEMPLATE_TOKENS if objective == "clm" else MARKS


def _read(record: Record, objective: str) -> str:
    """Return what stands in a row of the record: for seq2seq what its encoder reads."""
    if objective == "seq2seq" and record.kind != "text":
        asked = [turn["content"] for turn in record.messages[:-1]]
        return "\n".join([record.prompt, *asked])
    return "\n".join(record.content[1:])


def _learned(
    tokenizer: str | None, records: Sequence[Record], lengths: Sequence[int], objective: str
) -> float:
    """Return the tokens that the loss counts: a label, a tag each, masked words, completions."""
    if objective == "mlm":
        return MASKED * sum(lengths)
    if objective == "classification":
        return float(len(records))
    if objective == "extraction":
        return float(sum(len(record.tokens) for record in records))
    return float(sum(_lengths(tokenizer, [_said(record) for record in records])))


def _said(record: Record) -> str:
    """Return what the loss counts of a record: a text, a completion, the assistant's turns."""
    said = [turn["content"] for turn in record.messages if turn["role"] == "assistant"]
    return "\n".join([record.text, record.completion, *said])


def _lengths(tokenizer: str | None, texts: Sequence[str]) -> list[int]:
    file = Path(tokenizer or "") / "tokenizer.json"
    if tokenizer is None or not file.is_file():
        return [max(1, round(len(text) / BYTES_PER_TOKEN)) for text in texts]
    from tokenizers import Tokenizer  # noqa: PLC0415 - only a plan counts tokens

    encodings = Tokenizer.from_file(str(file)).encode_batch(texts)
    return [max(1, len(encoding.ids)) for encoding in encodings]


def _packed(lengths: Iterable[int], seq_len: int) -> int:
    """Return the rows when each example goes into the first row with room."""
    rooms: list[int] = []
    for length in lengths:
        needed = min(length, seq_len)
        place = next((at for at, room in enumerate(rooms) if room >= needed), None)
        if place is None:
            rooms.append(seq_len - needed)
        else:
            rooms[place] -= needed
    return len(rooms)
