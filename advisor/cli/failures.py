"""Errors at the door: one line each on stderr, or one JSON line, and the exit code."""

import json
import os
import sys
from collections.abc import Sequence

import click

from advisor.errors import AdvisorError, ErrorName, Exit, Fault
from advisor.safe_text import safe_text


def exit_code_of(error: BaseException, arguments: Sequence[str]) -> int:
    """Tell the user what went wrong and return the exit code."""
    if isinstance(error, (SystemExit, click.exceptions.Exit)):
        code = error.code if isinstance(error, SystemExit) else error.exit_code
        return code if isinstance(code, int) else 0
    if isinstance(error, BrokenPipeError):
        # The reader has gone; closing stdout again at exit would print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    if "--debug" in arguments:
        import traceback

        traceback.print_exception(error)
    told = _as_told(error)
    click.echo(
        json.dumps(told.as_document(), ensure_ascii=False)
        if "--json" in arguments
        else "\n".join(lines_of(told)),
        err=True,
    )
    return told.exit_code


def tell_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """Say on stderr, in one line, what the library warns of."""
    if issubclass(category, UserWarning):
        click.echo(f"advisor: {safe_text(str(message))}", err=True)


def lines_of(error: AdvisorError) -> list[str]:
    """Return `advisor: error[NAME]: what – where – what to do`, one line a fault."""
    lines = (" – ".join(map(safe_text, parts)) for parts in error.told())
    return [f"advisor: error[{error.name}]: {line}" for line in lines]


def _as_told(error: BaseException) -> AdvisorError:
    if isinstance(error, AdvisorError):
        return error
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return AdvisorError(ErrorName.STOPPED, "stopped")
    if isinstance(error, click.ClickException):
        hint = "see advisor --help"
        if isinstance(error, click.UsageError) and error.ctx is not None:
            hint = f"see {error.ctx.command_path} --help"
        return AdvisorError(ErrorName.USAGE, error.format_message(), [Fault(hint=hint)])
    return AdvisorError(ErrorName.BUG, _bug(error), [Fault(hint="send us the report")])


def _bug(error: BaseException) -> str:
    """Write a report with neither local values nor messages, and return the line about it."""
    import tempfile
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
    with tempfile.NamedTemporaryFile(
        "w", prefix="advisor-bug-", suffix=".txt", delete=False, encoding="utf-8"
    ) as report:
        report.write("\n".join([type(error).__name__, *places]) + "\n")
    return f"a bug of ours ({type(error).__name__}); report in {report.name}"
