"""`advisor catalog`: what the tool knows, and newer prices for it."""

import json
from typing import TYPE_CHECKING

import click

from advisor.cli.flags import debug_flag, json_flag
from advisor.errors import AdvisorError, ErrorName, Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from advisor.catalog.refresh import Source


@click.group(name="catalog")
def command() -> None:
    """What the tool knows, each fact with its source and date."""


def _listing(kind: str, help_text: str) -> click.Command:
    @click.command(name=kind, help=help_text)
    @json_flag
    @debug_flag
    def listing(as_json: bool) -> None:
        from advisor.catalog import load_catalog

        rows = load_catalog().rows(kind)
        if as_json:
            click.echo(json.dumps({"schema": f"advisor.catalog.{kind}/1", kind: rows}, indent=2))
            return
        from advisor.report.catalogs import catalog_lines
        from advisor.report.terminal import show

        show(catalog_lines(kind, rows))

    return listing


command.add_command(_listing("gpus", "Every GPU: memory, rates, power."))
command.add_command(_listing("models", "Every base model: size, kind, licence."))
command.add_command(_listing("prices", "What providers ask, and which source holds."))


@command.command(name="refresh")
@click.option(
    "--from",
    "origins",
    metavar="FILE|URL",
    multiple=True,
    required=True,
    help="A price list as the public SkyPilot catalogue has them, such as "
    ".../catalogs/v8/aws/vms.csv; may be given more than once. Addresses must be https.",
)
@click.option("--provider", help="Whose list it is; left out: the name of its folder.")
@click.option("--date", metavar="YYYY-MM-DD", help="Its day; left out: a file's own, or today.")
@click.option("--dry-run", is_flag=True, help="Tell what would change, and keep all as it is.")
@json_flag
@debug_flag
def refresh(
    *,
    origins: tuple[str, ...],
    provider: str | None,
    date: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take newer prices into your own table, which then hold over the shipped ones."""
    from advisor.catalog import load_catalog
    from advisor.catalog.own_prices import own_prices_file
    from advisor.catalog.refresh import refreshed, write_prices
    from advisor.report.catalogs import refresh_document, refresh_lines

    catalog = load_catalog()
    day = _day_of(date)
    sources = list(_sources(origins, provider, day, catalog.providers))
    found = refreshed(sources, catalog)
    path = own_prices_file() if dry_run else write_prices(found.prices)
    if as_json:
        click.echo(json.dumps(refresh_document(found, sources, dry_run=dry_run), indent=2))
    else:
        from advisor.report.terminal import show

        show(refresh_lines(found))
    written = "nothing is written (--dry-run)" if dry_run else f"written to {path}"
    click.echo(written, err=True)


def _sources(
    origins: "Iterable[str]", provider: str | None, day: str | None, known: "Iterable[str]"
) -> "Iterator[Source]":
    """Yield each list; every provider is known before the first is fetched."""
    from advisor.catalog.fetching import text_of
    from advisor.catalog.refresh import Source, provider_of

    named = {origin: provider or provider_of(origin, known) for origin in origins}
    unknown = [
        Fault(path=origin, hint="name it with --provider, or give a path such as aws/vms.csv")
        for origin, name in named.items()
        if name is None
    ]
    if unknown:
        raise AdvisorError(ErrorName.USAGE, "the path of a list names no provider", unknown)
    for origin, name in named.items():
        yield Source(
            text=text_of(origin),
            origin=origin,
            provider=(name or "").strip().lower(),
            date=day or _date_of(origin),
        )


def _day_of(date: str | None) -> str | None:
    """Return a day as the tables write it, or refuse what is none."""
    from datetime import date as calendar

    try:
        return calendar.fromisoformat(date).isoformat() if date else None
    except ValueError:
        fault = Fault(field="--date", expected="a day such as 2026-11-20", found=date)
        raise AdvisorError(ErrorName.USAGE, "this is no day", [fault]) from None


def _date_of(origin: str) -> str:
    """Return the day a file was last written, which is when it was loaded; today for an address."""
    from datetime import UTC, datetime
    from pathlib import Path

    from advisor.catalog.fetching import is_address

    now = datetime.now(tz=UTC)
    day = (
        now if is_address(origin) else datetime.fromtimestamp(Path(origin).stat().st_mtime, tz=UTC)
    )
    return min(day, now).date().isoformat()
