"""How the run stands: its lock, and run.json."""

import fcntl
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final, Self

from .faults import JobError, shown
from .files import say, write_json

RUN_SCHEMA: Final = "advisor.run/1"
SECONDS_BETWEEN_BEATS: Final = 1.0


class Lock:
    """The run's owner: an exclusive lock that dies with its process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._file = os.open(
            self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        owner = os.pread(self._file, 200, 0).decode(errors="replace").strip()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            hint = "wait for it, or end it with SIGTERM: it saves a checkpoint"
            what = f"this run belongs to another process: {shown(owner) or 'unknown'}"
            raise JobError("run_in_use", what, where="lock", hint=hint) from None
        if owner and owner != _owner():
            say(f"took over the lock of a dead process: {shown(owner)}")
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{_owner()}\n".encode(), 0)

    def release(self) -> None:
        """Give the run back."""
        os.ftruncate(self._file, 0)
        os.close(self._file)


@dataclass(kw_only=True, slots=True)
class RunState:
    """run.json: rewritten whole at each change.

    `spent` is the seconds of all sessions; `smaller` is what to do when memory is short;
    `note` says why training ended before its last step.
    """

    path: Path
    run_id: str = ""
    writes: bool = True
    smaller: str = ""
    started: str = ""
    phase: str = "loading"
    step: int = 0
    max_steps: int | None = None
    note: str | None = None
    stage: str = "1/1"
    folder: str = "."
    spent_before: float = 0.0
    _since: float = field(default_factory=monotonic)
    _written: float = 0.0

    @classmethod
    def begin(cls, folder: Path, *, writes: bool, earlier: Mapping[str, Any]) -> Self:
        """Return the state of a new session, going on from what `earlier` left in run.json."""
        state = cls(
            path=folder / "run.json",
            run_id=str(earlier.get("run_id") or ""),
            writes=writes,
            started=str(earlier.get("started") or _now()),
            step=int(earlier.get("step") or 0),
            spent_before=float(earlier.get("spent_seconds") or 0.0),
        )
        state.write("running")
        return state

    @property
    def spent(self) -> float:
        """Return the seconds spent in all sessions so far."""
        return self.spent_before + monotonic() - self._since

    def enter(self, phase: str) -> None:
        """Note the phase that begins."""
        self.phase = phase
        self.write("running")

    def beat(self) -> None:
        """Show that the run lives; at most once a second, for it costs a synced write."""
        if monotonic() - self._written >= SECONDS_BETWEEN_BEATS:
            self.write("running")

    def write(
        self, state: str, *, exit_code: int | None = None, error: Mapping[str, str] | None = None
    ) -> None:
        """Write run.json; only the main process does."""
        if not self.writes:
            return
        document = {
            "schema": RUN_SCHEMA,
            "run_id": self.run_id,
            "state": state,
            "phase": self.phase,
            "stage": self.stage,
            "folder": self.folder,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": self.started,
            "updated": _now(),
            "step": self.step,
            "max_steps": self.max_steps,
            "note": self.note,
            "spent_seconds": round(self.spent, 3),
            "exit": exit_code,
            "error": error,
        }
        write_json(self.path, document)
        self._written = monotonic()


def read_run(folder: Path) -> dict[str, Any]:
    """Return run.json, or {} where there is none; raise JobError where it is damaged."""
    try:
        run = json.loads((folder / "run.json").read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        run = None
    if not isinstance(run, dict) or run.get("schema") != RUN_SCHEMA:
        hint = "delete run.json, then: python -m job --resume"
        raise JobError(
            "run_unusable", "run.json is damaged", where="run.json", hint=hint, exit_code=6
        )
    return run


def _owner() -> str:
    return f"{socket.gethostname()} {os.getpid()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
