"""`advisor schema`: the JSON Schema of a document."""

import json

import click

from advisor.cli.flags import debug_flag


@click.command(name="schema")
@click.argument(
    "name",
    type=click.Choice(["answers", "recommendation", "estimate", "search", "plan", "run", "error"]),
)
@debug_flag
def command(name: str) -> None:
    """Print the JSON Schema (draft 2020-12) of a document."""
    from advisor.schemas import schema_of

    click.echo(json.dumps(schema_of(name), indent=2))
