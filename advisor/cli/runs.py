"""`advisor runs`: the history."""

import json

import click

from advisor.cli.flags import debug_flag, json_flag


@click.command(name="runs")
@json_flag
@debug_flag
def command(as_json: bool) -> None:
    """The history: what was predicted, and what was measured."""
    from advisor.runs.history import all_runs

    found = all_runs()
    if as_json:
        entries = [entry.model_dump(mode="json") for entry in found]
        click.echo(json.dumps({"schema": "advisor.runs/1", "runs": entries}, indent=2))
        return
    from advisor.report.runs import runs_lines
    from advisor.report.terminal import show

    show(runs_lines(found))
