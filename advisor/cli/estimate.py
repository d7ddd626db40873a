"""`advisor estimate`: memory, time and money of one job."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from advisor import estimate
from advisor.cli.batch import answer_batch
from advisor.cli.flags import debug_flag, json_flag
from advisor.estimation.documents import EstimateRequest

Command = TypeVar("Command", bound=Callable[..., Any])


def _request_flags(command: Command) -> Command:
    for name, field in reversed(EstimateRequest.model_fields.items()):
        truth = bool in getattr(field.annotation, "__args__", ())
        extra: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if truth else {}
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, name, metavar="VALUE", **extra)(command)
    return command


@click.command(name="estimate")
@_request_flags
@json_flag
@click.option("--batch", metavar="FILE", help="One estimate request a line (JSONL); - is stdin.")
@debug_flag
def command(as_json: bool, batch: str | None, **flags: Any) -> None:  # noqa: ANN401
    """Memory, time and money of one concrete job, as 80 % intervals."""
    if batch is not None:
        answer_batch(batch, estimate)
        return
    found = estimate({name: value for name, value in flags.items() if value is not None})
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    from advisor.report.advice import estimate_lines
    from advisor.report.terminal import show

    show(estimate_lines(found))
