"""Every command: read what was asked, call one function, print its answer."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from advisor.cli.answering import answer_flags, gather_answers
from advisor.errors import AdvisorError, ErrorName, Exit, Fault

if TYPE_CHECKING:
    from pydantic import BaseModel

    from advisor.recommendation import Recommendation

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_CODES = """\b
Exit codes: 0 done · 1 some lines of a batch failed · 2 usage, answers or
configuration · 3 nothing is feasible (--exit-code) · 4 refused · 5 data ·
6 model or checkpoint · 7 the run is in use · 8 diverged · 9 out of memory ·
10 disk · 70 a bug of ours · 129 130 143 stopped, resumable"""


@click.group(
    invoke_without_command=True,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.version_option(package_name="advisor")
@click.pass_context
def advisor(context: click.Context) -> None:
    r"""Decide how to train a language model, price it, and run it.

    \b
    advisor recommend --domain legal --labelled-examples 8000 --gpu rtx-4090 --gpus 1
    advisor launch --answers answers.yaml --data data.jsonl --base-model rehearsal
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(Exit.USAGE)


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


@advisor.command(name="recommend")
@answer_flags
@rules_flag
@json_flag
@click.option("--batch", metavar="FILE", help="One answers object a line (JSONL); - is stdin.")
@click.option("--exit-code", is_flag=True, help="Exit with 3 where nothing is feasible.")
@debug_flag
def recommend_command(
    answers_file: str | None,
    rule_set: str,
    as_json: bool,
    batch: str | None,
    exit_code: bool,
    **flags: Any,  # noqa: ANN401
) -> None:
    """Answers in, recommendation out: what to train, why, and what it takes."""
    from advisor.recommendation import recommend

    if batch is not None:
        _batch(batch, lambda fields: recommend(fields, rule_set=rule_set))
        return
    found = recommend(gather_answers(answers_file, flags), rule_set=rule_set)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
    else:
        _show_recommendation(found)
    if exit_code and not found.feasible:
        raise AdvisorError(ErrorName.INFEASIBLE, "nothing is feasible as answered")


def _show_recommendation(found: "Recommendation") -> None:
    from advisor.report.terminal import show
    from advisor.report.text import recommendation_lines

    show(recommendation_lines(found))


def _batch(source: str, answer: Callable[[Mapping[str, Any]], "BaseModel"]) -> None:
    """Answer each line; a line that cannot be answered gives an error object in its place."""
    failed = 0
    for number, line in _batch_lines(source):
        try:
            click.echo(answer(_fields(line)).model_dump_json())
        except AdvisorError as error:
            failed += 1
            document = error.as_document()
            for fault in document["error"]["faults"]:  # type: ignore[index]
                fault["line"] = number
            click.echo(json.dumps(document, ensure_ascii=False))
    if failed:
        click.echo(f"advisor: {failed} lines failed", err=True)
        raise SystemExit(Exit.BATCH_LINES_FAILED)


def _fields(line: str) -> Mapping[str, Any]:
    from advisor.loading import load_document

    found = load_document(line, origin="batch")
    if not isinstance(found, Mapping):
        fault = Fault(path="batch", expected="a JSON object", found=line[:60])
        raise AdvisorError(ErrorName.DOCUMENT_INVALID, "this is no JSON object", [fault])
    return found


def _batch_lines(source: str) -> Iterator[tuple[int, str]]:
    from advisor.loading import read_text

    lines = sys.stdin if source == "-" else read_text(Path(source)).splitlines()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, line


def _estimate_flags(command: Command) -> Command:
    from advisor.estimation.documents import EstimateRequest

    for name, field in reversed(EstimateRequest.model_fields.items()):
        truth = bool in getattr(field.annotation, "__args__", ())
        extra: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if truth else {}
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, name, metavar="VALUE", **extra)(command)
    return command


@advisor.command(name="estimate")
@_estimate_flags
@json_flag
@click.option("--batch", metavar="FILE", help="One estimate request a line (JSONL); - is stdin.")
@debug_flag
def estimate_command(as_json: bool, batch: str | None, **flags: Any) -> None:  # noqa: ANN401
    """Memory, time and money of one concrete job, as 80 % intervals."""
    from advisor import estimate

    if batch is not None:
        _batch(batch, estimate)
        return
    found = estimate({name: value for name, value in flags.items() if value is not None})
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    from advisor.report.terminal import show
    from advisor.report.text import estimate_lines

    show(estimate_lines(found))


@advisor.command(name="catalog")
@click.argument("kind", type=click.Choice(["gpus", "models", "prices"]))
@json_flag
@debug_flag
def catalog_command(kind: str, as_json: bool) -> None:
    """What the tool knows, each fact with its source and date."""
    from advisor.catalog import load_catalog

    catalog = load_catalog()
    found = {"gpus": catalog.gpus.values(), "models": catalog.models.values()}.get(
        kind, catalog.prices
    )
    rows = [row._asdict() for row in found]
    if as_json:
        click.echo(json.dumps({"schema": f"advisor.catalog.{kind}/1", kind: rows}, indent=2))
        return
    from advisor.report.terminal import show
    from advisor.report.text import catalog_lines

    show(catalog_lines(kind, rows))


@advisor.command(name="schema")
@click.argument(
    "name", type=click.Choice(["answers", "recommendation", "estimate", "plan", "run", "error"])
)
@debug_flag
def schema_command(name: str) -> None:
    """Print the JSON Schema (draft 2020-12) of a document."""
    from advisor.schemas import schema_of

    click.echo(json.dumps(schema_of(name), indent=2))


@advisor.command(name="runs")
@json_flag
@debug_flag
def runs_command(as_json: bool) -> None:
    """The history: what was predicted, and what was measured."""
    from advisor.runs.history import all_runs

    found = all_runs()
    if as_json:
        entries = [entry.model_dump(mode="json") for entry in found]
        click.echo(json.dumps({"schema": "advisor.runs/1", "runs": entries}, indent=2))
        return
    from advisor.report.terminal import show
    from advisor.report.text import runs_lines

    show(runs_lines(found))
