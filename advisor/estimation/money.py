"""What a job costs: the price of a GPU-hour, and how old that price is."""

import math
from collections.abc import Iterable, Iterator

from advisor.catalog import Catalog, Electricity, Price
from advisor.estimation.documents import EstimateRequest
from advisor.estimation.energy import hourly_kwh
from advisor.estimation.training_job import LOCAL, Device, HourlyPrice, TrainingJob
from advisor.units import show_usd

OWNED = "owned"
GIVEN = "given"
MARKETPLACE = "marketplace"
# Larger entries of a price list are slices of a pod, which are rented in parts.
GPUS_PER_MACHINE = 8
HOURS_PER_YEAR = 8760.0
# A price that is so much older than the newest one known is said to be old.
OLD_MONTHS = 6


def provider_of(request: EstimateRequest, device: Device) -> str | None:
    """Return the provider asked for; `owned` for this machine; None: the cheapest cloud."""
    if request.provider:
        return request.provider.strip().lower()
    return OWNED if device.local or request.gpu == LOCAL else None


def choose_price(
    request: EstimateRequest, device: Device, gpus: int, catalog: Catalog
) -> HourlyPrice | None:
    """Return the price of one GPU-hour; None where no provider lists this GPU.

    A given price wins; `owned` pays for energy, and for wear where that is asked; a provider asks
    what it asks; otherwise the cheapest price counts that is no marketplace of private hosts. GPUs
    that are only rented together are paid for together.
    """
    if request.price_per_gpu_hour is not None:
        return HourlyPrice(
            usd=request.price_per_gpu_hour, provider=GIVEN, source="the request", date=""
        )
    provider = provider_of(request, device)
    if provider in {OWNED, LOCAL}:
        return _own_price(request, device, catalog)
    offers = _offers(request, provider, catalog.prices_of(device.id))
    priced = [offer for price in offers if (offer := _offer(price, request, gpus))]
    return min(priced, key=lambda offer: (offer.usd, offer.provider)) if priced else None


def price_remarks(job: TrainingJob, catalog: Catalog) -> Iterator[str]:
    """Yield what is to be known of the price: that it is old, and what wear it leaves out."""
    price, years = job.price, job.request.depreciation_years
    if price is None:
        return
    months = _months(price.date), _months(catalog.newest_price)
    if price.provider != OWNED and months[0] and months[1] and months[1] - months[0] > OLD_MONTHS:
        yield (
            f"price: that of {price.provider} is of {price.date}, {months[1] - months[0]} months "
            f"older than the newest known ({catalog.newest_price})"
        )
    if years and price.provider != OWNED:
        yield "depreciation_years: counts on own machines only"
    elif years and not _list_price(job.device, catalog):
        yield f"depreciation: no list price of {job.device.name} is known, energy only"


def _months(date: str) -> int | None:
    """Return a date as a count of months; a year alone counts to its end. None: no date."""
    year, _, rest = date.partition("-")
    month = rest[:2] or "12"
    return int(year) * 12 + int(month) if year.isdigit() and month.isdigit() else None


def _offers(request: EstimateRequest, provider: str | None, prices: Iterable[Price]) -> list[Price]:
    """Return the prices of the provider asked for, in the region asked for where it has any."""
    region = (request.region or "").lower()
    named = [
        price
        for price in prices
        if (price.provider == provider if provider else price.host != MARKETPLACE)
    ]
    nearby = [price for price in named if region and region in price.region.lower()]
    return nearby or named


def _offer(price: Price, request: EstimateRequest, gpus: int) -> HourlyPrice | None:
    usd = price.spot_usd_per_gpu_hour if request.spot else price.usd_per_gpu_hour
    if usd is None:
        return None
    together = min(price.gpus_per_instance, GPUS_PER_MACHINE)
    rented = math.ceil(gpus / together) * together
    return HourlyPrice(
        usd=usd * rented / gpus,
        provider=price.provider,
        source=price.source,
        date=price.date,
        region=price.spot_region if request.spot else price.region,
    )


def _own_price(request: EstimateRequest, device: Device, catalog: Catalog) -> HourlyPrice | None:
    """Return what one GPU-hour costs on own machines: electricity, and wear where asked."""
    kwh = hourly_kwh(device, LOCAL if device.local else OWNED, catalog)
    if kwh is None:
        return None
    tariff = _tariff(request.region, catalog)
    usd, source = kwh * tariff.usd_per_kwh, f"electricity, {tariff.name}: {tariff.source}"
    years, list_price = request.depreciation_years, _list_price(device, catalog)
    if years and list_price:
        usd += list_price / (years * HOURS_PER_YEAR)
        source += f"; {show_usd(list_price)} a card over {years:g} years, used day and night"
    return HourlyPrice(usd=usd, provider=OWNED, source=source, date=tariff.date)


def _tariff(region: str | None, catalog: Catalog) -> Electricity:
    """Return the price of a kWh in the country of a region; the world's where it is not known."""
    tariffs = catalog.electricity
    place = catalog.find_grid(region) if region else None
    if place is None:
        return tariffs["WORLD"]
    country = "USA" if place.kind == "us_state" else place.region
    return tariffs.get(country) or tariffs["WORLD"]


def _list_price(device: Device, catalog: Catalog) -> float | None:
    gpu = catalog.gpus.get(device.id)
    return gpu.msrp_usd if gpu else None
