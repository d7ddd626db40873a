"""A run followed to its end on the command line, and its result shown."""

from pathlib import Path

import click

from advisor.launching import launch
from advisor.report.progress import watch
from advisor.report.runs import result_lines
from advisor.report.terminal import show
from advisor.runs.history import run_entry


def run_to_the_end(folder: Path, *, resume: bool, detach: bool, as_json: bool) -> None:
    """Run the job of a folder with live progress, then show predicted beside measured."""
    run_entry(folder)
    if not as_json:
        click.echo(f"run folder: {folder}", err=True)
    launch(folder, resume=resume, detached=detach, watch=None if as_json else watch)
    entry = run_entry(folder)
    if as_json:
        click.echo(entry.model_dump_json(indent=2))
    elif detach:
        click.echo(f"started; see it with: advisor runs; its log is {folder / 'log.txt'}", err=True)
    else:
        show(result_lines(entry))
