"""The commands that write and run a run folder: plan, launch, resume."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from advisor.cli.answering import answer_flags, gather_answers
from advisor.cli.commands import advisor, debug_flag, json_flag, rules_flag
from advisor.errors import AdvisorError, ErrorName, Fault

if TYPE_CHECKING:
    from advisor.launching import Proposal
    from advisor.runs.supervise import JobProcess

Command = TypeVar("Command", bound=Callable[..., Any])

CHOICES: dict[str, Any] = {
    "approach": click.Choice(["pretrain", "continued_pretrain", "full_finetune", "lora"]),
    "method": click.Choice(["full", "lora", "rslora", "dora", "qlora"]),
    "base_model": click.STRING,
    "seed": click.IntRange(min=0, max=2**32 - 1),
    "max_steps": click.IntRange(min=1),
    "epochs": click.FloatRange(min=0, min_open=True),
    "seq_len": click.IntRange(min=8),
    "micro_batch": click.IntRange(min=1),
    "learning_rate": click.FloatRange(min=0, min_open=True),
    "lora_rank": click.IntRange(min=1),
    "save_every_steps": click.IntRange(min=1),
}


def _choice_flags(command: Command) -> Command:
    for name, kind in reversed(CHOICES.items()):
        flag = f"--{name.replace('_', '-')}"
        note = "; `rehearsal` is the embedded small one" if name == "base_model" else ""
        help_text = f"Your own choice instead of the advice{note}."
        command = click.option(flag, name, type=kind, help=help_text)(command)
    return command


def _run_flags(command: Command) -> Command:
    command = click.option(
        "-o", "--output", metavar="RUN_FOLDER", type=click.Path(path_type=Path), help="New folder."
    )(command)
    return click.option(
        "--data",
        multiple=True,
        metavar="PATH",
        type=click.Path(path_type=Path),
        help="Text, JSONL, CSV or Parquet, or a folder of them; may be given again.",
    )(command)


@advisor.command(name="plan")
@_run_flags
@_choice_flags
@answer_flags
@rules_flag
@json_flag
@debug_flag
def plan_command(output: Path | None, as_json: bool, **given: Any) -> None:  # noqa: ANN401
    """As recommend, and write the run folder without starting it."""
    from advisor.launching import write

    proposal = _propose(given)
    folder = write(proposal, output)
    if as_json:
        click.echo(proposal.plan.model_dump_json(indent=2))
        return
    _show_plan(proposal)
    click.echo(f"written to {folder}; start it with: advisor launch {folder}", err=True)


@advisor.command(name="launch")
@click.argument("run_folder", required=False, type=click.Path(path_type=Path))
@_run_flags
@_choice_flags
@answer_flags
@rules_flag
@click.option("--yes", is_flag=True, help="Start without asking.")
@click.option("--detach", is_flag=True, help="Start it and leave it running.")
@json_flag
@debug_flag
def launch_command(
    run_folder: Path | None,
    output: Path | None,
    yes: bool,
    detach: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401
) -> None:
    """Create the run folder if need be, show the plan, ask, run it, report."""
    from advisor.launching import require_startable, write

    if run_folder is None:
        proposal = _propose(given)
        require_startable(proposal.plan, proposal.machine)
        _confirm(proposal, yes=yes)
        run_folder = write(proposal, output)
    _run(run_folder, resume=False, detach=detach, as_json=as_json)


@advisor.command(name="resume")
@click.argument("run_folder", type=click.Path(path_type=Path))
@click.option("--detach", is_flag=True, help="Start it and leave it running.")
@json_flag
@debug_flag
def resume_command(run_folder: Path, detach: bool, as_json: bool) -> None:
    """Go on from the newest intact checkpoint."""
    _run(run_folder, resume=True, detach=detach, as_json=as_json)


def _propose(given: dict[str, Any]) -> "Proposal":
    from advisor.launching import propose
    from advisor.planning import LeadChoices

    names = {field.name for field in fields(LeadChoices)}
    choices = LeadChoices(**{name: given[name] for name in names})
    if not given["data"]:
        hint = "name text, JSONL, CSV or Parquet with --data"
        fault = Fault(field="--data", expected="the project's data", found="none", hint=hint)
        raise AdvisorError(ErrorName.USAGE, "there is no data to train on", [fault])
    answers = gather_answers(given["answers_file"], given)
    return propose(answers, given["data"], choices=choices, rule_set=given["rule_set"])


def _show_plan(proposal: "Proposal") -> None:
    from advisor.report.terminal import narration_console
    from advisor.report.text import plan_lines

    console = narration_console()
    for part in plan_lines(proposal.plan):
        console.print(part)


def _confirm(proposal: "Proposal", *, yes: bool) -> None:
    from advisor.report.terminal import is_interactive

    _show_plan(proposal)
    if yes:
        return
    if not is_interactive():
        fault = Fault(hint="give --yes to start it without a terminal")
        raise AdvisorError(ErrorName.NOT_CONFIRMED, "nobody is here to confirm", [fault])
    if not click.confirm("Start this run?", default=False, err=True):
        raise AdvisorError(ErrorName.NOT_CONFIRMED, "not started")


def _run(folder: Path, *, resume: bool, detach: bool, as_json: bool) -> None:
    from advisor.launching import launch
    from advisor.runs.history import run_entry

    click.echo(f"run folder: {folder}", err=True)
    launch(folder, resume=resume, detached=detach, watch=_watch)
    entry = run_entry(folder)
    if as_json:
        click.echo(entry.model_dump_json(indent=2))
        return
    if detach:
        click.echo(f"started; see it with: advisor runs; its log is {folder / 'log.txt'}", err=True)
        return
    from advisor.report.terminal import show
    from advisor.report.text import result_lines

    show(result_lines(entry))


def _watch(job: "JobProcess") -> None:
    from advisor.report.progress import watch

    watch(job)
