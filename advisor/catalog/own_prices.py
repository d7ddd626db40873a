"""The user's own prices: read from a provider's list, kept beside the state, newer than shipped."""

from collections.abc import Iterable
from pathlib import Path

from advisor.catalog.facts import Price
from advisor.places import state_folder

FILE = "prices.csv"


def own_prices_file() -> Path:
    """Return where this user's prices lie; the file may not exist yet."""
    return state_folder() / FILE


def the_newer(held: Iterable[Price], read: Iterable[Price]) -> tuple[Price, ...]:
    """Return, for each provider and GPU, the prices of the source with the later date.

    What was read wins where both are of one day. Dates are compared as they are written, year
    first: a month is older than any day in it.
    """
    sources = tuple(held), tuple(read)
    dates = [_newest(prices) for prices in sources]
    newer = {key for key, date in dates[1].items() if date >= dates[0].get(key, "")}
    kept = (price for price in sources[0] if _key(price) not in newer)
    taken = (price for price in sources[1] if _key(price) in newer)
    return (*kept, *taken)


def _newest(prices: Iterable[Price]) -> dict[tuple[str, str], str]:
    dates: dict[tuple[str, str], str] = {}
    for price in prices:
        dates[_key(price)] = max(price.date, dates.get(_key(price), ""))
    return dates


def _key(price: Price) -> tuple[str, str]:
    return price.provider, price.gpu
