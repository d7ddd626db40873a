"""The data of one stage, by part: what is learned from, and what is held out."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Self

from ..faults import Fault
from ..files import say
from ..plan import Stage
from ..records import data_files, read_file
from ..settings import Settings
from ..signals import Stop
from .findings import Findings
from .rows import Record, RowFault
from .split import Held, Keys, key_of, side_key

# Those to measure on come first: what they hold must not be learned from.
MEASURED: Final = ("validation", "out_of_domain")
ROLES: Final = (*MEASURED, "general", "train")
SPLIT: Final = ("validation", "train")
KIND_OF: Final = {"classification": "label", "extraction": "tags"}
COLUMNS_OF: Final = {"label": "text and label", "tags": "tokens and tags"}
PLACE_CHARACTERS: Final = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """The records of a stage; `held` are the keys of those held out of the training files.

    `counts` tells how many records each role has, `skipped` how many bad rows of each file were
    passed over.
    """

    stage: Stage
    held: Held
    stop: Stop
    counts: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def check(cls, stage: Stage, stop: Stop) -> Self:
        """Read all data once, so that every fault in it is found before anything heavy is loaded.

        Nothing is held out of the training files where there are files to validate on.

        Raises:
            DataError: with every fault of all files; one is a record to learn from that stands in
                the files to measure on as well.
        """
        settings = stage.settings
        check = _Check(settings)
        data_files(path for role in ROLES for path in stage.paths(role))
        for role in ROLES:
            for record in _records(stage, role, check.findings):
                stop.check()
                check.add(record, role)
        check.findings.tell()
        if check.findings.skipped:
            say(check.findings.told_skipped())
        share = 0.0 if stage.paths("validation") else settings.validation_share
        return cls(
            stage=stage,
            held=check.keys.held(share),
            stop=stop,
            counts=dict(check.counts),
            skipped=dict(check.findings.skipped),
        )

    def records(self, role: str = "train") -> Iterator[Record]:
        """Yield the records of a role in order; raise Stopped as soon as a stop is asked for."""
        findings = Findings(skip_bad=self.stage.settings.bad_records == "skip")
        for record in _records(self.stage, role, findings):
            self.stop.check()
            yield record
        findings.tell()

    def holds_out(self, record: Record) -> bool:
        """Return whether a record of the training files is one to validate on."""
        return bool(self.held) and side_key(record, self.stage.settings.seed) in self.held

    def sides(self) -> Iterator[tuple[Record, bool]]:
        """Yield each record to learn from or to validate on, in one pass, and whether it is held.

        Held are those held out of the training files, and those of the files to validate on.
        """
        for record in self.records():
            yield record, self.holds_out(record)
        for record in self.records("validation"):
            yield record, True

    def part(self, *, held: bool) -> Iterator[Record]:
        """Yield the records to validate on, or those to learn from."""
        if held and not self.held:
            return self.records("validation")
        return (record for record in self.records() if self.holds_out(record) == held)


class _Check:
    """What one pass over the data finds out."""

    def __init__(self, settings: Settings) -> None:
        self.findings = Findings(skip_bad=settings.bad_records == "skip")
        self.counts: Counter[str] = Counter()
        self.keys = Keys()
        self._seed = settings.seed
        self._measured: dict[bytes, str] = {}
        self._groups: dict[str, str] = {}

    def add(self, record: Record, role: str) -> None:
        """Take note of a record."""
        self.counts[role] += 1
        if role == "general":
            return
        key = key_of(record, self._seed)
        if role == "train":
            if self._measured:
                self._refuse_measured(record, key)
            self.keys.add(side_key(record, self._seed) if record.group else key)
        elif key not in self._measured or record.group:
            place = f"{_end(record.path)}:{record.line} ({role})"
            self._measured.setdefault(key, place)
            self._groups.setdefault(record.group, place)

    def _refuse_measured(self, record: Record, key: bytes) -> None:
        """Note a fault where a record to learn from is one to measure on, or of its group."""
        if place := self._measured.get(key):
            reason = f"the same record stands in {place}"
        elif record.group and (place := self._groups.get(record.group)):
            reason = f"its group stands in {place}"
        else:
            return
        hint = "drop one of the two"
        self.findings.note(Fault(path=record.path, line=record.line, reason=reason, hint=hint))


def _end(path: str) -> str:
    """Return the end of a path, which tells more than its beginning."""
    return path if len(path) <= PLACE_CHARACTERS else "…" + path[1 - PLACE_CHARACTERS :]


def _records(stage: Stage, role: str, findings: Findings) -> Iterator[Record]:
    settings = stage.settings
    group_by = settings.group_by if role in SPLIT else None
    kind = KIND_OF.get(settings.objective)
    misfit = None if kind is None or role == "general" else partial(_misfit, kind, settings.labels)
    for path in data_files(stage.paths(role)):
        yield from read_file(path, findings, group_by=group_by, misfit=misfit)


def _misfit(kind: str, labels: tuple[str, ...], record: Record) -> RowFault | None:
    """Return why a record is none that the objective can learn from."""
    if record.kind != kind:
        return RowFault(
            f"no {kind} row, which the objective needs", f"a row needs {COLUMNS_OF[kind]}"
        )
    unknown = next((label for label in record.labels if label not in labels), None)
    if unknown is None:
        return None
    return RowFault(f"{unknown!a} is none of the labels", "correct it, or plan with this label")
