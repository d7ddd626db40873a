"""What plan and launch share: the lead's own choices, the data, and the plan shown."""

from collections.abc import Callable
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import click

from advisor.cli.answering import answer_flags, gather_answers
from advisor.cli.flags import debug_flag, json_flag, rules_dir_flag, rules_flag
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.job.bounds import METHODS_OF
from advisor.launching import Proposal, propose
from advisor.planning import LeadChoices
from advisor.report.runs import plan_lines
from advisor.report.terminal import narration_console
from advisor.tables import RuleBook

Command = TypeVar("Command", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)
METHODS = list(dict.fromkeys(chain.from_iterable(METHODS_OF.values())))
CHOICES: dict[str, Any] = {
    "approach": click.Choice(list(METHODS_OF)),
    "method": click.Choice(METHODS),
    "base_model": click.STRING,
    "seed": click.IntRange(min=0, max=2**32 - 1),
    "max_steps": click.IntRange(min=1),
    "epochs": click.FloatRange(min=0, min_open=True),
    "seq_len": click.IntRange(min=8),
    "micro_batch": click.IntRange(min=1),
    "learning_rate": click.FloatRange(min=0, min_open=True),
    "lora_rank": click.IntRange(min=1),
    "save_every_steps": click.IntRange(min=1),
    "new_tokens": click.IntRange(min=1),
    "merge": click.BOOL,
    "group_by": click.STRING,
    "skip_bad_records": click.BOOL,
    "validation_data": PATH,
    "general_data": PATH,
    "out_of_domain_data": PATH,
}
OWN = "Your own choice instead of the advice"
HELP = {
    "approach": f"{OWN}: {', '.join(METHODS_OF)}.",
    "method": f"{OWN}: {', '.join(METHODS)}.",
    "base_model": f"{OWN}; `rehearsal` is the embedded small one.",
    "new_tokens": "Tokens of your text to add to the base's own, when it is pretrained further.",
    "merge": "Merge the adapter into its base at the end.",
    "group_by": "Column whose values are never split between training and validation.",
    "skip_bad_records": "Pass over records that cannot be used, and count them.",
    "validation_data": "File or folder to validate on, instead of a part held out.",
    "general_data": "General text: to mix in when reading on, and to see what is forgotten.",
    "out_of_domain_data": "File or folder to measure on beside the validation data.",
}


def _choice_flags(command: Command) -> Command:
    for name, kind in reversed(CHOICES.items()):
        flag = f"--{name.replace('_', '-')}"
        command = click.option(
            flag,
            name,
            type=kind,
            is_flag=kind is click.BOOL,
            default=None,
            metavar="NAME" if isinstance(kind, click.Choice) else None,
            help=HELP.get(name, f"{OWN}."),
        )(command)
    return command


def proposal_flags(command: Command) -> Command:
    """Give a command all that a plan is made of."""
    for flag in (debug_flag, json_flag, rules_dir_flag, rules_flag, answer_flags, _choice_flags):
        command = flag(command)
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


def proposal_of(given: dict[str, Any]) -> Proposal:
    """Return the plan for what was given; nothing is written."""
    names = {field.name for field in fields(LeadChoices)}
    choices = LeadChoices(**{name: given[name] for name in names})
    if not given["data"]:
        hint = "name text, JSONL, CSV or Parquet with --data"
        fault = Fault(field="--data", expected="the project's data", found="none", hint=hint)
        raise AdvisorError(ErrorName.USAGE, "there is no data to train on", [fault])
    answers = gather_answers(given["answers_file"], given)
    rules = RuleBook(own=given["rules_dir"])
    return propose(answers, given["data"], choices=choices, rule_set=given["rule_set"], rules=rules)


def show_plan(proposal: Proposal) -> None:
    """Show on stderr what a launch would do."""
    console = narration_console()
    for part in plan_lines(proposal.plan):
        console.print(part)
