"""The group of commands; each is loaded when it is called, so that none pays for another."""

import os
from importlib import import_module

import click

from advisor.errors import Exit

EXIT_CODES = """\b
Exit codes: 0 done · 1 some lines of a batch failed · 2 usage, answers or
configuration · 3 nothing is feasible (--exit-code) · 4 refused · 5 data ·
6 model or checkpoint · 7 the run is in use · 8 diverged · 9 out of memory ·
10 disk · 70 a bug of ours · 129 130 143 stopped, resumable"""

# The order is that of the help.
HOMES = {
    "recommend": "advisor.cli.recommend",
    "estimate": "advisor.cli.estimate",
    "search": "advisor.cli.search",
    "plan": "advisor.cli.plan",
    "launch": "advisor.cli.launch",
    "resume": "advisor.cli.resume",
    "try": "advisor.cli.try_command",
    "runs": "advisor.cli.runs",
    "rules": "advisor.cli.rules",
    "explain": "advisor.cli.explain",
    "catalog": "advisor.cli.catalog",
    "calibrate": "advisor.cli.calibrate",
    "schema": "advisor.cli.schema",
}


# Loaded only where it is shown: without a terminal it would wait for ever.
SCREEN = "advisor.tui.app"


class Commands(click.Group):
    """A group that imports a command's module on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the help."""
        return list(HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command of that name, or None."""
        if cmd_name not in HOMES:
            return None
        command = import_module(HOMES[cmd_name]).command
        assert isinstance(command, click.Command)  # noqa: S101 - what every module there has
        return command


HELP = """Decide how to train a language model, price it, and run it.

\b
advisor recommend --domain legal --labelled-examples 8000 --gpu rtx-4090
advisor launch --answers FILE --data PATH --base-model rehearsal
"""


@click.group(
    cls=Commands,
    help=HELP,
    invoke_without_command=True,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.version_option(package_name="advisor")
@click.pass_context
def advisor(context: click.Context) -> None:
    """Decide how to train a language model, price it, and run it."""
    if context.invoked_subcommand is not None:
        return
    if is_terminal():
        context.exit(import_module(SCREEN).open_screen())
    click.echo(context.get_help(), err=True)
    context.exit(Exit.USAGE)


def is_terminal() -> bool:
    """Tell whether a full screen can be shown: a terminal all round, and one that can draw."""
    return all(map(os.isatty, (0, 1, 2))) and os.environ.get("TERM", "dumb") != "dumb"
