"""`advisor try`: base and tuned answers side by side."""

import json
import sys
from pathlib import Path

import click

from advisor.cli.flags import debug_flag, json_flag
from advisor.errors import AdvisorError, ErrorName, Fault

MOST_TOKENS = 8192
HOTTEST = 2.0


@click.command(name="try")
@click.argument("run_folder", type=click.Path(path_type=Path))
@click.argument("prompt")
@click.option(
    "--max-tokens",
    type=click.IntRange(1, MOST_TOKENS),
    default=256,
    show_default=True,
    help="The longest answer.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0, HOTTEST),
    default=0.0,
    show_default=True,
    help="0 takes the likeliest token; more makes answers vary.",
)
@json_flag
@debug_flag
def command(
    run_folder: Path, prompt: str, max_tokens: int, temperature: float, as_json: bool
) -> None:
    """Show what the base and the tuned model of a run answer (PROMPT - is stdin)."""
    from advisor.report.terminal import WIDEST, answer_console
    from advisor.runs.trying import try_prompt

    asked = _piped() if prompt == "-" else prompt
    if not asked.strip():
        fault = Fault(expected="a prompt", found="nothing")
        raise AdvisorError(ErrorName.USAGE, "the prompt is empty", [fault])
    found = try_prompt(run_folder, asked, max_tokens=max_tokens, temperature=temperature)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    from advisor.report.tried import tried_lines

    console = answer_console()
    beside = console.is_terminal and console.width >= WIDEST
    for part in tried_lines(found, beside=beside):
        console.print(part)


def _piped() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        fault = Fault(path="stdin", expected="UTF-8 text", found="other bytes")
    raise AdvisorError(ErrorName.FILE_UNREADABLE, "the prompt cannot be read", [fault])
