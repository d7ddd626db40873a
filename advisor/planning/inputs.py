"""The data of a plan by role: surveyed file by file, every fault of all of them told at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.job.faults import DataError
from advisor.job.records import FileFacts, Record, Survey, data_files, read_records, survey

TRAIN, VALIDATION, GENERAL, OUT_OF_DOMAIN = "train", "validation", "general", "out_of_domain"
ROLES = (TRAIN, VALIDATION, GENERAL, OUT_OF_DOMAIN)
TEXT, LABEL, TAGS, MIXED = "text", "label", "tags", "mixed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """Files that serve one purpose, each surveyed by itself."""

    surveys: tuple[Survey, ...] = ()

    @property
    def files(self) -> tuple[FileFacts, ...]:
        """Return the facts of every file."""
        return tuple(chain.from_iterable(one.files for one in self.surveys))

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the path of every file."""
        return tuple(Path(one.path) for one in self.files)

    @property
    def records(self) -> int:
        """Return how many records there are."""
        return sum(one.records for one in self.surveys)

    @property
    def longest(self) -> int:
        """Return the characters of the longest record."""
        return max((one.longest for one in self.surveys), default=0)

    @property
    def form(self) -> str:
        """Return the one form that all files have, or `mixed`."""
        forms = {one.form for one in self.surveys}
        return forms.pop() if len(forms) == 1 else MIXED

    @property
    def labels(self) -> tuple[str, ...]:
        """Return every label, or tag, that a record has, in order of the alphabet."""
        return tuple(sorted({label for one in self.surveys for label in one.labels}))

    @property
    def skipped(self) -> int:
        """Return how many bad records are passed over."""
        return sum(count for one in self.surveys for count in one.skipped.values())

    def first(self, count: int) -> list[Record]:
        """Return records to take a sample of, as many of each file."""
        each = -(-count // max(1, len(self.paths)))
        skip_bad = self.skipped > 0
        return [
            record
            for path in self.paths
            for record in islice(read_records([path], skip_bad=skip_bad), each)
        ]

    def of_forms(self, *forms: str) -> "Material":
        """Return the files of these forms."""
        return Material(surveys=tuple(one for one in self.surveys if one.form in forms))

    def but(self, *forms: str) -> "Material":
        """Return the files of other forms."""
        return Material(surveys=tuple(one for one in self.surveys if one.form not in forms))


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """The data to train on, and what is only measured on, by role.

    `general_text` is what is to be written into the run folder in place of general data.
    """

    train: Material
    others: Mapping[str, Material]
    generated: FileFacts | None = None

    def has(self, role: str) -> bool:
        """Tell whether there is data of a role besides the data to train on."""
        return role in self.others or (role == GENERAL and self.generated is not None)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return every label of the data that is learned from or measured on."""
        measured = (one for role, one in self.others.items() if role != GENERAL)
        found = {label for one in (self.train, *measured) for label in one.labels}
        return tuple(sorted(found))

    @property
    def skipped(self) -> int:
        """Return how many bad records of all files are passed over."""
        return sum(one.skipped for one in (self.train, *self.others.values()))

    def training_on(self, material: Material) -> "Inputs":
        """Return the same inputs with other data to train on."""
        return replace(self, train=material)

    def by_role(self) -> Iterator[tuple[str, FileFacts]]:
        """Yield every file with its role."""
        for role, material in {TRAIN: self.train, **self.others}.items():
            yield from ((role, file) for file in material.files)
        if self.generated is not None:
            yield GENERAL, self.generated


def read_inputs(
    data: Sequence[Path], others: Mapping[str, Sequence[Path]], *, skip_bad: bool
) -> Inputs:
    """Return the data of every role; raise `data_unusable` with every fault of all files."""
    faults: list[Fault] = []
    wanted = {TRAIN: data, **others}
    found = {role: _material(paths, faults, skip_bad=skip_bad) for role, paths in wanted.items()}
    if faults:
        raise AdvisorError(ErrorName.DATA_UNUSABLE, "the data cannot be used", faults)
    return Inputs(train=found.pop(TRAIN), others=found)


def _material(paths: Iterable[Path], faults: list[Fault], *, skip_bad: bool) -> Material:
    surveys: list[Survey] = []
    try:
        files = data_files(paths)
    except DataError as error:
        faults += _told(error)
        return Material()
    for file in files:
        try:
            surveys.append(survey([file], skip_bad=skip_bad))
        except DataError as error:
            faults += _told(error)
    return Material(surveys=tuple(surveys))


def _told(error: DataError) -> list[Fault]:
    return [
        Fault(path=one.path, line=one.line, found=one.reason, hint=one.hint) for one in error.faults
    ]
