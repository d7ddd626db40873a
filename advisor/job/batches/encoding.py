"""From text to tokens, many texts at once."""

from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..faults import JobError
from .rendering import Tokens

Counts = NDArray[np.int64]


class Encoder:
    """A tokenizer, asked for nothing but the tokens.

    `opening` and `closing` are what it puts around a text of its own accord, `end` is the
    end-of-text token, `space` what must stand before a word so that it is read as within a text.
    Texts are encoded whole, without opening and closing, in parallel.
    """

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401
        self.tokenizer = tokenizer
        self.end = int(tokenizer.eos_token_id if tokenizer.eos_token_id is not None else -1)
        backend = getattr(tokenizer, "backend_tokenizer", None)
        self._backend = backend if hasattr(backend, "encode_batch_fast") else None
        self.opening, self.closing = self._frame()
        first, second, both = self.each(["a", "b", "a b"])
        self.space = "" if [*first, *second] == [*both] else " "

    def flat(self, texts: list[str]) -> tuple[Tokens, Counts]:
        """Return the tokens of all texts end to end, and how many each of them has."""
        if self._backend is None:
            found = self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        else:
            # A tokenizer on disk may be set to cut or to pad.
            self._backend.no_truncation()
            self._backend.no_padding()
            encoded = self._backend.encode_batch_fast(texts, add_special_tokens=False)
            found = [one.ids for one in encoded]
        counts = np.fromiter(map(len, found), dtype=np.int64, count=len(found))
        tokens = np.fromiter(chain.from_iterable(found), dtype=np.int32, count=int(counts.sum()))
        return tokens, counts

    def each(self, texts: list[str]) -> list[Tokens]:
        """Return the tokens of each text."""
        tokens, counts = self.flat(texts)
        return np.split(tokens, np.cumsum(counts[:-1])) if texts else []

    def framed(self, ids: Tokens, most: int) -> Tokens:
        """Return the text between opening and closing, cut so that it is at most `most` long."""
        room = most - len(self.opening) - len(self.closing)
        return np.concatenate([self.opening, ids[:room], self.closing])

    def _frame(self) -> tuple[Tokens, Tokens]:
        bare = self.tokenizer("a", add_special_tokens=False)["input_ids"]
        framed = self.tokenizer("a")["input_ids"]
        at = next(n for n in range(len(framed)) if framed[n : n + len(bare)] == bare)
        opening, closing = framed[:at], framed[at + len(bare) :]
        return np.array(opening, dtype=np.int32), np.array(closing, dtype=np.int32)


def unfit(lack: str) -> JobError:
    """Return the error of a tokenizer that the objective cannot work with."""
    return JobError("model_unusable", f"its tokenizer has {lack}", hint="use another base")
