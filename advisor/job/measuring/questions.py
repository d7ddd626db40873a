"""Held-out questions with the answers that the data gives, and examples to show before them."""

from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import Any, Final, NamedTuple

from ..batches.rendering import PLAIN_TEMPLATE, turns_of
from ..reading.split import key_of
from ..records import Record

PROMPT_CHARACTERS: Final = 200
CANDIDATES: Final = 50

Turn = Mapping[str, str]
Tokens = list[int]


class Question(NamedTuple):
    """What is asked, the answer in the data, and the turns that lead to it; a text has no turns."""

    prompt: str
    reference: str
    turns: tuple[Turn, ...] | None = None


def question_of(record: Record) -> Question:
    """Return the last question of a dialogue; of a text, its beginning and how it goes on."""
    if record.kind == "text":
        half = min(len(record.text) // 2, PROMPT_CHARACTERS)
        rest = record.text[half : half + PROMPT_CHARACTERS]
        return Question(record.text[:half], rest)
    turns = turns_of(record)
    last = max(number for number, turn in enumerate(turns) if turn["role"] == "assistant")
    asked = [turn["content"] for turn in turns[:last] if turn["role"] == "user"]
    return Question(asked[-1] if asked else "", turns[last]["content"], tuple(turns[:last]))


def chosen(records: Iterable[Record], count: int, seed: int) -> list[Record]:
    """Return `count` records, the same ones for a seed whatever their order; texts come last."""
    return nsmallest(
        count, records, key=lambda record: (record.kind == "text", key_of(record, seed))
    )


def demonstrations(records: Iterable[Record], shots: int, seed: int) -> tuple[Question, ...]:
    """Return examples to show: the shortest of a seeded choice among the training records."""
    drawn = [question_of(one) for one in chosen(records, CANDIDATES * shots, seed)]
    return tuple(sorted((one for one in drawn if one.turns), key=_length)[:shots])


def _length(question: Question) -> int:
    return len(question.prompt) + len(question.reference)


class Writer(NamedTuple):
    """Writes questions as the model reads them: the way that it was trained on them."""

    tokenizer: Any
    seq2seq: bool

    def tokens(self, question: Question, shown: Sequence[Question] = ()) -> Tokens:
        """Return the tokens of a question, with examples before it."""
        if question.turns is None:
            ids = self.tokenizer(question.prompt)["input_ids"]
            return [token for token in ids if token != self.tokenizer.eos_token_id]
        if self.seq2seq and len(question.turns) == 1:
            told = [f"{one.prompt}\n{one.reference}\n\n" for one in shown]
            return list(self.tokenizer("".join(told) + question.prompt)["input_ids"])
        text = self._dialogue(_with_examples(question.turns, shown))
        return list(self.tokenizer(text, add_special_tokens=self.seq2seq)["input_ids"])

    def _dialogue(self, turns: list[dict[str, str]]) -> str:
        if not turns:
            return ""
        template = self.tokenizer.chat_template or PLAIN_TEMPLATE
        return str(
            self.tokenizer.apply_chat_template(
                turns, chat_template=template, tokenize=False, add_generation_prompt=True
            )
        )

    def fitting(
        self, question: Question, shown: Sequence[Question], room: int
    ) -> tuple[Tokens, int]:
        """Return the tokens of a question with as many examples as there is room for."""
        for count in range(len(shown), 0, -1):
            tokens = self.tokens(question, shown[:count])
            if len(tokens) <= room:
                return tokens, count
        return self.tokens(question), 0

    def reference(self, question: Question) -> int:
        """Return how many tokens the answer in the data has."""
        return len(self.tokenizer(question.reference, add_special_tokens=False)["input_ids"])


def _with_examples(turns: Sequence[Turn], shown: Sequence[Question]) -> list[dict[str, str]]:
    """Return the turns with the examples after the system's, as turns of the same dialogue."""
    start = 1 if turns and turns[0]["role"] == "system" else 0
    told = [
        turn
        for one in shown
        for turn in (
            {"role": "user", "content": one.prompt},
            {"role": "assistant", "content": one.reference},
        )
    ]
    return [dict(turn) for turn in (*turns[:start], *told, *turns[start:])]
