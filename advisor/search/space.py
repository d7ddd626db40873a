"""What is searched: GPUs, their counts, methods and layouts; what a request fixes stays fixed."""

from collections.abc import Iterator
from typing import NamedTuple

from advisor.catalog import CARDS, Catalog
from advisor.estimation.documents import EstimateRequest
from advisor.estimation.hosted import PRIVATE
from advisor.estimation.memory import beyond_allocator_gb
from advisor.estimation.money import OWNED
from advisor.estimation.training_job import Device, TrainingJob
from advisor.machine import Machine
from advisor.options.layout import Choice, draft_of
from advisor.options.named import METHODS, Named, look_up
from advisor.options.recipes import recipe_of

COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)
# A model that is at hand is tuned in one of these ways; the others ask for text instead.
TUNING = ("full_finetune", "lora")


class Space(NamedTuple):
    """All that is tried; the devices are those of `named`."""

    named: Named
    methods: tuple[tuple[str, str], ...]
    counts: tuple[int, ...]
    catalog: Catalog

    @property
    def request(self) -> EstimateRequest:
        """What was asked for."""
        return self.named.request

    def counts_of(self, device: Device) -> tuple[int, ...]:
        """Return how many of a device can work together."""
        if self.request.gpus:
            return self.counts
        if device.local:
            here = len(self.named.machine.gpus) if self.named.machine else 1
            return tuple(count for count in self.counts if count <= max(here, 1))
        # Laptops and systems on a chip come as a whole.
        return self.counts if device.form in CARDS else self.counts[:1]

    def choice(self, approach: str, method: str, device: Device, gpus: int) -> Choice:
        """Return one method on so many of one device, with the tokens of a step settled.

        Every count of GPUs takes the same steps, so that all end with the same model. Only GPUs
        that the request itself numbers may be more than a step has sequences.
        """
        recipe = recipe_of(self.catalog, approach, method, params=self.named.shape.params)
        choice = Choice(
            named=self.named._replace(approach=approach),
            recipe=recipe,
            method=method,
            device=device,
            gpus=gpus,
            table=self.catalog.utilisation,
        )
        if self.request.global_batch_tokens:
            return choice
        step = float(recipe.tokens_per_step)
        if self.request.gpus:
            step = max(step, float(draft_of(choice).seq_len * gpus))
        settled = self.request.model_copy(update={"global_batch_tokens": step})
        return choice._replace(named=choice.named._replace(request=settled))


def space_of(
    request: EstimateRequest, *, catalog: Catalog, machine: Machine | None = None
) -> Space:
    """Return what is searched for a request. Raises REQUEST_INVALID with every fault."""
    asked = request
    if request.privacy in PRIVATE and request.provider is None:
        asked = request.model_copy(update={"provider": OWNED})
    named = look_up(asked, catalog=catalog, machine=machine)
    if request.gpu is None:
        every = tuple(Device.of_gpu(gpu) for gpu in catalog.gpus.all())
        named = named._replace(devices=every)
    counts = (request.gpus,) if request.gpus else COUNTS
    return Space(named=named, methods=_methods(asked), counts=counts, catalog=catalog)


def _methods(request: EstimateRequest) -> tuple[tuple[str, str], ...]:
    """Return the (approach, method) pairs that a request leaves open."""
    approaches = (request.approach,) if request.approach else TUNING
    asked = request.method or ("qlora" if request.quantization else None)
    return tuple(
        (approach, method)
        for approach in approaches
        for method in METHODS[approach]
        if asked in (None, method)
    )


def classes_of(space: Space) -> Iterator[tuple[TrainingJob, ...]]:
    """Yield a job on every device, in groups within which a job needs the same memory.

    What a job asks of its GPU depends on the GPU only through its precision, how attention is
    computed on it, and what its driver holds.
    """
    groups: dict[tuple[object, ...], list[TrainingJob]] = {}
    approach, method = space.methods[0]
    for device in space.named.devices:
        draft = draft_of(space.choice(approach, method, device, 1))
        key = (draft.precision, draft.attention, beyond_allocator_gb(draft))
        groups.setdefault(key, []).append(draft)
    yield from map(tuple, groups.values())
