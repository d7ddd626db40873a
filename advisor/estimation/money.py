"""What a job costs: the price of a GPU-hour, electricity, carbon."""

import math
from collections.abc import Iterable

from advisor.catalog import Catalog, Price
from advisor.estimation.documents import EstimateRequest
from advisor.estimation.training_job import LOCAL, Device, HourlyPrice

OWNED = "owned"
MARKETPLACE = "marketplace"
# Larger entries of a price list are slices of a pod, which are rented in parts.
GPUS_PER_MACHINE = 8
# Share of its rated power that an accelerator draws in training.
# Source: BLOOM, 400 W A100 at 100 % TDP assumed (arXiv 2211.02001); Llama 2 card: TDP adjusted.
POWER_SHARE = 0.9
# Power of the rest of a server for each of its GPUs, in W.
# Source: DGX A100 and H100 data sheets: 6.5 and 10.2 kW for 8 GPUs of 400 and 700 W.
HOST_W = 300.0
WORKSTATION_W = 100.0
# A processor without a known rating.
CPU_W = 100.0


def power_w(device: Device) -> float:
    """Return the watts that one GPU and its share of the host draw while training."""
    host = HOST_W if device.form == "datacenter" else WORKSTATION_W
    if device.is_cpu:
        return CPU_W
    return (device.tdp_w or 0.0) * POWER_SHARE + host


def energy_kwh(device: Device, gpu_hours: float, provider: str, catalog: Catalog) -> float:
    """Return the energy of a run: power x hours x power usage effectiveness."""
    return power_w(device) / 1000 * gpu_hours * catalog.pue(provider).value


def co2_kg(energy: float, region: str | None, catalog: Catalog) -> float:
    """Return the carbon of `energy` kWh at the intensity of a region."""
    return energy * catalog.carbon(region).value / 1000


def provider_of(request: EstimateRequest, device: Device) -> str | None:
    """Return the provider asked for; `owned` for this machine; None: the cheapest cloud."""
    if request.provider:
        return request.provider.strip().lower()
    return OWNED if device.local or request.gpu == LOCAL else None


def choose_price(
    request: EstimateRequest, device: Device, gpus: int, catalog: Catalog
) -> HourlyPrice | None:
    """Return the price of one GPU-hour; None where no provider lists this GPU.

    A given price wins; `owned` pays for energy; a provider asks what it asks; otherwise the
    cheapest price counts that is no marketplace of private hosts. GPUs that are only rented
    together are paid for together.
    """
    if request.price_per_gpu_hour is not None:
        return HourlyPrice(
            usd=request.price_per_gpu_hour, provider="given", source="the request", date=""
        )
    provider = provider_of(request, device)
    if provider in {OWNED, LOCAL}:
        return _energy_price(request, device, catalog)
    offers = _offers(request, provider, catalog.prices_of(device.id))
    priced = [offer for price in offers if (offer := _offer(price, request, gpus))]
    return min(priced, key=lambda offer: (offer.usd, offer.provider)) if priced else None


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
        usd=usd * rented / gpus, provider=price.provider, source=price.source, date=price.date
    )


def _energy_price(request: EstimateRequest, device: Device, catalog: Catalog) -> HourlyPrice:
    """Return what the electricity of one GPU-hour costs on own machines."""
    place = LOCAL if device.local else OWNED
    kwh = energy_kwh(device, 1.0, place, catalog)
    tariffs = catalog.electricity
    tariff = tariffs.get((request.region or "").upper()) or tariffs["WORLD"]
    return HourlyPrice(
        usd=kwh * tariff.usd_per_kwh,
        provider=OWNED,
        source=f"electricity, {tariff.name}: {tariff.source}",
        date=tariff.date,
    )
