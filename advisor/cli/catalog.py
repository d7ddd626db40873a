"""`advisor catalog`: what the tool knows."""

import json

import click

from advisor.cli.flags import debug_flag, json_flag


@click.command(name="catalog")
@click.argument("kind", type=click.Choice(["gpus", "models", "prices"]))
@json_flag
@debug_flag
def command(kind: str, as_json: bool) -> None:
    """What the tool knows, each fact with its source and date."""
    from advisor.catalog import load_catalog

    rows = load_catalog().rows(kind)
    if as_json:
        click.echo(json.dumps({"schema": f"advisor.catalog.{kind}/1", kind: rows}, indent=2))
        return
    from advisor.report.advice import catalog_lines
    from advisor.report.terminal import show

    show(catalog_lines(kind, rows))
