"""`advisor resume`: go on from the newest intact checkpoint."""

from pathlib import Path

import click

from advisor.cli.flags import debug_flag, json_flag
from advisor.cli.following import run_to_the_end


@click.command(name="resume")
@click.argument("run_folder", type=click.Path(path_type=Path))
@click.option("--detach", is_flag=True, help="Start it and leave it running.")
@json_flag
@debug_flag
def command(run_folder: Path, detach: bool, as_json: bool) -> None:
    """Go on from the newest intact checkpoint."""
    run_to_the_end(run_folder, resume=True, detach=detach, as_json=as_json)
