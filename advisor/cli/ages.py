"""Says on stderr how old a price is: the doors alone know which day it is."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from advisor.estimation.documents import CostRange

# GPU prices move by some per cent a month; what is older than a quarter is worth a look.
OLD_DAYS = 90


def tell_old_price(cost: "CostRange | None") -> None:
    """Say so where the price that holds is old by today's date, and what to do."""
    if cost is None or (read := last_day(cost.price_date)) is None:
        return
    days = (datetime.now(tz=UTC).date() - read).days
    if days <= OLD_DAYS:
        return
    whose, fix = cost.price_source.partition(":")[0], "advisor catalog refresh takes newer ones"
    if whose == "owned":
        whose, fix = "electricity", "advisor estimate --price-per-gpu-hour takes your own"
    click.echo(f"the price of {whose} is of {cost.price_date}, {days} days old: {fix}", err=True)


def last_day(text: str) -> date | None:
    """Return the last day that a date of the catalogue may mean: a year, a month or a day."""
    from calendar import monthrange

    try:
        year, month, day = ([int(part) for part in text.split("-")] + [0, 0])[:3]
        month = month or 12
        return date(year, month, day or monthrange(year, month)[1])
    except ValueError:
        return None
