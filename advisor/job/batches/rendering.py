"""What each kind of record is as text, and which parts of it the loss counts on."""

from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..records import Record

IGNORED: Final = -100
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


def turns_of(record: Record) -> list[dict[str, str]]:
    """Return the record as a dialogue: a prompt asks for its completion, a text for its label."""
    if record.kind == "messages":
        return [dict(turn) for turn in record.messages]
    labelled = record.kind == "label"
    return [
        {"role": "user", "content": record.text if labelled else record.prompt},
        {"role": "assistant", "content": record.label if labelled else record.completion},
    ]


def dialogue_pieces(turns: list[dict[str, str]], tokenizer: Any) -> list[Piece]:  # noqa: ANN401
    """Return the rendered dialogue in pieces, each with whether the loss counts on it.

    It counts on the assistant's turns. Some templates show an earlier turn otherwise once the
    dialogue goes on: such a turn is not learned; where none is left, the last one is. A first turn
    that answers nothing is learned with its heading.
    """
    render = partial(_rendered, tokenizer)
    whole = render(turns)
    answers = [index for index, turn in enumerate(turns) if turn["role"] == "assistant"]
    pieces: list[Piece] = []
    done = 0
    for index in answers:
        head = render(turns[:index], add_generation_prompt=True)
        through = whole if index == len(turns) - 1 else render(turns[: index + 1])
        grows = done <= len(head) < len(through)
        if grows and whole.startswith(through) and through.startswith(head):
            pieces += [(whole[done : len(head)], False), (whole[len(head) : len(through)], True)]
            done = len(through)
    if pieces:
        return pieces
    head = render(turns[: answers[-1]], add_generation_prompt=True)
    return [(head, False), (turns[answers[-1]]["content"] + tokenizer.eos_token, True)]


def question_and_answer(record: Record, tokenizer: Any) -> tuple[str, str]:  # noqa: ANN401
    """Return what an encoder-decoder reads of the record, and what it answers.

    A pair is read as it stands. Of a dialogue the last answer is learned, and all before it is
    read, rendered only where it is more than one question.
    """
    turns = turns_of(record)
    last = max(index for index, turn in enumerate(turns) if turn["role"] == "assistant")
    before = turns[:last]
    if len(before) == 1:
        return before[0]["content"], turns[last]["content"]
    return _rendered(tokenizer, before, add_generation_prompt=True), turns[last]["content"]


def _rendered(tokenizer: Any, turns: list[dict[str, str]], **options: bool) -> str:  # noqa: ANN401
    """Return the turns as the chat template writes them; nothing for none, which it refuses."""
    if not turns:
        return ""
    template = tokenizer.chat_template or PLAIN_TEMPLATE
    return tokenizer.apply_chat_template(turns, chat_template=template, tokenize=False, **options)


def running_text(record: Record) -> str:
    """Return all that the record says, one part a line: what an encoder learns the language from.

    Of a labelled text the label is left out, and of tagged words the tags.
    """
    if record.kind == "prompt_completion":
        return f"{record.prompt}\n{record.completion}"
    if record.kind == "messages":
        return "\n".join(turn["content"] for turn in record.messages)
    return " ".join(record.tokens) if record.kind == "tags" else record.text
