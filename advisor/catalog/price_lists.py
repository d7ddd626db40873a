"""Reads price lists of the public SkyPilot catalogue: one CSV file a provider, columns by name."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from advisor.catalog.facts import Accelerator, Price
from advisor.errors import AdvisorError, ErrorName, Fault

NEEDED = ("InstanceType", "AcceleratorName", "AcceleratorCount", "Price", "SpotPrice", "Region")
NUMBER = "a number of at least 0, or nothing"
# More faults than this in one file say that it is no price list.
MOST_FAULTS = 100
# The list of Google Cloud has 700 USD where it knows no price; no GPU is rented for so much.
MOST_USD_PER_GPU_HOUR = 100.0
_MEMORY = re.compile(r"TotalGpuMemoryInMiB\W+(\d+)")
_TIMES = re.compile(r"\{(\d*)n\}")


class ListOf(NamedTuple):
    """Whose list it is, what kind of host that is, and where and when it was read."""

    provider: str
    host: str
    source: str
    date: str


class LeftOut(NamedTuple):
    """What of a list was not taken, why, and in how many rows it stands."""

    name: str
    why: str
    rows: int


class PriceList(NamedTuple):
    """The prices of a list, the best of each GPU, number of GPUs and region; what was left out."""

    prices: tuple[Price, ...]
    left_out: tuple[LeftOut, ...]


class _Entry(NamedTuple):
    """One row of a list."""

    instance: str
    accelerator: str
    units: float | None
    usd: float | None
    spot: float | None
    region: str
    zone: str
    gib: float | None


class _Offer(NamedTuple):
    """One machine with its GPUs: what it is and what it costs whole."""

    gpu: str
    gpus: int
    usd: float | None
    spot: float | None
    entry: _Entry
    note: str


def read_price_list(text: str, of: ListOf, accelerators: Sequence[Accelerator]) -> PriceList:
    """Return the prices in `text`; `accelerators` says which GPU is meant by a name.

    Raises:
        AdvisorError: `profiles_invalid`, with every faulty cell.
    """
    entries = _entries(text, of.source)
    with_gpu = [entry for entry in entries if entry.accelerator]
    hosts = {(entry.instance, entry.zone): entry for entry in entries if not entry.accelerator}
    names = [row for row in accelerators if row.provider in ("", of.provider)]
    offers, left_out = [], Counter[tuple[str, str]]()
    for entry in with_gpu:
        offer = _offer(entry, names, hosts)
        if isinstance(offer, str):
            left_out[entry.accelerator, offer] += 1
        else:
            offers.append(offer)
    return PriceList(
        prices=tuple(_best(offers, of)),
        left_out=tuple(LeftOut(*key, rows) for key, rows in left_out.items()),
    )


def _entries(text: str, source: str) -> list[_Entry]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    faults: list[Fault] = []
    entries: list[_Entry] = []
    try:
        header = next(rows, [])
        faults += _faults_of_header(header, source)
        if not faults:
            for cells in rows:
                entries += _entry(header, cells, faults, Fault(path=source, line=rows.line_num))
    except csv.Error as error:
        faults.append(Fault(path=source, line=rows.line_num, expected="CSV", found=str(error)))
    if faults:
        more = len(faults) - MOST_FAULTS
        message = "the price list is faulty" + (f", {more} faults more than shown" * (more > 0))
        raise AdvisorError(ErrorName.PROFILES_INVALID, message, faults[:MOST_FAULTS])
    return entries


def _faults_of_header(header: Sequence[str], source: str) -> Iterator[Fault]:
    for name in NEEDED:
        if header.count(name) != 1:
            found = "the column twice" if name in header else ",".join(header)[:200] or "nothing"
            yield Fault(path=source, line=1, field=name, expected="this column once", found=found)


def _entry(
    header: Sequence[str], cells: Sequence[str], faults: list[Fault], fault: Fault
) -> Iterator[_Entry]:
    """Yield the entry of one row, or nothing where it is faulty or empty."""
    if not cells:
        return
    if len(cells) != len(header):
        expected, found = f"{len(header)} cells", f"{len(cells)} cells"
        faults.append(fault._replace(expected=expected, found=found))
        return
    row = dict(zip(header, cells, strict=True))
    before = len(faults)
    units, usd, spot = (
        _number(row[name], faults, fault._replace(field=name))
        for name in ("AcceleratorCount", "Price", "SpotPrice")
    )
    if row["AcceleratorName"] and not units and len(faults) == before:
        found = row["AcceleratorCount"] or "nothing"
        faults.append(
            fault._replace(field="AcceleratorCount", expected="a number above 0", found=found)
        )
    if len(faults) == before:
        yield _Entry(
            instance=row["InstanceType"],
            accelerator=row["AcceleratorName"].strip(),
            units=units,
            # A price of 0 says that none is asked: this kind of machine is not on offer.
            usd=usd or None,
            spot=spot or None,
            region=row["Region"],
            zone=row.get("AvailabilityZone") or row["Region"],
            gib=_gib(row.get("GpuInfo", ""), units),
        )


def _number(text: str, faults: list[Fault], fault: Fault) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        faults.append(fault._replace(expected=NUMBER, found=text))
        return None
    return value


def _gib(info: str, units: float | None) -> float | None:
    """Return the memory of one GPU in GiB, where the list says it."""
    found = _MEMORY.search(info)
    return int(found[1]) / 1024 / units if found and units else None


def _offer(
    entry: _Entry, names: Iterable[Accelerator], hosts: Mapping[tuple[str, str], _Entry]
) -> _Offer | str:
    """Return the offer that an entry is, or why it is none."""
    name = next((row for row in names if _means(row, entry)), None)
    if name is None:
        return "unknown accelerator"
    if entry.units is None or entry.units != int(entry.units):
        return "a part of a GPU"
    gpus = int(entry.units) * name.chips
    usd, spot, note = entry.usd, entry.spot, ""
    if name.host and not entry.instance:
        wanted = _host_name(name.host, int(entry.units))
        host = hosts.get((wanted, entry.zone))
        if host is None:
            return f"a GPU alone: its machine {wanted} is not in the list"
        usd, spot, note = _plus(usd, host.usd), _plus(spot, host.spot), f"with {wanted}"
    prices = [price for price in (usd, spot) if price is not None]
    if not prices:
        return "no price"
    if max(prices) > MOST_USD_PER_GPU_HOUR * gpus:
        return f"above {MOST_USD_PER_GPU_HOUR:.0f} USD a GPU-hour, which is no price"
    return _Offer(gpu=name.gpu, gpus=gpus, usd=usd, spot=spot, entry=entry, note=note)


def _means(row: Accelerator, entry: _Entry) -> bool:
    """Tell whether the table's row is the one for this entry."""
    if row.name.lower() != entry.accelerator.lower():
        return False
    if row.instance.lower() not in entry.instance.lower():
        return False
    return row.gib is None or (
        entry.gib is not None and math.isclose(row.gib, entry.gib, rel_tol=0.1)
    )


def _host_name(pattern: str, units: int) -> str:
    return _TIMES.sub(lambda times: str(int(times[1] or 1) * units), pattern)


def _plus(price: float | None, more: float | None) -> float | None:
    return None if price is None or more is None else price + more


def _best(offers: Iterable[_Offer], of: ListOf) -> Iterator[Price]:
    """Yield one price for each GPU, number of GPUs and region: the cheapest, and cheapest spot."""
    groups: dict[tuple[str, int, str], list[_Offer]] = {}
    for offer in offers:
        groups.setdefault((offer.gpu, offer.gpus, offer.entry.region), []).append(offer)
    for (gpu, gpus, region), group in sorted(groups.items()):
        cheapest = min(group, key=lambda offer: offer.usd or math.inf)
        spot = min(group, key=lambda offer: offer.spot or math.inf)
        yield Price(
            provider=of.provider,
            host=of.host,
            gpu=gpu,
            instance_type=cheapest.entry.instance,
            gpus_per_instance=gpus,
            region=region,
            usd_per_gpu_hour=_each(cheapest.usd, gpus),
            spot_region=spot.entry.zone if spot.spot else "",
            spot_usd_per_gpu_hour=_each(spot.spot, gpus),
            verified="yes",
            source=of.source,
            date=of.date,
            date_precision="day",
            notes=cheapest.note,
        )


def _each(usd: float | None, gpus: int) -> float | None:
    return None if usd is None else round(usd / gpus, 6)
