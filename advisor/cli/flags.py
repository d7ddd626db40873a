"""Flags that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def json_flag(command: Command) -> Command:
    """Give a command `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def debug_flag(command: Command) -> Command:
    """Give a command `--debug`, which `exit_code_of` looks for."""
    return click.option(
        "--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."
    )(command)


def rules_flag(command: Command) -> Command:
    """Give a command `--rules`."""
    return click.option(
        "--rules",
        "rule_set",
        type=click.Choice(["all", "documents"]),
        default="all",
        help="all: articles and evidence; documents: the articles' tables alone.",
    )(command)


def rules_dir_flag(command: Command) -> Command:
    """Give a command `--rules-dir`."""
    return click.option(
        "--rules-dir",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="An own rule pack, added to the shipped tables.",
    )(command)
