"""How many tokens and rows the data makes, from a sample and the base's own tokenizer."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from advisor.job.records import Record, read_records
from advisor.units import BYTES_PER_TOKEN

SAMPLED_RECORDS = 200
# What the plain dialogue template adds to a pair: its role marks and the end of text.
TEMPLATE_TOKENS = 12


class Sample(NamedTuple):
    """The lengths in tokens of the first records; `splits` where a text may go on in a new row.

    `learned` is how many tokens of all of them the loss counts: completions, and whole texts.
    """

    lengths: tuple[int, ...]
    splits: bool
    learned: int

    @property
    def tokens_per_record(self) -> float:
        """Return the mean length of a record."""
        return sum(self.lengths) / len(self.lengths)

    def rows_per_record(self, seq_len: int) -> float:
        """Return the rows of `seq_len` tokens that a record takes when packed, as the job packs."""
        if self.splits:
            return self.tokens_per_record / seq_len
        return _packed(self.lengths, seq_len) / len(self.lengths)

    def fill(self, seq_len: int) -> float:
        """Return the share of a row that holds tokens and no padding."""
        longest = (min(length, seq_len) for length in self.lengths)
        if self.splits:
            return 1.0
        return sum(longest) / (_packed(self.lengths, seq_len) * seq_len)

    @property
    def learned_per_record(self) -> float:
        """Return the mean number of tokens of a record that the loss counts."""
        return self.learned / len(self.lengths)

    def cut(self, seq_len: int) -> float:
        """Return the share of records that lose what lies beyond `seq_len` tokens."""
        if self.splits:
            return 0.0
        return sum(length > seq_len for length in self.lengths) / len(self.lengths)


def sample_of(base: str | None, data: Sequence[Path]) -> Sample:
    """Measure the first records; without a tokenizer on disk, at `BYTES_PER_TOKEN`."""
    records = list(islice(read_records(data), SAMPLED_RECORDS))
    splits = all(record.kind == "text" for record in records)
    added = 0 if splits else TEMPLATE_TOKENS
    lengths = _lengths(base, ["\n".join(record.content[1:]) for record in records])
    learned = _lengths(base, [_learned(record) for record in records])
    return Sample(
        lengths=tuple(length + added for length in lengths), splits=splits, learned=sum(learned)
    )


def _learned(record: Record) -> str:
    """Return what the loss counts of a record: a text, a completion, the assistant's turns."""
    said = [turn["content"] for turn in record.messages if turn["role"] == "assistant"]
    return "\n".join([record.text, record.completion, *said])


def _lengths(base: str | None, texts: Sequence[str]) -> list[int]:
    file = Path(base or "") / "tokenizer.json"
    if base is None or not file.is_file():
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
