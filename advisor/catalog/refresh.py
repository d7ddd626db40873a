"""Takes newer prices into the user's own table, and tells what they change."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from advisor.catalog import Catalog
from advisor.catalog.facts import Price
from advisor.catalog.own_prices import own_prices_file, the_newer
from advisor.catalog.price_lists import LeftOut, ListOf, PriceList, read_price_list
from advisor.errors import AdvisorError, ErrorName, Fault

# What a provider that nobody has judged yet counts as: taken only where it is named.
UNKNOWN_HOST = "marketplace"

Kind = Literal["added", "changed", "same", "older", "not listed"]


class Source(NamedTuple):
    """The text of one price list, where it is from, whose it is, and of which day."""

    text: str
    origin: str
    provider: str
    date: str


class Held(NamedTuple):
    """The cheapest prices that hold for one GPU of one provider, and their date."""

    usd: float | None
    spot: float | None
    date: str


class Change(NamedTuple):
    """What a new list means for one GPU of one provider.

    `older`: what is held was read later than the list. `not listed`: what is held stays, as the
    list does not have this GPU.
    """

    provider: str
    gpu: str
    kind: Kind
    before: Held | None
    after: Held | None


class Refreshed(NamedTuple):
    """What the new lists hold, what they change, and what of them was left out."""

    prices: tuple[Price, ...]
    changes: tuple[Change, ...]
    left_out: tuple[LeftOut, ...]
    unknown_providers: tuple[str, ...]


def refreshed(sources: Iterable[Source], catalog: Catalog) -> Refreshed:
    """Return what `sources` change in `catalog`; nothing is written.

    Raises:
        AdvisorError: `profiles_invalid`, with every fault of every list at once.
    """
    hosts = {price.provider: price.host for price in catalog.prices}
    lists = _all_read(sources, hosts, catalog)
    new = tuple(price for one in lists for price in one.prices)
    own = catalog.own_prices.all() if catalog.own_prices else ()
    prices = the_newer(own, new)
    return Refreshed(
        prices=prices,
        changes=tuple(_changes(catalog, new, prices)),
        left_out=tuple(_together(one for of in lists for one in of.left_out)),
        unknown_providers=tuple(sorted({price.provider for price in new} - hosts.keys())),
    )


def provider_of(origin: str, known: Iterable[str]) -> str | None:
    """Return whose list lies at a path such as `catalogs/v8/aws/vms.csv`, by the folder's name.

    A name of the catalogue may have an ending that the folder lacks: `vast` is `vast.ai`.
    """
    folders = origin.replace("\\", "/").split("/")[:-1]
    name = folders[-1].lower() if folders else ""
    longer = (one for one in known if one.partition(".")[0] == name)
    return next(longer, name) or None


def write_prices(prices: Sequence[Price], file: Path | None = None) -> Path:
    """Replace the user's own table by `prices`, whole or not at all; return where it lies."""
    path = file or own_prices_file()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("w", newline="", encoding="utf-8") as stream:
                table = csv.writer(stream, lineterminator="\n")
                table.writerow(Price._fields)
                table.writerows(["" if cell is None else cell for cell in row] for row in prices)
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        fault = Fault(path=str(path), expected="a file that can be written", found=error.strerror)
        raise AdvisorError(ErrorName.DISK, "the prices cannot be kept", [fault]) from error
    return path


def _all_read(
    sources: Iterable[Source], hosts: dict[str, str], catalog: Catalog
) -> list[PriceList]:
    lists: list[PriceList] = []
    faults: list[Fault] = []
    names = catalog.accelerators.all()
    for source in sources:
        host = hosts.get(source.provider, UNKNOWN_HOST)
        of = ListOf(source.provider, host, source=source.origin, date=source.date)
        try:
            lists.append(read_price_list(source.text, of, names))
        except AdvisorError as error:
            faults += error.faults
    if faults:
        raise AdvisorError(
            ErrorName.PROFILES_INVALID, "a price list is faulty, nothing is changed", faults
        )
    return lists


def _together(left_out: Iterable[LeftOut]) -> Iterator[LeftOut]:
    """Yield each name and reason once, the most frequent first."""
    rows: dict[tuple[str, str], int] = {}
    for one in left_out:
        rows[one.name, one.why] = rows.get((one.name, one.why), 0) + one.rows
    for (name, why), count in sorted(rows.items(), key=lambda item: (-item[1], item[0])):
        yield LeftOut(name, why, count)


def _changes(catalog: Catalog, new: Sequence[Price], prices: Sequence[Price]) -> Iterator[Change]:
    before = _held(catalog.prices)
    after = _held(the_newer(catalog.shipped_prices.all(), prices))
    listed, providers = _held(new), {price.provider for price in new}
    for key in sorted(before | listed):
        if key[0] in providers:
            kind = _kind(before.get(key), listed.get(key), after.get(key))
            yield Change(*key, kind=kind, before=before.get(key), after=after.get(key))


def _kind(before: Held | None, listed: Held | None, after: Held | None) -> Kind:
    if listed is None:
        return "not listed"
    if before is None:
        return "added"
    if after != listed:
        return "older"
    return "same" if before[:2] == listed[:2] else "changed"


def _held(prices: Iterable[Price]) -> dict[tuple[str, str], Held]:
    groups: dict[tuple[str, str], list[Price]] = {}
    for price in prices:
        groups.setdefault((price.provider, price.gpu), []).append(price)
    return {
        key: Held(
            usd=_least(price.usd_per_gpu_hour for price in group),
            spot=_least(price.spot_usd_per_gpu_hour for price in group),
            date=max(price.date for price in group),
        )
        for key, group in groups.items()
    }


def _least(prices: Iterable[float | None]) -> float | None:
    return min((price for price in prices if price is not None), default=None)
