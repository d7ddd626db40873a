"""Names of bases and hardware as people say them."""

from advisor.planning.bases import REHEARSAL_BASE
from advisor.planning.plan import LOCAL


def base_in_words(base: str | None) -> str:
    """Return a base model's name; the embedded one and a model from scratch have none."""
    if base is None:
        return "a model of its own"
    return "the embedded small base" if base == str(REHEARSAL_BASE) else base


def gpu_in_words(gpu: str | None) -> str:
    """Return a GPU's name, or that it is this machine, whatever that has."""
    return "this machine" if gpu == LOCAL else gpu or "no GPU"


def hardware_in_words(gpus: int | None, gpu: str | None) -> str:
    """Return how many of which GPU."""
    return gpu_in_words(gpu) if gpu == LOCAL else f"{gpus or 1} × {gpu_in_words(gpu)}"
