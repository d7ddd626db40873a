"""From records to tokens, and which of them the loss counts on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

import numpy as np
from jinja2 import TemplateError
from numpy.typing import NDArray

from ..faults import DataError, Fault
from ..records import Record

IGNORED: Final = -100
ENCODED_AT_ONCE: Final = 1000
# What dialogues look like to a base whose tokenizer brings no chat template of its own.
PLAIN_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{{ '### ' + message.role + '\n' + message.content }}"
    "{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}{{ '\n\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '### assistant\n' }}{% endif %}"
)

Tokens = NDArray[np.int32]
Piece = tuple[str, bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """The tokens of one record; `labels` equal them where the loss counts, else they are -100."""

    kind: str
    ids: Tokens
    labels: Tokens


def turns_of(record: Record) -> list[dict[str, str]]:
    """Return the record as a dialogue; prompt and completion are a question and its answer."""
    if record.kind == "messages":
        return [dict(turn) for turn in record.messages]
    return [
        {"role": "user", "content": record.prompt},
        {"role": "assistant", "content": record.completion},
    ]


def dialogue_pieces(turns: list[dict[str, str]], tokenizer: Any) -> list[Piece]:  # noqa: ANN401
    """Return the rendered dialogue in pieces, each with whether the loss counts on it.

    It counts on the assistant's turns. Some templates show an earlier turn otherwise once the
    dialogue goes on: such a turn is not learned; where none is left, the last one is.
    """
    render = partial(tokenizer.apply_chat_template, tokenize=False)
    whole = render(turns)
    answers = [index for index, turn in enumerate(turns) if turn["role"] == "assistant"]
    pieces: list[Piece] = []
    done = 0
    for index in answers:
        head = render(turns[:index], add_generation_prompt=True)
        through = render(turns[: index + 1])
        grows = done <= len(head) < len(through)
        if grows and whole.startswith(through) and through.startswith(head):
            pieces += [(whole[done : len(head)], False), (whole[len(head) : len(through)], True)]
            done = len(through)
    if pieces:
        return pieces
    head = render(turns[: answers[-1]], add_generation_prompt=True)
    return [(head, False), (turns[answers[-1]]["content"] + tokenizer.eos_token, True)]


def encode(records: Iterable[Record], tokenizer: Any) -> Iterator[tuple[Record, Example]]:  # noqa: ANN401
    """Yield each record with its tokens, uncut; a text ends with the end-of-text token.

    Raise DataError at the end for dialogues that the chat template refuses.
    """
    source = iter(records)
    opening = [token for token in tokenizer("")["input_ids"] if token != tokenizer.eos_token_id]
    faults: list[Fault] = []
    while batch := list(islice(source, ENCODED_AT_ONCE)):
        pieces = [_pieces(record, tokenizer, faults) for record in batch]
        texts = [text for of_record in pieces for text, _ in of_record]
        tokens = iter(tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else [])
        for record, of_record in zip(batch, pieces, strict=True):
            encoded = [(next(tokens), learned) for _, learned in of_record]
            if record.kind == "text":
                encoded = [(opening, True), *encoded, ([tokenizer.eos_token_id], True)]
            yield record, _example(record.kind, encoded)
    if faults:
        raise DataError(faults)


def _pieces(record: Record, tokenizer: Any, faults: list[Fault]) -> list[Piece]:  # noqa: ANN401
    if record.kind == "text":
        return [(record.text, True)]
    try:
        return dialogue_pieces(turns_of(record), tokenizer)
    except TemplateError as error:
        reason = f"the base's chat template refuses this dialogue: {error}"
        hint = "change its turns, or use another base"
        faults.append(Fault(path=record.path, line=record.line, reason=reason, hint=hint))
        return []


def _example(kind: str, encoded: list[tuple[list[int], bool]]) -> Example:
    ids = np.array([token for tokens, _ in encoded for token in tokens], dtype=np.int32)
    if all(learned for _, learned in encoded):
        return Example(kind=kind, ids=ids, labels=ids)
    mask = np.array([learned for tokens, learned in encoded for _ in tokens], dtype=bool)
    return Example(kind=kind, ids=ids, labels=np.where(mask, ids, np.int32(IGNORED)))
