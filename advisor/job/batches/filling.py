"""One set of rows being written: records come in, rows go to the disk."""

from pathlib import Path
from typing import Final, NamedTuple

from ..files import say, sha256_of
from ..reading.findings import Findings
from ..records import Record
from ..settings import Settings
from .objectives import Objective
from .packing import Layout
from .storage import Writer
from .usable import fault_of

# Enough for all threads of the tokenizer, and for examples that fill each other's rows.
PLACED_CHARACTERS: Final = 2_000_000
# The settings that decide, beside data and tokenizer, which rows there are and what is in them.
DECISIVE: Final = (
    *("objective", "seq_len", "loss_on", "labels", "seed", "validation_share", "group_by"),
    *("replay_share", "bad_records"),
)


class Pattern(NamedTuple):
    """By what rows are made; `tokenizer` is a hash."""

    settings: Settings
    objective: Objective
    packing: bool
    tokenizer: str

    def key(self, data: str) -> str:
        """Return a hash of all that decides what rows this data makes."""
        settings = self.settings.to_dict()
        decisive = {name: settings[name] for name in DECISIVE}
        return sha256_of([decisive, self.packing, self.tokenizer, data])


class Filler:
    """Turns records into the rows `name` in `folder`; `findings` gets those that are of no use."""

    def __init__(self, pattern: Pattern, folder: Path, name: str, findings: Findings) -> None:
        self.writer = Writer(folder, name)
        self._pattern = pattern
        self._findings = findings
        self._waiting: list[Record] = []
        self._characters = 0
        self.layout = Layout(
            self.writer.add,
            seq_len=pattern.settings.seq_len,
            page=pattern.objective.page,
            packing=pattern.packing,
        )

    def add(self, record: Record) -> None:
        """Take a record; from time to time many are placed at once."""
        if fault := fault_of(record, self._pattern.settings):
            self._findings.bad_row(record.path, record.line, fault)
            return
        self._waiting.append(record)
        self._characters += sum(map(len, record.content))
        if self._characters >= PLACED_CHARACTERS:
            self._place()

    def settle(self) -> None:
        """Make rows of all records so far, the last of them as full as they are."""
        self._place()
        self.layout.finish()

    def _place(self) -> None:
        self._pattern.objective.place(self._waiting, self.layout, self._findings)
        self._waiting, self._characters = [], 0


def tell(findings: Findings, layouts: list[Layout], seq_len: int) -> None:
    """Raise DataError for records of no use, or say what was passed over, cut and dropped."""
    findings.tell()
    if findings.skipped:
        say(findings.told_skipped())
    if cut := sum(layout.cut for layout in layouts):
        dropped = sum(layout.dropped for layout in layouts)
        say(
            f"{cut} examples were longer than {seq_len} tokens and cut; "
            f"{dropped} examples had nothing left to learn and were dropped"
        )
