"""Books every tensor's storage as it comes and goes, and says what lay in memory at the peak."""

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WEIGHTS: Final = "weights"
GRADIENTS: Final = "gradients"
OPTIMIZER: Final = "optimizer"
ACTIVATIONS: Final = "activations"
LOGITS: Final = "logits"
CAST: Final = torch.ops.aten._to_copy.default  # noqa: SLF001 - the operator's name


class Ledger(TorchDispatchMode):
    """Follows live storages while it is active: works on fake tensors and on real ones.

    Storages are followed by weak references, so that nothing lives longer for being counted. What
    nobody labels are activations, or logits where the last dimension is that of the vocabulary.
    """

    def __init__(self, vocab: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._vocab = vocab
        # The live storages by address: the number of each, and a reference that tells its end.
        self._live: dict[int, tuple[int, Any]] = {}
        self._sizes: list[int] = []
        self._labels: list[str] = []
        # Either (storage's number, whether it comes or goes) or (None, a moment that begins).
        self._events: list[tuple[int | None, bool | str]] = []

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run the operator and book what it made."""
        made = func(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves(made) if isinstance(one, torch.Tensor)]
        if func is CAST and self._labels[self._book(args[0])] == WEIGHTS:
            # What autocast makes of a weight is a second copy of it.
            self.label(tensors, WEIGHTS)
        for tensor in tensors:
            self._book(tensor)
        return made

    def moment(self, name: str) -> None:
        """Begin a moment of the step; the peak is found for each."""
        self._events.append((None, name))

    def label(self, tensors: Iterable[torch.Tensor | None], label: str) -> None:
        """Say what the storages of `tensors` hold, from their beginning."""
        for tensor in tensors:
            if tensor is not None:
                self._labels[self._book(tensor)] = label

    def peaks(self) -> dict[str, dict[str, int]]:
        """Return, for each moment, what lay in memory when it was fullest: bytes by label."""
        found: dict[str, dict[str, int]] = {}
        now: dict[str, int] = {}
        moment = "before the step"
        for number, what in self._events:
            if number is None:
                moment = str(what)
                continue
            label, size = self._labels[number], self._sizes[number]
            now[label] = now.get(label, 0) + (size if what else -size)
            if sum(now.values()) > sum(found.get(moment, {}).values()):
                found[moment] = dict(now)
        return found

    def _book(self, tensor: torch.Tensor) -> int:
        """Return the number of the tensor's storage; a new one comes into memory now."""
        storage = tensor.untyped_storage()
        address = storage._cdata  # noqa: SLF001 - there is no other name of a storage
        if address not in self._live:
            number = len(self._sizes)
            gone = weakref.ref(storage, lambda _: self._gone(address))
            self._live[address] = (number, gone)
            self._sizes.append(storage.nbytes())
            self._labels.append(self._guess(tensor))
            self._events.append((number, True))
        return self._live[address][0]

    def _gone(self, address: int) -> None:
        number, _ = self._live.pop(address)
        self._events.append((number, False))

    def _guess(self, tensor: torch.Tensor) -> str:
        scores = tensor.dim() > 1 and tensor.shape[-1] == self._vocab
        return LOGITS if scores else ACTIVATIONS
