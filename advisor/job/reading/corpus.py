"""The data of one stage, by part: what is learned from, and what is held out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from ..plan import Stage
from ..records import read_records
from ..signals import Stop
from .rows import Record
from .split import held_out, key_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """The records of a stage; `held` are the keys of those held out of the training files."""

    stage: Stage
    held: frozenset[bytes]
    stop: Stop

    @classmethod
    def check(cls, stage: Stage, stop: Stop) -> Self:
        """Read all data once, so that every fault in it is found before anything heavy is loaded.

        Raises:
            DataError: with every fault.
        """
        settings = stage.settings
        records = read_records(stage.paths("train"))
        held = held_out(records, share=settings.validation_share, seed=settings.seed)
        return cls(stage=stage, held=held, stop=stop)

    def records(self, role: str = "train") -> Iterator[Record]:
        """Yield the records of a role in order; raise Stopped as soon as a stop is asked for."""
        for record in read_records(self.stage.paths(role)):
            self.stop.check()
            yield record

    def holds_out(self, record: Record) -> bool:
        """Return whether the record is one to validate on."""
        return key_of(record, self.stage.settings.seed) in self.held

    def part(self, *, held: bool) -> Iterator[Record]:
        """Yield the records to validate on, or those to learn from."""
        return (record for record in self.records() if self.holds_out(record) == held)
