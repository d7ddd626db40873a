"""What the tool knows: GPUs, models, prices, recipes, grids; each fact with source and date."""

from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path
from typing import NoReturn

from advisor.catalog.facts import (
    Accelerator,
    Electricity,
    Gpu,
    GridFact,
    HostedTuning,
    Language,
    Model,
    PretrainingShape,
    Price,
    Recipe,
    Region,
    ServingFact,
    Utilisation,
)
from advisor.catalog.languages import Languages
from advisor.catalog.own_prices import own_prices_file, the_newer
from advisor.catalog.reading import ById, Table
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.places import shipped

__all__ = [
    "Accelerator",
    "Catalog",
    "Electricity",
    "Gpu",
    "GridFact",
    "HostedTuning",
    "Language",
    "Languages",
    "Model",
    "PretrainingShape",
    "Price",
    "Recipe",
    "Region",
    "ServingFact",
    "Utilisation",
    "load_catalog",
]

WORLD = "WOR"
ANY_PROVIDER = "any"
# What can be put into a machine; laptops and systems on a chip come as a whole.
CARDS = frozenset({"datacenter", "desktop", "pro"})


class Catalog:
    """The tables of one folder, each read when it is first asked for.

    `own_prices` is a table of the user's own prices; where it is the newer one, it holds.
    """

    def __init__(self, folder: Path, *, own_prices: Path | None = None) -> None:
        self.folder = folder
        self._own_prices = own_prices

    @cached_property
    def gpus(self) -> ById[Gpu]:
        """Every GPU by its id."""
        return ById(self.folder / "gpus.csv", Gpu)

    @cached_property
    def models(self) -> ById[Model]:
        """Every base model by its hub id."""
        return ById(self.folder / "models.csv", Model)

    @cached_property
    def chat_variants(self) -> dict[str, str]:
        """The chat model made from each base, by the ids of both."""
        ids, bases = self.models.column("id"), self.models.column("variant_of")
        return {base: chat for chat, base in zip(ids, bases, strict=True) if base}

    @cached_property
    def languages(self) -> Languages:
        """The languages that models are asked about."""
        return Languages(Table(self.folder / "languages.csv", Language).all())

    @cached_property
    def shapes(self) -> ById[PretrainingShape]:
        """The shapes for pretraining, smallest first."""
        return ById(self.folder / "shapes.csv", PretrainingShape)

    @cached_property
    def shipped_prices(self) -> Table[Price]:
        """What providers ask, as the tool was shipped with."""
        return Table(self.folder / "prices.csv", Price)

    @cached_property
    def own_prices(self) -> Table[Price] | None:
        """What the user's own refreshed price lists say; None where there are none."""
        file = self._own_prices
        return Table(file, Price) if file is not None and file.is_file() else None

    @property
    def prices(self) -> tuple[Price, ...]:
        """What providers ask: for each provider and GPU the newer of shipped and own prices."""
        own = self.own_prices
        return the_newer(self.shipped_prices.all(), own.all() if own else ())

    @cached_property
    def newest_price(self) -> str:
        """The date of the newest price, as far as it is known."""
        tables = [self.shipped_prices, *([self.own_prices] if self.own_prices else ())]
        dates: list[str] = [date for table in tables for date in table.column("date")]
        return max(dates)

    @cached_property
    def accelerators(self) -> Table[Accelerator]:
        """What price lists call each GPU."""
        return Table(self.folder / "accelerators.csv", Accelerator)

    @cached_property
    def api_tuning(self) -> tuple[HostedTuning, ...]:
        """What tuning at a provider's own service costs."""
        return Table(self.folder / "api_tuning.csv", HostedTuning).all()

    @cached_property
    def serving(self) -> dict[str, ServingFact]:
        """What the model of serving rests on, by name."""
        return {row.name: row for row in Table(self.folder / "serving.csv", ServingFact).all()}

    @cached_property
    def regions(self) -> Table[Region]:
        """Where the regions of providers lie."""
        return Table(self.folder / "regions.csv", Region)

    @cached_property
    def grid(self) -> Table[GridFact]:
        """Carbon intensity of places, and power usage effectiveness of providers."""
        return Table(self.folder / "carbon.csv", GridFact)

    @cached_property
    def electricity(self) -> dict[str, Electricity]:
        """The price of a kWh by country."""
        rows = Table(self.folder / "electricity.csv", Electricity).all()
        return {row.region: row for row in rows}

    @cached_property
    def recipes(self) -> tuple[Recipe, ...]:
        """The starting settings of every method, smallest models first."""
        return Table(self.folder / "recipes.csv", Recipe).all()

    @cached_property
    def utilisation(self) -> dict[tuple[str, str], Utilisation]:
        """Measured efficiencies by (what, case)."""
        rows = Table(self.folder / "utilisation.csv", Utilisation).all()
        return {(row.what, row.case): row for row in rows}

    @cached_property
    def providers(self) -> frozenset[str]:
        """Every provider whose prices are known."""
        tables = [self.shipped_prices, *([self.own_prices] if self.own_prices else ())]
        return frozenset(name for table in tables for name in table.column("provider"))

    def rows(self, kind: str) -> list[dict[str, object]]:
        """Return every fact of one kind (gpus, models, prices), its columns by name.

        A price also says `whose` it is: shipped, or the user's own.
        """
        facts: dict[str, Iterable[Gpu | Model | Price]] = {
            "gpus": self.gpus.all(),
            "models": self.models.all(),
            "prices": self.prices,
        }
        rows = [fact._asdict() for fact in facts[kind]]
        if kind == "prices":
            own = frozenset(self.own_prices.all() if self.own_prices else ())
            for row, price in zip(rows, facts[kind], strict=True):
                row["whose"] = "own" if price in own else "shipped"
        return rows

    def gpu(self, name: str) -> Gpu:
        """Return the GPU called `name`; NAME_UNKNOWN with the nearest names otherwise."""
        found = self.gpus.get(name) or self.gpus.get(name.strip().lower())
        return found or _unknown("gpu", name, self.gpus)

    def gpu_above(self, memory_gb: float) -> str | None:
        """Return the smallest NVIDIA card with more memory, the newest of its size; else None."""
        return next((id_ for gb, _, id_ in self._cards if gb > memory_gb), None)

    @cached_property
    def _cards(self) -> list[tuple[float, int, str]]:
        columns = ("vendor", "form", "memory_gb", "release_year", "id")
        rows = zip(*(self.gpus.column(name) for name in columns), strict=True)
        return sorted(
            (memory, -(year or 0), id_)
            for vendor, form, memory, year, id_ in rows
            if vendor == "NVIDIA" and form in CARDS
        )

    def model(self, name: str) -> Model:
        """Return the model called `name`; NAME_UNKNOWN with the nearest names otherwise."""
        return self.find_model(name) or _unknown("model", name, self.models)

    def find_model(self, name: str) -> Model | None:
        """Return the model called `name`, in any case, with or without its owner; else None."""
        if name in self.models:
            return self.models[name]
        full = self._model_names.get(name.strip().lower())
        return self.models[full] if full else None

    @cached_property
    def _model_names(self) -> dict[str, str]:
        short = {id_.rpartition("/")[2].lower(): id_ for id_ in self.models}
        return short | {id_.lower(): id_ for id_ in self.models}

    @cache  # noqa: B019 - a catalogue lives as long as what it was loaded for
    def prices_of(self, gpu: str) -> tuple[Price, ...]:
        """Return what the providers ask for one GPU id; empty where none is known."""
        shipped_ones, own = self.shipped_prices.where("gpu", gpu), self.own_prices
        return the_newer(shipped_ones, own.where("gpu", gpu)) if own else shipped_ones

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

    @cache  # noqa: B019
    def find_grid(self, region: str) -> GridFact | None:
        """Return the grid of a country, state or cloud region, by code or name; None if unknown.

        Of several names between commas, as in "Texas, US, NA", the first that is known counts.
        """
        for name in (region, *region.split(",")):
            if found := self._grid_called(name.strip()):
                return found
        # What lies in the United States begins so with every provider.
        return self._grid_called("USA") if region.lower().startswith("us-") else None

    def _grid_called(self, name: str) -> GridFact | None:
        if not name:
            return None
        places = (name, *(row.place for row in self.regions.where("region", name)))
        for place in places:
            rows = self.grid.where("region", place) or self.grid.where("name", place)
            if found := [row for row in rows if row.kind != "pue"]:
                return found[-1]
        return None

    @cache  # noqa: B019
    def carbon(self, region: str | None) -> GridFact:
        """Return the carbon intensity of a region, country or state; the world's if unknown."""
        found = (self.find_grid(region) if region else None) or self._grid_called(WORLD)
        return found or _unknown("region", WORLD, ())

    @cache  # noqa: B019
    def pue(self, provider: str) -> GridFact:
        """Return the power usage effectiveness of a provider; the industry's where unknown."""
        rows = {row.region: row for row in self.grid.where("kind", "pue")}
        return rows.get(provider) or rows[ANY_PROVIDER]


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
    """Return the catalogue of `folder`, or the shipped one with this user's own prices.

    Nothing is read yet.
    """
    if folder is not None:
        return Catalog(folder)
    return Catalog(shipped("profiles"), own_prices=own_prices_file())
