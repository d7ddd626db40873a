"""Keeps the job within the memory there is: an error that can be answered, no silent kill."""

import os
import resource
import sys
from pathlib import Path
from typing import Final

import torch

from ..faults import JobError
from ..settings import Settings

# What is left for the system and for what is not allocated as private data.
USABLE: Final = 0.97
LOCAL_PROCESSES: Final = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def limit_memory(settings: Settings, device: str) -> None:
    """Make an allocation fail that asks for more than is available, or than the settings allow.

    On a CPU Linux would else kill the process without a word. A limit on a CPU counts the
    private data of the process (VmData), on a GPU what is reserved there. Raise JobError
    `out_of_memory` where the program by itself holds more than the settings allow.
    """
    asked = settings.memory_limit_gb
    if device == "cuda":
        if asked:
            total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, asked * 1e9 / total))
    elif sys.platform == "linux":
        held, room = data_bytes(), available_bytes()
        if asked and asked * 1e9 <= held:
            what = f"the program itself holds {held / 1e9:.2f} GB, before any model"
            hint = "plan with a higher memory_limit_gb"
            raise JobError("out_of_memory", what, where="memory_limit_gb", hint=hint)
        if asked or room:
            _limit(int(asked * 1e9 if asked else held + room * USABLE / LOCAL_PROCESSES))


def available_bytes() -> int:
    """Return what could be allocated now without swapping, by the machine and the cgroup."""
    machine = _field(Path("/proc/meminfo"), "MemAvailable:") * 1024
    groups = [room for room in map(_room, _cgroups()) if room is not None]
    return min([machine, *groups])


def data_bytes() -> int:
    """Return the private data of this process: what the limit counts."""
    return _field(Path("/proc/self/status"), "VmData:") * 1024


def _limit(size: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _cgroups() -> list[Path]:
    """Return the folders that may limit the memory of this process: its own and those above."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, kinds, name = line.split(":", 2)
        if kinds in ("", "memory"):
            root = Path("/sys/fs/cgroup") / kinds
            own = root / name.lstrip("/")
            found += [own, *(parent for parent in own.parents if parent.is_relative_to(root))]
    return found


def _room(group: Path) -> int | None:
    """Return what is left of a cgroup's limit; cache that can be dropped is room."""
    for limit, usage, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most = int((group / limit).read_text())
            used = int((group / usage).read_text())
        except (OSError, ValueError):  # no such file, or `max`: no limit
            continue
        return max(0, most - used + _field(group / "memory.stat", cache))
    return None


def _field(path: Path, name: str) -> int:
    """Return the number behind `name` in a file of lines; 0 where there is none."""
    try:
        words = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return 0
    return next((int(line[1]) for line in words if line and line[0] == name), 0)
