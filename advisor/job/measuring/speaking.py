"""A model answers: in batches, with a cache, within a budget of tokens."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import torch
from peft import PeftType
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from ..faults import is_memory
from ..files import say
from .evaluation import Autocast
from .questions import Tokens
from .sharing import gathered, place

SECONDS_BETWEEN_LINES: Final = 10.0
MOST_ROWS: Final = 64
MARGIN: Final = 16


def budget_of(longest_reference: int, seq_len: int) -> int:
    """Return how many tokens an answer may have: those of the longest reference and some more."""
    return max(1, min(longest_reference + MARGIN, seq_len // 2))


@dataclass(frozen=True, kw_only=True, slots=True)
class Speaker:
    """Lets a model answer prompts; greedily, unless there is a temperature.

    An answer ends after `new` tokens at the latest; a prompt keeps the end that fits into
    `seq_len` beside it. `at_once` tokens, prompts and answers, are in a batch at most.
    """

    model: Any
    tokenizer: Any
    new: int
    seq_len: int
    at_once: int
    autocast: Autocast = nullcontext
    beat: Callable[[], None] = lambda: None
    temperature: float = 0.0

    @torch.no_grad()
    def answers(self, prompts: Sequence[Tokens]) -> list[str]:
        """Return an answer to each prompt; of several processes each gives a part of them."""
        order = sorted(range(len(prompts)), key=lambda number: -len(prompts[number]))
        batches = self._batches(prompts, order)
        rank, world = place()
        mine = batches[rank::world]
        found: dict[int, str] = {}
        began = told = monotonic()
        was_training = self.model.training
        self.model.eval()
        try:
            for done, batch in enumerate(mine, start=1):
                found.update(zip(batch, self._said([prompts[n] for n in batch]), strict=True))
                if monotonic() - told > SECONDS_BETWEEN_LINES and done < len(mine):
                    told = monotonic()
                    left = (told - began) / done * (len(mine) - done)
                    say(f"answered {done * world} of {len(batches)} batches, {left:.0f} s left")
        finally:
            self.model.train(was_training)
        return gathered(found, len(prompts))

    def _batches(self, prompts: Sequence[Tokens], order: list[int]) -> list[list[int]]:
        """Return the prompts in batches, the longest ones first: memory is short early or never."""
        batches: list[list[int]] = []
        alike = _places_by_row(self.model)
        for number in order:
            longest = len(prompts[batches[-1][0]]) if batches else 0
            full = not batches or len(batches[-1]) >= self._rows(longest)
            if full or (alike and len(prompts[number]) != longest):
                batches.append([])
            batches[-1].append(number)
        return batches

    def _rows(self, longest: int) -> int:
        length = min(longest, self.seq_len) + self.new
        return max(1, min(MOST_ROWS, self.at_once // length))

    def _said(self, prompts: list[Tokens]) -> list[str]:
        """Return the answers to one batch; where memory is short, in two halves."""
        try:
            return self._generated(prompts)
        except Exception as error:
            if len(prompts) == 1 or not is_memory(error):
                raise
        half = len(prompts) // 2
        return [*self._said(prompts[:half]), *self._said(prompts[half:])]

    def _generated(self, prompts: list[Tokens]) -> list[str]:
        config = self.model.config
        ids, mask = self._padded(prompts, left=not config.is_encoder_decoder)
        with self.autocast():
            output = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=self._config(),
                stopping_criteria=StoppingCriteriaList([_Beat(self.beat)]),
            )
        new = output if config.is_encoder_decoder else output[:, ids.shape[1] :]
        texts = self.tokenizer.batch_decode(new, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _padded(self, prompts: list[Tokens], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Return tokens and mask; a decoder goes on from the end, so its rows are filled before."""
        pad = self._pad
        room = self.seq_len - self.new if left else self.seq_len
        cut = [(tokens[-room:] if left else tokens[:room]) or [pad] for tokens in prompts]
        longest = max(map(len, cut))
        fill = [longest - len(tokens) for tokens in cut]
        rows, seen = [], []
        for tokens, empty in zip(cut, fill, strict=True):
            gap, marks = [pad] * empty, [1] * len(tokens)
            rows.append([*gap, *tokens] if left else [*tokens, *gap])
            seen.append([*[0] * empty, *marks] if left else [*marks, *[0] * empty])
        device = next(self.model.parameters()).device
        return torch.tensor(rows, device=device), torch.tensor(seen, device=device)

    @property
    def _pad(self) -> int:
        found = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if found is None else found)

    def _config(self) -> GenerationConfig:
        """Return plain decoding: what the base's own settings would change of it is set back."""
        return GenerationConfig(
            do_sample=self.temperature > 0,
            temperature=self.temperature or 1.0,
            top_k=0 if self.temperature else 50,
            top_p=1.0,
            num_beams=1,
            repetition_penalty=1.0,
            no_repeat_ngram_size=0,
            max_new_tokens=self.new,
            min_new_tokens=0,
            use_cache=True,
            eos_token_id=ends_of(self.model, self.tokenizer),
            pad_token_id=self._pad,
        )


def _places_by_row(model: Any) -> bool:  # noqa: ANN401
    """Return whether gaps before a prompt would move it: virtual tokens of peft stand before them.

    peft then leaves the counting of positions to the model, which counts the gaps.
    """
    method = getattr(model, "active_peft_config", None)
    virtual = method is not None and method.is_prompt_learning
    return virtual and method.peft_type != PeftType.PREFIX_TUNING


class _Beat(StoppingCriteria):
    """Shows after each token that the run lives; stops nothing."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:  # noqa: ANN401, ARG002
        """Call the beat."""
        self._beat()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def ends_of(model: Any, tokenizer: Any) -> list[int]:  # noqa: ANN401
    """Return the tokens that end an answer: the model's, and that of its dialogues' turns."""
    known = model.generation_config.eos_token_id
    ends = [known] if isinstance(known, int) else list(known or [])
    return sorted({*ends, tokenizer.eos_token_id, *_turn_end(tokenizer)})


def _turn_end(tokenizer: Any) -> list[int]:  # noqa: ANN401
    """Return the special token that closes an assistant's turn; none where a template has none."""
    if not tokenizer.chat_template:
        return []
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "bcd"}]
    tail = tokenizer.apply_chat_template(turns, tokenize=False).rpartition("bcd")[2]
    special = {number for number, one in tokenizer.added_tokens_decoder.items() if one.special}
    ids = tokenizer(tail, add_special_tokens=False)["input_ids"]
    return [token for token in ids if token in special][:1]
