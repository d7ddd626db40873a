"""What a plan sets beside its recipe, or instead of it: each value with its source."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from advisor.catalog import Catalog, Recipe
from advisor.catalog.reading import Table
from advisor.tables import RuleBook

Value = float | int | str


USUAL = "of the run that the rate is from, or usual with the method"


class PlanSetting(NamedTuple):
    """One row of profiles/plan_settings.csv; what its conditions leave empty may be anything."""

    setting: str
    approach: str
    method: str
    objective: str
    params_up_to_b: float | None
    value: str
    why: str
    source: str
    date: str

    def fits(self, kind: "Kind") -> bool:
        """Tell whether the row is about such a training."""
        wanted = (self.approach, self.method, self.objective)
        named = all(
            not names or has in names.split("|")
            for names, has in zip(wanted, kind[:3], strict=True)
        )
        return named and (self.params_up_to_b is None or kind.params <= self.params_up_to_b * 1e9)


class Kind(NamedTuple):
    """What kind of training a value is looked up for."""

    approach: str
    method: str
    objective: str
    params: float


class Chosen(NamedTuple):
    """A value, and in words where it is from."""

    value: Value
    source: str


class Defaults:
    """The values of one kind of training: the table's, else the recipe's."""

    def __init__(self, catalog: Catalog, kind: Kind, recipe: Recipe | None) -> None:
        fitting = [row for row in _rows(catalog.folder) if row.fits(kind)]
        self._rows = {row.setting: row for row in reversed(fitting)}
        self._recipe = recipe

    def find(self, name: str) -> Chosen | None:
        """Return a value with its source, None where no row and no recipe has one."""
        row = self._rows.get(name)
        if row is not None:
            return Chosen(_read(row.value), f"{row.why}: {row.source} ({row.date})")
        if self._recipe is None or name not in Recipe._fields:
            return None
        value = getattr(self._recipe, name)
        source = recipe_source(self._recipe)
        return Chosen(value, source if name == "learning_rate" else f"{USUAL}: {source}")

    def of(self, name: str) -> Chosen:
        """Return a value that some row or the recipe has."""
        found = self.find(name)
        if found is None:
            raise KeyError(name)
        return found

    def number(self, name: str) -> float:
        """Return a value that is a number."""
        return float(self.of(name).value)

    def count(self, name: str) -> int:
        """Return a value that is a whole number."""
        return int(self.number(name))


def recipe_source(recipe: Recipe) -> str:
    """Return where the values of a recipe are from."""
    return f"{recipe.source} ({recipe.date})"


def advised(rules: RuleBook, facts: Mapping[str, object], name: str) -> Chosen | None:
    """Return what the tables of advice say of a setting, None where they leave it open."""
    for row in rules.choices("settings"):
        if row.outcome["setting"] == name and row.fits(facts):
            told = row.outcome
            source = f"{told['why']}: {told['source']} ({told['date']})"
            return Chosen(_read(told["value"]), source)
    return None


@cache
def _rows(folder: Path) -> tuple[PlanSetting, ...]:
    return Table(folder / "plan_settings.csv", PlanSetting).all()


def _read(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
