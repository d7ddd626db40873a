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
    """The lengths in tokens of the first records; `splits` where a text may go on in a new row."""

    lengths: tuple[int, ...]
    splits: bool

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


def sample_of(base: str | None, data: Sequence[Path]) -> Sample:
    """Measure the first records; without a tokenizer on disk, at `BYTES_PER_TOKEN`."""
    records = list(islice(read_records(data), SAMPLED_RECORDS))
    splits = all(record.kind == "text" for record in records)
    added = 0 if splits else TEMPLATE_TOKENS
    lengths = tuple(length + added for length in _lengths(base, records))
    return Sample(lengths=lengths, splits=splits)


def _lengths(base: str | None, records: Iterable[Record]) -> list[int]:
    texts = ["\n".join(record.content[1:]) for record in records]
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
