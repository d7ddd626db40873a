"""The book: all decision tables of one folder, and an organisation's own beside them."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

from advisor.errors import AdvisorError, ErrorName
from advisor.places import shipped
from advisor.tables.reading import Reading
from advisor.tables.rows import (
    Choice,
    Override,
    Rule,
    read_choices,
    read_overrides,
    read_rules,
)

RuleSet = Literal["all", "documents"]
SHIPPED_SETS = ("documents", "evidence")

T = TypeVar("T")


class RuleBook:
    """All decision tables of one folder, each read when it is first asked for.

    `own` is the folder of an organisation's own pack. Its rules and overrides are added, and its
    rows of a choice table go before those of `folder`. It is read and checked at once.

    Raises:
        AdvisorError: `rules_invalid`, with every fault of the own pack.
    """

    def __init__(self, folder: Path | None = None, own: Path | None = None) -> None:
        self.folder = folder or shipped("rules")
        self.own_folder = own
        self._choices: dict[str, tuple[Choice, ...]] = {}
        if own is not None:
            from advisor.tables.checks import require_usable  # noqa: PLC0415 - few have a pack

            require_usable(self)

    @cached_property
    def documents(self) -> tuple[Rule, ...]:
        """Return the rows of the articles' own tables."""
        return _usable(read_rules(self.folder / "documents", "documents"))

    @cached_property
    def evidence(self) -> tuple[Rule, ...]:
        """Return the rows that real projects support."""
        return _usable(read_rules(self.folder / "evidence", "evidence"))

    @cached_property
    def own(self) -> tuple[Rule, ...]:
        """Return the rows of the organisation's own pack."""
        if self.own_folder is None:
            return ()
        return _usable(read_rules(self.own_folder, own_set(self.own_folder)))

    @cached_property
    def overrides(self) -> tuple[Override, ...]:
        """Return how the conflicts between rows are resolved."""
        shipped_ones = _usable(read_overrides(self.folder / "evidence" / "conflicts.csv"))
        if self.own_folder is None or not (file := self.own_folder / "conflicts.csv").exists():
            return shipped_ones
        return shipped_ones + _usable(read_overrides(file))

    def of(self, rule_set: RuleSet) -> tuple[Rule, ...]:
        """Return the rows that speak: all of them, or the articles' alone."""
        return self.documents + (self.evidence + self.own if rule_set == "all" else ())

    def choices(self, name: str) -> tuple[Choice, ...]:
        """Return the rows of the choice table `choices/<name>.csv`, in their order."""
        if name not in self._choices:
            self._choices[name] = self._own_choices(name) + _usable(
                read_choices(self.folder / "choices" / f"{name}.csv")
            )
        return self._choices[name]

    def first(self, name: str, facts: Mapping[str, object]) -> Choice | None:
        """Return the first row of a choice table that fits, or None."""
        return next((row for row in self.choices(name) if row.fits(facts)), None)

    def _own_choices(self, name: str) -> tuple[Choice, ...]:
        if self.own_folder is None:
            return ()
        file = self.own_folder / "choices" / f"{name}.csv"
        return _usable(read_choices(file)) if file.exists() else ()


def own_set(folder: Path) -> str:
    """Return the name of the set that the rules of an own pack are of: that of its folder."""
    name = folder.resolve().name
    return "own" if name in ("", *SHIPPED_SETS) else name


def _usable(reading: Reading[T]) -> tuple[T, ...]:
    if reading.faults:
        raise AdvisorError(
            ErrorName.RULES_INVALID, "a decision table cannot be used", reading.faults
        )
    return tuple(reading.rows)
