"""The loss of a micro-batch; the output head is computed only where a label counts."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import torch
from torch.nn.functional import cross_entropy, linear
from torch.utils.checkpoint import checkpoint

from ..batches.rendering import IGNORED
from ..faults import is_memory
from ..files import say

Batch = dict[str, Any]
# What the loop adds to a batch beside the inputs of the model.
OURS: Final = ("labels", "positions", "targets", "tokens", "slots")
SHIFTED: Final = ("clm",)
HEADED: Final = ("clm", "mlm", "seq2seq")
# Logits of more elements are made, used and dropped in pieces: no full copy of them ever exists.
LARGEST_LOGITS: Final = 2**26
CHECKED_TOKENS: Final = 128
TOLERANCE: Final[Mapping[bool, float]] = {False: 1e-4, True: 2e-2}


def with_targets(batch: Batch, objective: str) -> Batch:
    """Add `positions`, where a label counts, in all rows end to end, and `targets`, these labels.

    For clm a position learns the token after it. `slots` is the places for tokens, padding too.
    """
    labels = batch["labels"]
    slots = batch["input_ids"].numel() + (labels.numel() if objective == "seq2seq" else 0)
    learned = labels
    if objective in SHIFTED:
        learned = torch.full_like(labels, IGNORED)
        learned[:, :-1] = labels[:, 1:]
    learned = learned.reshape(-1)
    positions = (learned != IGNORED).nonzero()[:, 0]
    return {**batch, "positions": positions, "targets": learned[positions], "slots": slots}


class Loss:
    """Sums the cross-entropy of a micro-batch over the labels that count.

    Before the output head a hook drops the hidden states of all other positions, so that the
    logits are (counted, vocabulary), and what the model does to them afterwards still holds.
    """

    def __init__(self, model: Any, *, objective: str, mixed: Any = None, device: str) -> None:  # noqa: ANN401
        self.objective = objective
        self.ours = True
        self.pieces = False
        self.largest = LARGEST_LOGITS
        self._model = model
        self._autocast = (device, mixed)
        self._exact = mixed is None and device == "cpu"
        self._wanted: tuple[torch.Tensor, int] | None = None
        self._kept: torch.Tensor | None = None
        self._head = _output_head(model) if objective in HEADED else None
        self._headed = objective in HEADED
        if self._head is not None:
            self._head.register_forward_pre_hook(self._select)

    def __call__(self, model: Any, batch: Batch) -> torch.Tensor:  # noqa: ANN401
        """Return the summed loss of the batch; `model` may be wrapped."""
        inputs = {name: value for name, value in batch.items() if name not in OURS}
        if not self.ours:
            return self._models_own(model, inputs, batch)
        if "decoder_input_ids" not in inputs and _reads_twice(self._model):
            inputs["decoder_input_ids"] = self._model.prepare_decoder_input_ids_from_labels(
                batch["labels"]
            )
        targets, length = batch["targets"], batch["labels"].shape[-1]
        if self._headed:
            return self._at_head(model, inputs, batch["positions"], targets, length)
        logits = model(**inputs).logits
        if logits.dim() == 3:  # noqa: PLR2004 - rows, positions, classes
            logits = logits[:, -length:].flatten(0, 1)
        return _summed(logits[batch["positions"]], targets)

    def settle(self, batch: Batch) -> None:
        """Use this loss where it equals the model's own on a collated `batch`; else the latter."""
        batch = with_targets(_shortened(batch), self.objective)
        if not len(batch["targets"]):
            return
        was_training = self._model.training
        self._model.eval()
        with torch.no_grad(), self.autocast():
            difference = self._difference(batch)
            self.ours = difference is not None and difference <= TOLERANCE[not self._exact]
            if self.ours:
                self.pieces = self._is_plain(batch)
        self._model.train(was_training)
        if not self.ours:
            found = "it cannot" if difference is None else f"differs by {difference:.2g}"
            say(f"the loss is the model's own: computed where labels count alone, {found}")

    @property
    def head_weights(self) -> int:
        """Return how many weights the output head multiplies with."""
        weight = getattr(self._head, "weight", None)
        return 0 if weight is None else int(weight.numel())

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the precision that the model computes in, for what runs outside of its forward."""
        device, mixed = self._autocast
        return torch.autocast(device, dtype=mixed) if mixed else nullcontext()

    def _select(self, _head: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:  # noqa: ANN401
        """Keep the hidden states that are wanted; a method's virtual tokens come before them."""
        if self._wanted is None or not args:
            return None
        positions, length = self._wanted
        hidden = args[0][:, -length:].flatten(0, 1).index_select(0, positions)
        if self._in_pieces(len(positions)):
            self._kept = hidden
            hidden = hidden[:1]
        return (hidden, *args[1:])

    def _in_pieces(self, counted: int) -> bool:
        return self.pieces and counted * self._head.weight.shape[0] > self.largest

    def _at_head(
        self,
        model: Any,  # noqa: ANN401
        inputs: Batch,
        positions: torch.Tensor,
        targets: torch.Tensor,
        length: int,
    ) -> torch.Tensor:
        self._wanted = (positions, length)
        try:
            logits = model(**inputs).logits
        finally:
            self._wanted = None
        hidden, self._kept = self._kept, None
        return _summed(logits, targets) if hidden is None else self._by_pieces(hidden, targets)

    def _by_pieces(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss over a head without post-processing; logits are made again backwards."""
        rows = max(1, self.largest // self._head.weight.shape[0])
        pieces = zip(hidden.split(rows), targets.split(rows), strict=True)
        with self.autocast():
            return torch.stack(
                [checkpoint(self._piece, *piece, use_reentrant=False) for piece in pieces]
            ).sum()

    def _piece(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return _summed(linear(hidden, self._head.weight, self._head.bias), targets)

    def _models_own(self, model: Any, inputs: Batch, batch: Batch) -> torch.Tensor:  # noqa: ANN401
        """Return the model's mean loss times the labels; without a label, a zero with gradient."""
        labels, counted = batch["labels"], len(batch["targets"])
        return model(**inputs, labels=labels if counted else labels.clamp(min=0)).loss * counted

    def _difference(self, batch: Batch) -> float | None:
        """Return how far our mean loss is off the model's own; None where ours fails."""
        inputs = {name: value for name, value in batch.items() if name not in OURS}
        own = float(self._models_own(self._model, inputs, batch))
        try:
            ours = float(self(self._model, batch))
        except Exception as error:
            if is_memory(error):
                raise
            return None
        return abs(ours - own) / max(1.0, abs(own))

    def _is_plain(self, batch: Batch) -> bool:
        """Return whether the logits are the head's output as it is, measured on `batch`."""
        if type(self._head) is not torch.nn.Linear:
            return False
        largest, self.largest, self.pieces = self.largest, 0, True
        try:
            pieces = float(self(self._model, batch))
        finally:
            self.largest, self.pieces = largest, False
        whole = float(self(self._model, batch))
        return abs(pieces - whole) / max(1.0, abs(whole)) <= TOLERANCE[not self._exact]


def _summed(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return cross_entropy(logits.float(), targets, reduction="sum")


def _output_head(model: Any) -> Any:  # noqa: ANN401
    find = getattr(model, "get_output_embeddings", None)
    return find() if find else None


def _reads_twice(model: Any) -> bool:  # noqa: ANN401
    """Return whether the model has a decoder beside an encoder."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def _shortened(batch: Batch) -> Batch:
    """Return the batch cut to a few columns around the first label that counts."""
    labels = batch["labels"]
    width = labels.shape[-1]
    if labels.dim() == 1 or width <= CHECKED_TOKENS:
        return batch
    first = int((labels != IGNORED).any(0).int().argmax())
    start = max(0, min(first - CHECKED_TOKENS // 2, width - CHECKED_TOKENS))
    return {name: _cut(value, width, start) for name, value in batch.items()}


def _cut(value: Any, width: int, start: int) -> Any:  # noqa: ANN401
    """Return a tensor with each dimension of `width`, but the rows', cut; others as they are."""
    if isinstance(value, torch.Tensor):
        for dimension in range(1, value.dim()):
            if value.shape[dimension] == width:
                value = value.narrow(dimension, start, CHECKED_TOKENS)
    return value
