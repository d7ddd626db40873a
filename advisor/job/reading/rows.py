"""One row of data, checked: text, a pair, a dialogue, a labelled text or tagged tokens.

A row is read as the first form of `FORMS` whose columns it has; other columns are passed over.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, NoReturn

ROLES: Final = ("system", "user", "assistant", "tool")
# What other tools call these roles.
ROLE_OF: Final = {
    **{role: role for role in ROLES},
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "observation": "tool",
}
NEEDED: Final = "text, or prompt and completion, or messages"
# No row that a model can learn from is longer; memory would not hold any number of them.
MOST_ROW: Final = 1 << 26
# A UTF-8 byte that means nothing is read as one of these, so that it is blamed on its own row.
FIRST_ESCAPED, LAST_ESCAPED = 0xDC80, 0xDCFF


Row = Mapping[str, Any]


class Form(NamedTuple):
    """A form of row: its kind, the columns that it needs, and one that may come before the prompt.

    `extra` is put behind the first column where it holds anything.
    """

    kind: str
    columns: tuple[str, ...]
    extra: str = ""


FORMS: Final = (
    Form("messages", ("messages",)),
    Form("messages", ("conversations",)),  # ShareGPT
    Form("prompt_completion", ("prompt", "completion")),
    Form("prompt_completion", ("instruction", "output"), extra="input"),  # Alpaca
    Form("prompt_completion", ("question", "answer")),
    Form("tags", ("tokens", "tags")),
    Form("tags", ("tokens", "ner_tags")),  # entity sets on the Hugging Face hub
    Form("label", ("text", "label")),
    Form("text", ("text",)),
)
# Columns that hold a list; in a table of text they are written as JSON.
LISTS: Final = frozenset(
    name for form in FORMS if form.kind in ("messages", "tags") for name in form.columns
)
COLUMNS: Final = frozenset(name for form in FORMS for name in (*form.columns, form.extra) if name)


class Record(NamedTuple):
    """One piece of training data. `kind` says which of the parts it has.

    `line` counts from 1: the record's first line, or its row in a Parquet file. `group` is what
    the row says in the column that the split goes by, "" where it goes by none.
    """

    path: str
    line: int
    kind: str
    text: str = ""
    prompt: str = ""
    completion: str = ""
    messages: tuple[Mapping[str, str], ...] = ()
    label: str = ""
    tokens: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    group: str = ""

    @property
    def content(self) -> tuple[str, ...]:
        """Return the kind, then what a model reads; equal for records that no split may part.

        That is all strings of a record but its label or tags: one text under two labels is one.
        """
        if self.kind == "prompt_completion":
            return (self.kind, self.prompt, self.completion)
        if self.kind == "messages":
            turns = (part for turn in self.messages for part in (turn["role"], turn["content"]))
            return (self.kind, *turns)
        return (self.kind, " ".join(self.tokens) if self.tokens else self.text)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the class of a labelled text, or the tags of tokens."""
        return (self.label,) if self.kind == "label" else self.tags


class RowFault(Exception):  # noqa: N818 - becomes a Fault with its place
    """Why a row cannot be used, and what to do; its reader adds the place."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def record_of(row: Row, *, path: str, line: int, group_by: str | None = None) -> Record | None:
    """Return the row as a record, None for a blank one; raise RowFault where it is none."""
    form = form_of(tuple(row))
    group = _group(row, group_by) if group_by else ""
    if form.kind == "prompt_completion":
        prompt, completion = _pair(row, form)
        if not completion:
            return None
        return Record(path, line, form.kind, "", prompt, completion, (), "", (), (), group)
    if form.kind == "messages":
        turns = _turns(row[form.columns[0]], form.columns[0])
        return Record(path, line, form.kind, messages=turns, group=group)
    if form.kind == "tags":
        tokens, tags = _tagged(row, form)
        return (
            Record(path, line, form.kind, tokens=tokens, tags=tags, group=group) if tags else None
        )
    text = _string(row, "text")
    if not text.strip():
        return None
    label = _label(row["label"], "column label") if form.kind == "label" else ""
    return Record(path, line, form.kind, text, label=label, group=group)


@lru_cache(maxsize=1024)
def form_of(columns: tuple[str, ...]) -> Form:
    """Return the form of a row of these columns; raise RowFault where it has none."""
    for form in FORMS:
        if all(name in columns for name in form.columns):
            return form
    reason = f"no column {NEEDED}; columns present: {', '.join(map(str, columns)) or 'none'}"
    raise RowFault(reason, "rename the columns")


def check_characters(text: str) -> None:
    """Raise RowFault where `text` cannot be written as UTF-8, or holds a NUL."""
    if "\0" in text:
        raise RowFault("a NUL byte", "the file is binary, damaged or UTF-16: save it as UTF-8")
    if not text.isascii():
        _encodable(text)


def _encodable(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        code = ord(value[error.start])
        if FIRST_ESCAPED <= code <= LAST_ESCAPED:
            reason = f"not UTF-8: byte 0x{code - 0xDC00:02x} at position {error.start + 1}"
            raise RowFault(reason, "save the file as UTF-8") from None
        raise RowFault("half a character (lone surrogate)", "write the text again") from None


def _string(row: Row, name: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        present = ", ".join(map(str, row))
        reason = f"column {name} is {_kind_of(value)}; columns present: {present}"
        raise RowFault(reason, "it must be text: drop the row or fill it in")
    if not value.isascii():
        _encodable(value)
    return value


def _group(row: Row, name: str) -> str:
    if name not in row:
        present = ", ".join(map(str, row))
        reason = f"no column {name} to split by; columns present: {present}"
        raise RowFault(reason, "add the column, or leave out group_by")
    value = row[name]
    if type(value) is int:
        return str(value)
    if not isinstance(value, str) or not value.strip():
        found = "empty" if isinstance(value, str) else _kind_of(value)
        raise RowFault(f"column {name}, to split by, is {found}", "name the group of each row")
    _encodable(value)
    return value


def _pair(row: Row, form: Form) -> tuple[str, str]:
    """Return prompt and completion, the latter empty only where both are blank."""
    asked, answered = form.columns
    prompt, completion = _string(row, asked), _string(row, answered)
    if form.extra and row.get(form.extra) and (extra := _string(row, form.extra)).strip():
        prompt = f"{prompt}\n\n{extra}"
    if completion.strip():
        return prompt, completion
    if prompt.strip():
        raise RowFault(f"column {answered} is empty", f"drop the row or write its {answered}")
    return prompt, ""


def _label(value: object, where: str) -> str:
    if type(value) is int:
        return str(value)
    if not isinstance(value, str) or not value.strip():
        found = "empty" if isinstance(value, str) else _kind_of(value)
        raise RowFault(f"{where} is {found}", "a label is a name or a whole number")
    _encodable(value)
    return value


def _tagged(row: Row, form: Form) -> tuple[tuple[str, ...], tuple[str, ...]]:
    words, marks = form.columns
    tokens, tags = row[words], row[marks]
    hint = f'{words} and {marks} are lists of equal length: ["Ada", "wrote"], ["PER", "O"]'
    for name, found in ((words, tokens), (marks, tags)):
        if not isinstance(found, list):
            raise RowFault(f"column {name} is {_kind_of(found)}, not a list", hint)
    if len(tokens) != len(tags):
        raise RowFault(f"{len(tags)} {marks} for {len(tokens)} {words}", hint)
    for token in tokens:
        if not isinstance(token, str):
            raise RowFault(f"one of {words} is {_kind_of(token)}, not text", hint)
        _encodable(token)
    return tuple(tokens), tuple(_label(tag, f"one of {marks}") for tag in tags)


def _turns(turns: object, column: str) -> tuple[Mapping[str, str], ...]:
    hint = 'messages is a list of {"role": "user", "content": "…"}'
    if not isinstance(turns, list) or not turns:
        raise RowFault(f"column {column} is {_kind_of(turns)}", hint)
    found = tuple(_turn(turn, hint) for turn in turns)
    if not any(turn["role"] == "assistant" and turn["content"].strip() for turn in found):
        raise RowFault("no assistant turn to learn from", hint)
    return found


def _turn(turn: object, hint: str) -> Mapping[str, str]:
    said = turn if isinstance(turn, dict) else {}
    name = said.get("role", said.get("from"))
    role = ROLE_OF.get(name) if isinstance(name, str) else None
    if role is None:
        raise RowFault(f"a message without a role of {', '.join(ROLES)}", hint)
    content = said.get("content", said.get("value"))
    if not isinstance(content, str):
        raise RowFault(f"the content of a message is {_kind_of(content)}, not text", hint)
    if not content.isascii():
        _encodable(content)
    return {"role": role, "content": content}


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    names = {str: "text", bool: "true or false", int: "a number", float: "a number"}
    kinds = {list: "a list", dict: "an object"}
    return (names | kinds).get(type(value), type(value).__name__)


def json_row(text: str) -> Row:
    """Return the JSON object that `text` is; raise RowFault where it is none."""
    row, end = json_value(text)
    if end != len(text):
        raise RowFault(f"not JSON: more text at column {end + 1}", JSON_HINT)
    return object_of(row)


def json_value(text: str, start: int = 0) -> tuple[Any, int]:
    """Return the JSON value that begins at `start`, and where it ends; raise RowFault."""
    try:
        return DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        reason = f"not JSON: {error.msg} at column {error.colno}"
    except RecursionError:
        reason = "not usable JSON: nested too deeply"
    except ValueError as error:
        reason = f"not usable JSON: {str(error).partition(';')[0]}"
    raise RowFault(reason, JSON_HINT)


def object_of(row: object) -> Row:
    """Return the row if it is an object; raise RowFault otherwise."""
    if not isinstance(row, dict):
        raise RowFault(f"a row is {_kind_of(row)}, not an object", JSON_HINT)
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


JSON_HINT: Final = "one JSON object a line, or an array of objects"
DECODER: Final = json.JSONDecoder(object_pairs_hook=_without_twins, parse_constant=_no_constant)
