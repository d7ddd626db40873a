"""What the tool knows: GPUs, models, prices, recipes, grids; each fact with source and date."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NoReturn, TypeVar

from advisor.catalog.facts import (
    Electricity,
    Gpu,
    GridFact,
    Model,
    PretrainingShape,
    Price,
    Recipe,
    Utilisation,
)
from advisor.catalog.reading import read_facts
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.places import shipped

__all__ = [
    "Catalog",
    "Electricity",
    "Gpu",
    "GridFact",
    "Model",
    "PretrainingShape",
    "Price",
    "Recipe",
    "Utilisation",
    "load_catalog",
]

WORLD = "WOR"
ANY_PROVIDER = "any"


Named = TypeVar("Named", Gpu, Model, PretrainingShape)


class Catalog:
    """The tables of one folder, each read when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def gpus(self) -> dict[str, Gpu]:
        """Every GPU by its id."""
        return self._by_id("gpus.csv", Gpu)

    @cached_property
    def models(self) -> dict[str, Model]:
        """Every base model by its hub id."""
        return self._by_id("models.csv", Model)

    @cached_property
    def prices(self) -> tuple[Price, ...]:
        """Every price, as it stands in the file."""
        return read_facts(self.folder / "prices.csv", Price)

    @cached_property
    def grid(self) -> tuple[GridFact, ...]:
        """Carbon intensity of places, and power usage effectiveness of providers."""
        return read_facts(self.folder / "carbon.csv", GridFact)

    @cached_property
    def electricity(self) -> dict[str, Electricity]:
        """The price of a kWh by country."""
        rows = read_facts(self.folder / "electricity.csv", Electricity)
        return {row.region: row for row in rows}

    @cached_property
    def recipes(self) -> tuple[Recipe, ...]:
        """The starting settings of every method, smallest models first."""
        return read_facts(self.folder / "recipes.csv", Recipe)

    @cached_property
    def shapes(self) -> dict[str, PretrainingShape]:
        """The shapes for pretraining, smallest first."""
        return self._by_id("shapes.csv", PretrainingShape)

    @cached_property
    def utilisation(self) -> dict[tuple[str, str], Utilisation]:
        """Measured efficiencies by (what, case)."""
        rows = read_facts(self.folder / "utilisation.csv", Utilisation)
        return {(row.what, row.case): row for row in rows}

    def rows(self, kind: str) -> list[dict[str, object]]:
        """Return every fact of one kind (gpus, models, prices), its columns by name."""
        facts: dict[str, Iterable[Gpu | Model | Price]] = {
            "gpus": self.gpus.values(),
            "models": self.models.values(),
            "prices": self.prices,
        }
        return [fact._asdict() for fact in facts[kind]]

    def gpu(self, name: str) -> Gpu:
        """Return the GPU called `name`; NAME_UNKNOWN with the nearest names otherwise."""
        return self._find_gpu(name) or _unknown("gpu", name, self.gpus)

    def model(self, name: str) -> Model:
        """Return the model called `name`; NAME_UNKNOWN with the nearest names otherwise."""
        return self.find_model(name) or _unknown("model", name, self.models)

    def _find_gpu(self, name: str) -> Gpu | None:
        return self.gpus.get(name) or self.gpus.get(name.strip().lower())

    def find_model(self, name: str) -> Model | None:
        """Return the model called `name`, in any case, with or without its owner; else None."""
        return self.models.get(name) or self._model_names.get(name.strip().lower())

    @cached_property
    def _model_names(self) -> dict[str, Model]:
        short = {id_.rpartition("/")[2].lower(): model for id_, model in self.models.items()}
        return short | {id_.lower(): model for id_, model in self.models.items()}

    def prices_of(self, gpu: str) -> tuple[Price, ...]:
        """Return what the providers ask for one GPU id; empty where none is known."""
        return self._prices_by_gpu.get(gpu, ())

    @cached_property
    def _prices_by_gpu(self) -> dict[str, tuple[Price, ...]]:
        grouped: dict[str, list[Price]] = {}
        for price in self.prices:
            grouped.setdefault(price.gpu, []).append(price)
        return {gpu: tuple(prices) for gpu, prices in grouped.items()}

    def recipe(self, approach: str, method: str, *, params: float) -> Recipe:
        """Return the recipe of a method for a model of `params` parameters.

        Raises NAME_UNKNOWN where the table has no row for the method.
        """
        rows = self._recipes_by_method.get((approach, method), ())
        for row in rows:
            if row.params_up_to_b is None or params <= row.params_up_to_b * 1e9:
                return row
        known = {f"{of} {by}": None for of, by in self._recipes_by_method}
        return _unknown("method", f"{approach} {method}", known)

    @cached_property
    def _recipes_by_method(self) -> dict[tuple[str, str], tuple[Recipe, ...]]:
        grouped: dict[tuple[str, str], list[Recipe]] = {}
        for row in self.recipes:
            grouped.setdefault((row.approach, row.method), []).append(row)
        return {key: tuple(rows) for key, rows in grouped.items()}

    def carbon(self, region: str | None) -> GridFact:
        """Return the carbon intensity of a region, country or state; the world's if unknown."""
        places = self._places
        name = (region or WORLD).strip().lower()
        country = {"us": "usa", "eu": WORLD.lower()}.get(name[:2], name)
        return places.get(name) or places.get(country) or places[WORLD.lower()]

    @cached_property
    def _places(self) -> dict[str, GridFact]:
        rows = [row for row in self.grid if row.kind != "pue"]
        return {row.name.lower(): row for row in rows} | {row.region.lower(): row for row in rows}

    def pue(self, provider: str) -> GridFact:
        """Return the power usage effectiveness of a provider; the industry's where unknown."""
        rows = {row.region: row for row in self.grid if row.kind == "pue"}
        return rows.get(provider) or rows[ANY_PROVIDER]

    def _by_id(self, file: str, kind: type[Named]) -> dict[str, Named]:
        rows = read_facts(self.folder / file, kind)
        named = {row.id: row for row in rows}
        if len(named) < len(rows):
            seen = [row.id for row in rows]
            twice = sorted({id_ for id_ in seen if seen.count(id_) > 1})
            path = str(self.folder / file)
            raise AdvisorError(
                ErrorName.PROFILES_INVALID,
                f"{file} has a name twice",
                [Fault(path=path, field="id", expected="each id once", found=id_) for id_ in twice],
            )
        return named


def _unknown(what: str, name: str, known: Iterable[str]) -> NoReturn:
    """Raise NAME_UNKNOWN, naming what is nearest."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a wrong name needs it

    by_lower = {one.lower(): one for one in known}
    near = [by_lower[one] for one in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.4)]
    hint = f"did you mean {' or '.join(near)}?" if near else "advisor catalog lists what is known"
    raise AdvisorError(
        ErrorName.NAME_UNKNOWN,
        f"unknown {what}: {name}",
        [Fault(field=what, expected=f"a {what} of the catalogue", found=name, hint=hint)],
    )


def load_catalog(folder: Path | None = None) -> Catalog:
    """Return the catalogue of `folder`, or the one that is shipped; nothing is read yet."""
    return Catalog(folder or shipped("profiles"))
