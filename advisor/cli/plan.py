"""`advisor plan`: as recommend, and writes the run folder."""

from pathlib import Path
from typing import Any

import click

from advisor.cli.proposing import proposal_flags, proposal_of, show_plan
from advisor.launching import write


@click.command(name="plan")
@proposal_flags
def command(output: Path | None, as_json: bool, **given: Any) -> None:  # noqa: ANN401
    """As recommend, and write the run folder without starting it."""
    proposal = proposal_of(given)
    folder = write(proposal, output)
    if as_json:
        click.echo(proposal.plan.model_dump_json(indent=2))
        return
    show_plan(proposal)
    click.echo(f"written to {folder}; start it with: advisor launch {folder}", err=True)
