"""One row of data, checked: text, a prompt and its completion, or a dialogue."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

ROLES: Final = ("system", "user", "assistant", "tool")
NEEDED: Final = "text, or prompt and completion, or messages"


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One piece of training data. `kind` says which of the parts it has.

    `line` counts from 1: the record's first line, or its row in a Parquet file.
    """

    path: str
    line: int
    kind: str
    text: str = ""
    prompt: str = ""
    completion: str = ""
    messages: tuple[Mapping[str, str], ...] = ()

    @property
    def content(self) -> tuple[str, ...]:
        """Return all strings of the record, in order; equal for equal records."""
        turns = (part for turn in self.messages for part in (turn["role"], turn["content"]))
        return (self.kind, self.text, self.prompt, self.completion, *turns)


class RowFault(Exception):  # noqa: N818 - becomes a Fault with its place
    """Why a row cannot be used, and what to do; its reader adds the place."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def record_of(row: Mapping[str, Any], *, path: str, line: int) -> Record:
    """Return the row as a record; raise RowFault where it is none."""
    if "messages" in row:
        return Record(path=path, line=line, kind="messages", messages=_messages(row["messages"]))
    if "prompt" in row and "completion" in row:
        prompt, completion = _string(row, "prompt"), _string(row, "completion")
        if prompt.strip() and not completion.strip():
            raise RowFault("column completion is empty", "drop the row or write its completion")
        return Record(
            path=path, line=line, kind="prompt_completion", prompt=prompt, completion=completion
        )
    if "text" in row:
        return Record(path=path, line=line, kind="text", text=_string(row, "text"))
    present = ", ".join(map(str, row)) or "none"
    raise RowFault(f"no column {NEEDED}; columns present: {present}", "rename the columns")


def _string(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        present = ", ".join(map(str, row))
        reason = f"column {name} is {_kind_of(value)}; columns present: {present}"
        raise RowFault(reason, "it must be text: drop the row or fill it in")
    _encodable(value)
    return value


def _encodable(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RowFault("half a character (lone surrogate)", "write the text again") from None


def _messages(turns: object) -> tuple[Mapping[str, str], ...]:
    hint = 'messages is a list of {"role": "user", "content": "…"}'
    if not isinstance(turns, list) or not turns:
        raise RowFault(f"column messages is {_kind_of(turns)}", hint)
    for turn in turns:
        if not isinstance(turn, dict) or turn.get("role") not in ROLES:
            raise RowFault(f"a message without a role of {', '.join(ROLES)}", hint)
        if not isinstance(turn.get("content"), str):
            found = _kind_of(turn.get("content"))
            raise RowFault(f"the content of a message is {found}, not text", hint)
        _encodable(turn["content"])
    if not any(turn["role"] == "assistant" and turn["content"].strip() for turn in turns):
        raise RowFault("no assistant turn to learn from", hint)
    return tuple({"role": turn["role"], "content": turn["content"]} for turn in turns)


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    names = {str: "text", bool: "true or false", int: "a number", float: "a number"}
    kinds = {list: "a list", dict: "an object"}
    return (names | kinds).get(type(value), type(value).__name__)


def json_row(line: str) -> Mapping[str, Any]:
    """Return the JSON object on a line; raise RowFault where there is none."""
    hint = "one JSON object a line"
    try:
        row = json.loads(line, object_pairs_hook=_without_twins, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise RowFault(f"not JSON: {error.msg} at column {error.colno}", hint) from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise RowFault(f"not usable JSON: {reason.split(';')[0]}", hint) from None
    if not isinstance(row, dict):
        raise RowFault(f"a row is {_kind_of(row)}, not an object", hint)
    return row


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twin!a} stands twice")
    return row


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
