"""What the run is bound by, and what to change: rules over measured shares."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

Shares = Mapping[str, float | None]


class Bound(NamedTuple):
    """One thing that can hold a run back: when it does, and what to do."""

    name: str
    holds: Callable[[Shares], bool]
    sentence: str


def _least(name: str, share: float) -> Callable[[Shares], bool]:
    return lambda shares: (shares.get(name) or 0.0) >= share


def _idle(shares: Shares) -> bool:
    busy = shares.get("busy")
    return busy is not None and busy < 0.7  # noqa: PLR2004 - see the sentence


# The first that holds is told. Shares are of the time of the run; `padding` is of the places for
# tokens; `busy`, `matmul`, `attention` and `elementwise` are of the profiled step.
BOUNDS: Final = (
    Bound(
        "data",
        _least("data", 0.10),
        "waiting for data ({data:.0%} of the time): read from a faster disk, or raise micro_batch",
    ),
    Bound(
        "saving",
        _least("save", 0.10),
        "saving checkpoints ({save:.0%} of the time): raise save_every_steps",
    ),
    Bound(
        "evaluation",
        _least("evaluate", 0.15),
        "evaluation ({evaluate:.0%} of the time): raise eval_every_steps, or hold out less",
    ),
    Bound(
        "padding",
        _least("padding", 0.20),
        "padding ({padding:.0%} of the places hold no token): pack the rows where the model can",
    ),
    Bound(
        "optimizer",
        _least("optimizer", 0.20),
        "the optimizer ({optimizer:.0%} of the time): raise gradient_accumulation, or train an "
        "adapter",
    ),
    Bound(
        "host",
        _idle,
        "the host that launches the work (the GPU worked {busy:.0%} of the time): raise "
        "micro_batch, or compile",
    ),
    Bound(
        "host",
        _least("other", 0.20),
        "work outside of the model ({other:.0%} of the time): raise micro_batch",
    ),
    Bound(
        "compute",
        _least("products", 0.50),
        "matrix products ({products:.0%} of the operators' time): only a faster device, fewer "
        "parameters that train or fewer tokens make it shorter",
    ),
    Bound(
        "memory",
        _least("elementwise", 0.50),
        "elementwise work on memory ({elementwise:.0%} of the operators' time): compile, or use "
        "16 bits where the device has them",
    ),
)
UNKNOWN: Final = Bound("nothing", lambda _: True, "nothing alone: no share stands out")


def bound_of(shares: Shares) -> tuple[str, str]:
    """Return the name of what the run is bound by, and one sentence on it and what to change."""
    products = [shares.get(kind) for kind in ("matmul", "attention")]
    known = {**shares, "products": sum(share or 0.0 for share in products)}
    bound = next((one for one in BOUNDS if one.holds(known)), UNKNOWN)
    return bound.name, f"bound by {bound.sentence.format(**known)}"
