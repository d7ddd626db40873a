"""The memory ladder: what gives way where memory is short, and what never does.

The rows of an optimizer step stay the same: a micro-batch of half the size runs twice as often.
"""

import json
import os
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NoReturn

from ..faults import JobError, shown
from ..files import MAIN_PROCESS, say, sha256_of, write_json
from ..settings import Settings

SCHEMA: Final = "advisor.ladder/1"
QLORA: Final = "train a 4-bit base instead: advisor plan … --method qlora"


class OutOfRoom(Exception):  # noqa: N818 - no fault yet: the next rung may fit
    """Memory was short; the ladder went one rung down, and the job can be started again."""


def start_again() -> NoReturn:
    """Start this very process anew, where it goes on from its newest checkpoint, if any.

    A fresh process has all of the memory: what a long training leaves in pieces is not given back.
    """
    command = [sys.executable, *sys.orig_argv[1:]]
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    os.execv(sys.executable, command + ["--resume"] * ("--resume" not in command))  # noqa: S606


class Ladder:
    """The rungs that a run took, kept in ladder.json so that a resumed run takes them too."""

    def __init__(self, folder: Path, plan: Settings) -> None:
        """Read the rungs that were taken under this very plan."""
        self._path = folder / "ladder.json"
        self._plan = sha256_of(plan.to_dict())
        self.settings = plan
        self.rungs: list[dict[str, Any]] = _read(self._path, self._plan)
        for rung in self.rungs:
            self.settings = replace(self.settings, **_after(rung))
            say(f"{told(rung)}, as before")

    def step_down(self, error: BaseException, *, step: int, device: str) -> None:
        """Take the next rung and write it down; raise JobError where none is left."""
        changes = next_changes(self.settings, device=device)
        if not changes:
            what = f"out of memory at micro_batch {self.settings.micro_batch}; no rung is left"
            raise JobError("out_of_memory", what, where=_first_line(error), hint=QLORA) from error
        old = {name: getattr(self.settings, name) for name in changes}
        rung = {
            "after_step": step,
            "changes": {name: [old[name], changes[name]] for name in changes},
            "because": _first_line(error),
        }
        self.settings = replace(self.settings, **changes)
        self.rungs = [*self.rungs, rung]
        document = {"schema": SCHEMA, "settings_sha256": self._plan, "rungs": self.rungs}
        if MAIN_PROCESS or step:  # in a later step, the processes that are short of memory
            with suppress(FileNotFoundError):  # another one wrote the same at the same time
                write_json(self._path, document)
        say(f"out of memory: {told(rung)}; an update sees the same rows")


def next_changes(settings: Settings, *, device: str) -> dict[str, Any]:
    """Return the settings that give way next; nothing where all have."""
    if settings.micro_batch > 1:
        times = _smallest_divisor(settings.micro_batch)
        return {
            "micro_batch": settings.micro_batch // times,
            "gradient_accumulation": settings.gradient_accumulation * times,
        }
    if settings.gradient_checkpointing != "yes" and settings.method != "prefix":
        return {"gradient_checkpointing": "yes"}
    eight_bit = device == "cuda" and find_spec("bitsandbytes") is not None
    if settings.optimizer == "adamw" and eight_bit:
        return {"optimizer": "adamw_8bit"}
    return {}


def told(rung: Mapping[str, Any]) -> str:
    """Return a rung in words."""
    return ", ".join(f"{name} {old} → {new}" for name, (old, new) in rung["changes"].items())


def _after(rung: Mapping[str, Any]) -> dict[str, Any]:
    return {name: new for name, (_, new) in rung["changes"].items()}


def _smallest_divisor(number: int) -> int:
    return next(n for n in range(2, number + 1) if number % n == 0)


def _read(path: Path, plan: str) -> list[dict[str, Any]]:
    """Return the rungs in the file; none where it is missing, damaged or of another plan."""
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return []
    ours = isinstance(raw, dict) and (raw.get("schema"), raw.get("settings_sha256"))
    return list(raw["rungs"]) if ours == (SCHEMA, plan) else []


def _first_line(error: BaseException) -> str:
    return shown((str(error).strip().splitlines() or [type(error).__name__])[0])
