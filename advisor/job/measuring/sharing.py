"""Work shared by the processes of a run: each does its part, and all get the whole."""

from typing import Any, TypeVar

from torch import distributed

Item = TypeVar("Item")


def place() -> tuple[int, int]:
    """Return the number of this process and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def gathered(mine: dict[int, Item], count: int) -> list[Item]:
    """Return items 0 to `count` - 1 of all processes; each gives those that it has."""
    _, world = place()
    parts: list[Any] = [mine]
    if world > 1:
        parts = [None] * world
        distributed.all_gather_object(parts, mine)
    whole: dict[int, Item] = {number: item for part in parts for number, item in part.items()}
    return [whole[number] for number in range(count)]
