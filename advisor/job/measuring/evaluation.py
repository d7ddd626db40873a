"""What the model can do before and after: validation loss, and answers to sample prompts."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import torch
from transformers import GenerationConfig

from ..batches.packing import Block, collate
from ..batches.rendering import IGNORED, dialogue_pieces, turns_of
from ..records import Record

NEW_TOKENS: Final = 64
PROMPT_CHARACTERS: Final = 200
LARGEST_EXPONENT: Final = 700.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A sample prompt: as shown, as the model reads it, and the answer in the data."""

    prompt: str
    rendered: str
    reference: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluator:
    """Runs a model without training it.

    `total` adds a list of numbers over all processes; `rank` of `world` is this one.
    """

    model: Any
    tokenizer: Any
    pad_id: int
    batch: int
    seq_len: int
    autocast: Callable[[], AbstractContextManager[Any]]
    total: Callable[[list[float]], list[float]]
    rank: int = 0
    world: int = 1

    @torch.no_grad()
    def loss(self, blocks: Sequence[Block]) -> float | None:
        """Return the mean loss in nats over all tokens that count in `blocks`; None without any."""
        if not blocks:
            return None
        was_training = self.model.training
        self.model.eval()
        device = next(self.model.parameters()).device
        summed, counted = 0.0, 0
        for start in range(self.rank * self.batch, len(blocks), self.batch * self.world):
            inputs = collate(blocks[start : start + self.batch], self.pad_id)
            inputs.pop("tokens")
            tokens = int((inputs["labels"][:, 1:] != IGNORED).sum())
            inputs = {name: value.to(device) for name, value in inputs.items()}
            with self.autocast():
                loss = self.model(**inputs, use_cache=False).loss
            summed += float(loss) * tokens
            counted += tokens
        self.model.train(was_training)
        summed, counted = self.total([summed, counted])
        return summed / counted

    @torch.no_grad()
    def answers(self, questions: Sequence[Question]) -> list[str]:
        """Return the model's most likely continuation of each prompt, at most 64 tokens."""
        was_training = self.model.training
        self.model.eval()
        found = [self._answer(question) for question in questions]
        self.model.train(was_training)
        return found

    def _answer(self, question: Question) -> str:
        new = min(NEW_TOKENS, self.seq_len // 2)
        device = next(self.model.parameters()).device
        tokens = self.tokenizer(question.rendered, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([tokens[new - self.seq_len :] or [self.pad_id]], device=device)
        ends = self.model.generation_config.eos_token_id or self.tokenizer.eos_token_id
        config = GenerationConfig(
            do_sample=False, max_new_tokens=new, eos_token_id=ends, pad_token_id=self.pad_id
        )
        with self.autocast():
            output = self.model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config
            )
        return str(
            self.tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)
        ).strip()


def question_of(record: Record, tokenizer: Any) -> Question:  # noqa: ANN401
    """Return a prompt from a record: the last question of a dialogue, the beginning of a text."""
    if record.kind == "text":
        half = min(len(record.text) // 2, PROMPT_CHARACTERS)
        prompt, rest = record.text[:half], record.text[half:]
        return Question(prompt=prompt, rendered=prompt, reference=rest[:PROMPT_CHARACTERS])
    turns = turns_of(record)
    pieces = dialogue_pieces(turns, tokenizer)
    learned = max(index for index, (_, counts) in enumerate(pieces) if counts)
    last = max(index for index, turn in enumerate(turns) if turn["role"] == "assistant")
    asked = [turn["content"] for turn in turns[:last] if turn["role"] == "user"]
    return Question(
        prompt=asked[-1] if asked else "",
        rendered="".join(text for text, _ in pieces[:learned]),
        reference=turns[last]["content"],
    )


def perplexity(loss: float | None) -> float | None:
    """Return e to the power of `loss` (nats per token); None where that is beyond a float."""
    return None if loss is None or loss > LARGEST_EXPONENT else math.exp(loss)
