"""A model reads rows: its loss on them, and what it would have said itself."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from ..batches.packing import Block
from ..batches.rendering import IGNORED
from ..batches.rows import Rows
from ..settings import HEADS
from .sharing import gathered
from .tallies import Numbers

# Logits of more elements than this are not made at once, unless a single row has them.
LARGEST_LOGITS: Final = 2**28
POSITIONS_AT_ONCE: Final = 1024
LARGEST_EXPONENT: Final = 700.0
SAID_BY_ITSELF: Final = ("mlm", *HEADS)

Collate = Callable[[Sequence[Block]], dict[str, Any]]
Autocast = Callable[[], AbstractContextManager[Any]]


class Reading(NamedTuple):
    """What a model made of one row; for clm `bytes` is the size of the text that counts.

    `wanted` and `said` are the labels that count and the model's own, for objectives that mark
    words or whole rows; `shares` is its probability of each class of a row.
    """

    nats: float
    tokens: int
    bytes: int = 0
    wanted: tuple[int, ...] = ()
    said: tuple[int, ...] = ()
    shares: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluator:
    """Lets a model read rows without training it.

    `total` adds a list of numbers over all processes; `rank` of `world` is this one; `beat` is
    called after each batch.
    """

    model: Any
    objective: str
    collate: Collate
    batch: int
    autocast: Autocast = nullcontext
    total: Callable[[list[float]], list[float]] = list
    rank: int = 0
    world: int = 1
    beat: Callable[[], None] = lambda: None

    def loss(self, rows: Rows) -> float | None:
        """Return the mean loss in nats over all tokens that count in `rows`; None without any."""
        if not len(rows):
            return None
        summed, counted = 0.0, 0
        for _, logits, labels in self._batches(rows):
            nats, tokens = _nats(logits, labels)
            summed += sum(nats)
            counted += sum(tokens)
        summed, counted = self.total([summed, counted])
        return summed / counted if counted else None

    def read(self, rows: Rows, tokenizer: Any) -> list[Reading]:  # noqa: ANN401
        """Return what the model makes of each row; of several processes each reads a part."""
        found: dict[int, Reading] = {}
        for numbers, logits, labels in self._batches(rows):
            found.update(zip(numbers, self._readings(logits, labels, tokenizer), strict=True))
        return gathered(found, len(rows))

    def _readings(self, logits: Any, labels: Any, tokenizer: Any) -> list[Reading]:  # noqa: ANN401
        nats, tokens = _nats(logits, labels)
        wanted = [row[row != IGNORED].tolist() for row in labels]
        if self.objective not in SAID_BY_ITSELF:
            sizes = [0] * len(nats)
            if self.objective == "clm":
                sizes = list(map(_bytes, tokenizer.batch_decode(wanted, skip_special_tokens=True)))
            return [Reading(*one) for one in zip(nats, tokens, sizes, strict=True)]
        said = [
            row[counts != IGNORED].argmax(-1).tolist()
            for row, counts in zip(logits, labels, strict=True)
        ]
        shares: list[Any] = [()] * len(nats)
        if self.objective == "classification":
            shares = logits[:, 0].float().softmax(-1).tolist()
        return [
            Reading(nats[n], tokens[n], 0, tuple(wanted[n]), tuple(said[n]), tuple(shares[n]))
            for n in range(len(nats))
        ]

    @torch.no_grad()
    def _batches(self, rows: Rows) -> Iterator[tuple[list[int], Any, Any]]:
        """Yield row numbers, logits and the labels beside them, the longest rows first."""
        model = getattr(self.model, "module", self.model)  # a replica waits for the others
        device = next(model.parameters()).device
        lengths = np.asarray(rows.lengths)
        order = np.argsort(-lengths, kind="stable").tolist()
        batch = max(1, min(self.batch, LARGEST_LOGITS // (max(lengths) * self._classes)))
        was_training = model.training
        model.eval()
        try:
            for start in range(self.rank * batch, len(order), batch * self.world):
                numbers = order[start : start + batch]
                inputs = self.collate([rows[number] for number in numbers])
                inputs = {
                    name: value.to(device)
                    for name, value in inputs.items()
                    if torch.is_tensor(value) and name != "tokens"
                }
                with self.autocast():
                    logits = _logits(model, inputs, self.objective)
                yield numbers, *_beside(logits, inputs["labels"], self.objective)
                self.beat()
        finally:
            model.train(was_training)

    @property
    def _classes(self) -> int:
        return 1 if self.objective in HEADS else int(getattr(self.model.config, "vocab_size", 1))


def _logits(model: Any, inputs: dict[str, Any], objective: str) -> Any:  # noqa: ANN401
    """Return the logits alone: the model's own loss would hold a second copy of them."""
    if objective == "seq2seq":
        return model(**inputs, use_cache=False).logits  # labels tell what the decoder reads
    read = {name: value for name, value in inputs.items() if name != "labels"}
    return model(**read, **({"use_cache": False} if objective == "clm" else {})).logits


def _beside(logits: Any, labels: Any, objective: str) -> tuple[Any, Any]:  # noqa: ANN401
    """Return logits and labels, (rows, positions, …), each position beside what it should say."""
    if objective == "classification":
        return logits[:, None], labels.reshape(-1, 1)
    logits = logits[:, -labels.shape[1] :]  # virtual tokens stand before the row's own
    return (logits[:, :-1], labels[:, 1:]) if objective == "clm" else (logits, labels)


def _nats(logits: Any, labels: Any) -> tuple[list[float], list[int]]:  # noqa: ANN401
    """Return the nats of each row over the tokens that count, and how many these are."""
    summed = torch.zeros(len(labels), device=logits.device)
    for number, (row, wanted) in enumerate(zip(logits, labels, strict=True)):
        for part, words in zip(
            row.split(POSITIONS_AT_ONCE), wanted.split(POSITIONS_AT_ONCE), strict=True
        ):
            summed[number] += cross_entropy(
                part.float(), words, ignore_index=IGNORED, reduction="sum"
            )
    return summed.tolist(), (labels != IGNORED).sum(-1).tolist()


def _bytes(text: str) -> int:
    return len(text.encode())


def perplexity(loss: float | None) -> float | None:
    """Return e to the power of `loss` (nats per token); None where that is beyond a float."""
    return None if loss is None or loss > LARGEST_EXPONENT else math.exp(loss)


def column(readings: Sequence[Reading], name: str) -> Numbers:
    """Return one number of all readings."""
    return np.array([getattr(one, name) for one in readings], dtype=np.float64)
