"""`advisor launch`: create the run folder if need be, ask, run it, report."""

from pathlib import Path
from typing import Any

import click

from advisor.cli.following import run_to_the_end
from advisor.cli.proposing import proposal_flags, proposal_of, show_plan
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.launching import Proposal, require_startable, write
from advisor.report.terminal import is_interactive


@click.command(name="launch")
@click.argument("run_folder", required=False, type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Start without asking.")
@click.option("--detach", is_flag=True, help="Start it and leave it running.")
@proposal_flags
def command(
    run_folder: Path | None,
    output: Path | None,
    yes: bool,
    detach: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401
) -> None:
    """Create the run folder if need be, show the plan, ask, run it, report."""
    if run_folder is None:
        proposal = proposal_of(given)
        require_startable(proposal.plan, proposal.machine)
        _confirm(proposal, yes=yes, quiet=as_json)
        run_folder = write(proposal, output)
    run_to_the_end(run_folder, resume=False, detach=detach, as_json=as_json)


def _confirm(proposal: Proposal, *, yes: bool, quiet: bool) -> None:
    if not quiet:
        show_plan(proposal)
    if yes:
        return
    if not is_interactive():
        fault = Fault(hint="give --yes to start it without a terminal")
        raise AdvisorError(ErrorName.NOT_CONFIRMED, "nobody is here to confirm", [fault])
    if not click.confirm("Start this run?", default=False, err=True):
        raise AdvisorError(ErrorName.NOT_CONFIRMED, "not started")
