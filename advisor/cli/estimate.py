"""`advisor estimate`: memory, time and money of one job."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from advisor import estimate
from advisor.cli.batch import answer_batch
from advisor.cli.flags import debug_flag, json_flag
from advisor.estimation.documents import Estimate, EstimateRequest
from advisor.options.pricing import estimator

Command = TypeVar("Command", bound=Callable[..., Any])


def request_flags(command: Command) -> Command:
    """Give a command one flag for every key of an estimate request."""
    for name, field in reversed(EstimateRequest.model_fields.items()):
        truth = bool in getattr(field.annotation, "__args__", ())
        extra: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if truth else {}
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, name, metavar="VALUE", **extra)(command)
    return command


@click.command(name="estimate")
@request_flags
@json_flag
@click.option("--batch", metavar="FILE", help="One estimate request a line (JSONL); - is stdin.")
@click.option(
    "--trace",
    is_flag=True,
    help="Also read the memory off a step of the real model, run without memory (seconds).",
)
@debug_flag
def command(as_json: bool, batch: str | None, trace: bool, **flags: Any) -> None:  # noqa: ANN401
    """Memory, time and money of one concrete job, as 80 % intervals."""
    if batch is not None:
        answer_batch(batch, _with_trace if trace else estimator())
        return
    fields = {name: value for name, value in flags.items() if value is not None}
    found = _with_trace(fields) if trace else estimate(fields)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    from advisor.cli.ages import tell_old_price
    from advisor.report.estimates import estimate_lines
    from advisor.report.terminal import show

    show(estimate_lines(found))
    if found.trace:
        from advisor.report.traces import trace_lines

        show(trace_lines(found.trace))
    tell_old_price(found.cost_usd)


def _with_trace(fields: Mapping[str, Any]) -> Estimate:
    from advisor.tracing import trace_request

    found = estimate(fields)
    trace = trace_request(found.request, say=lambda what: click.echo(what, err=True))
    return found.model_copy(update={"trace": trace})
