"""A run looked at from outside, by its files and its process; asked to stop by a signal."""

import json
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.runs.folder import read_document
from advisor.runs.history import RunEntry, run_entry
from advisor.runs.supervise import Progress, progress_of, stage_folder
from advisor.tui.chart import Point

RUNNING = "running"
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Vitals:
    """What the job's process takes of this machine; CPU in percent of one core."""

    cpu_percent: float
    memory_gb: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RunView:
    """One look at a run."""

    entry: RunEntry
    progress: Progress
    losses: tuple[Point, ...]
    validation: tuple[Point, ...]
    spent_hours: float | None
    vitals: Vitals | None
    trouble: str | None
    alive: bool

    @property
    def hours_in_all(self) -> float | None:
        """Return the wall time that the run is heading for, or took."""
        measured = (self.entry.measured or {}).get("wall_hours")
        if measured is not None or self.spent_hours is None:
            return measured
        left = self.progress.seconds_left
        return None if left is None else self.spent_hours + left / SECONDS_PER_HOUR


class RunWatch:
    """Looks at one run again and again; reads only what was logged since."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read = 0
        self._source: Path | None = None
        self._losses: list[Point] = []
        self._validation: list[Point] = []
        self._process: Any = None

    def look(self) -> RunView:
        """Return how the run stands, or raise `run_unusable` where its folder is gone."""
        entry, progress = run_entry(self.folder), progress_of(self.folder)
        run = read_document(self.folder / "run.json") or {}
        self._read_metrics(stage_folder(self.folder, run) / "metrics.jsonl")
        owner = owner_of(self.folder, run)
        spent = run.get("spent_seconds")
        return RunView(
            entry=entry,
            progress=progress,
            losses=tuple(self._losses),
            validation=tuple(self._validation),
            spent_hours=spent / SECONDS_PER_HOUR if isinstance(spent, (int, float)) else None,
            vitals=self._vitals(owner),
            trouble=_trouble(run),
            alive=owner is not None,
        )

    def _read_metrics(self, path: Path) -> None:
        try:
            size = path.stat().st_size
            if size < self._read or path != self._source:
                # A resumed run drops the steps that it does again; a new stage begins anew.
                self._source = path
                self._read, self._losses, self._validation = 0, [], []
            with path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except OSError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            found = json.loads(line)
            step = float(found["step"])
            self._losses.append((step, float(found["loss"])))
            if "validation_loss" in found:
                self._validation.append((step, float(found["validation_loss"])))
        except (ValueError, TypeError, KeyError):
            return

    def _vitals(self, owner: int | None) -> Vitals | None:
        import psutil  # noqa: PLC0415 - only a screen that watches a run needs it

        if owner is None:
            self._process = None
            return None
        try:
            if self._process is None or self._process.pid != owner:
                self._process = psutil.Process(owner)
                self._process.cpu_percent()
            memory = self._process.memory_info().rss / 1e9
            return Vitals(cpu_percent=self._process.cpu_percent(), memory_gb=memory)
        except psutil.Error:
            return None


def _trouble(run: Mapping[str, object]) -> str | None:
    error = run.get("error")
    if not isinstance(error, dict):
        return None
    parts = (error.get("message"), error.get("hint"))
    return " – ".join(str(part) for part in parts if part)


def owner_of(folder: Path, run: Mapping[str, object] | None = None) -> int | None:
    """Return the process id of the run's live job on this machine, or None.

    A process id can come again after its process has gone: the job is the one that works in the
    run's own folder.
    """
    import psutil  # noqa: PLC0415 - as above

    found = run if run is not None else read_document(folder / "run.json") or {}
    pid = found.get("pid")
    here = found.get("host") == socket.gethostname()
    if found.get("state") != RUNNING or not here or not isinstance(pid, int):
        return None
    try:
        process = psutil.Process(pid)
        lives = process.status() != psutil.STATUS_ZOMBIE
        return pid if lives and Path(process.cwd()) == folder.resolve() else None
    except (psutil.Error, OSError):
        return None


def stop(folder: Path) -> bool:
    """Ask the run's job to save a checkpoint and end; return whether there was one to ask."""
    owner = owner_of(folder)
    if owner is None:
        return False
    os.kill(owner, signal.SIGINT)
    return True
