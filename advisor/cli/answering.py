"""Answers at the door: flags, a file or stdin, and ADVISOR_ variables become one set."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from advisor.answers import Answers, Question, questions, read_answers
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.loading import load_document, read_text

Command = TypeVar("Command", bound=Callable[..., Any])
TRUTHS = ("true", "false")
WIDEST_METAVAR = 50


def answer_flags(command: Command) -> Command:
    """Give a command `--answers` and one flag for every question."""
    for question in reversed(questions()):
        command = _flag(question)(command)
    return click.option(
        "--answers", "answers_file", metavar="FILE", help="Answers as YAML or JSON; - is stdin."
    )(command)


def _flag(question: Question) -> Callable[[Command], Command]:
    help_text = question.help[0].upper() + question.help[1:]
    if question.choices == TRUTHS:
        # A flag alone means yes, as people expect; a value may follow all the same.
        return click.option(
            question.flag, is_flag=False, flag_value="true", metavar="[true|false]", help=help_text
        )
    metavar = "|".join(question.choices) or "TEXT"
    if len(metavar) > WIDEST_METAVAR:
        metavar, help_text = "NAME", f"{help_text}: {', '.join(question.choices)}"
    several = question.name == "language"
    return click.option(question.flag, metavar=metavar, help=help_text, multiple=several)


def gather_answers(answers_file: str | None, flags: Mapping[str, Any]) -> Answers:
    """Return the answers: a flag wins over the file, the file over an ADVISOR_ variable."""
    origin = "stdin" if answers_file == "-" else answers_file or "answers"
    document = _from_environment()
    if answers_file is not None:
        found = load_document(_text(answers_file), origin=origin)
        if not isinstance(found, Mapping):
            return read_answers(found, origin=origin)
        document = _overruled(document, found)
    return read_answers(_overruled(document, _from_flags(flags)), origin=origin)


def _text(answers_file: str) -> str:
    if answers_file != "-":
        return read_text(Path(answers_file))
    if sys.stdin.isatty():
        click.echo("reading answers from the terminal; end with Ctrl-D", err=True)
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        fault = Fault(path="stdin", expected="UTF-8 text", found="other bytes")
    raise AdvisorError(ErrorName.FILE_UNREADABLE, "stdin cannot be read", [fault])


def _from_environment() -> dict[str, Any]:
    found = {
        question: os.environ.get(f"ADVISOR_{question.name.upper()}") for question in questions()
    }
    return _nested({question: value for question, value in found.items() if value})


def _from_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    given = {question: flags.get(question.name) for question in questions()}
    return _nested({question: _one(value) for question, value in given.items() if value})


def _one(value: Any) -> Any:  # noqa: ANN401 - what click parsed
    if isinstance(value, tuple):
        return value[0] if len(value) == 1 else list(value)
    return value


def _nested(values: Mapping[Question, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for question, value in values.items():
        place = document.setdefault(question.group, {}) if question.group else document
        truth = question.choices == TRUTHS and value in TRUTHS
        place[question.name] = value == "true" if truth else value
    return document


def _overruled(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both as one; an answer above also ends the range that it had below."""
    ends = below.get("up_to")
    if isinstance(ends, Mapping):
        groups = [group for group in above.values() if isinstance(group, Mapping)]
        answered = {*above, *(name for group in groups for name in group)}
        kept = {name: end for name, end in ends.items() if name not in answered}
        below = {**below, "up_to": kept}
    return _merged(below, above)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if both else value
    return merged
