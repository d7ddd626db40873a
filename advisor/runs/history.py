"""The history: which runs there were, what was predicted of them and what was measured."""

import os
import socket
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from advisor.errors import AdvisorError
from advisor.places import state_folder
from advisor.runs.folder import read_document, read_plan

INDEX = "runs.txt"
COMPARED = ("wall_hours", "memory_gb_per_gpu", "tokens_per_second_per_gpu", "cost_usd")


class RunEntry(BaseModel):
    """One run: where it is, how it stands, what was predicted and what was measured."""

    run_id: str
    folder: str
    project: str | None
    approach: str
    method: str
    base_model: str | None
    state: str
    step: int
    max_steps: int
    started: str | None
    predicted: dict[str, Any]
    measured: dict[str, float | None] | None
    validation: dict[str, float | None] | None
    verdict: str | None


def remember(folder: Path) -> None:
    """Add a run folder to this user's history; one that is there already is not added again."""
    index = state_folder() / INDEX
    index.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    line = str(folder.resolve())
    known = index.read_text(encoding="utf-8").splitlines() if index.is_file() else []
    if line not in known:
        # One write in append mode: two runs that start together both stay.
        descriptor = os.open(index, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def all_runs() -> list[RunEntry]:
    """Return the runs of the history that are still there, the newest first."""
    index = state_folder() / INDEX
    if not index.is_file():
        return []
    found = []
    for line in reversed(index.read_text(encoding="utf-8").splitlines()):
        try:
            found.append(run_entry(Path(line)))
        except AdvisorError:
            continue
    return found


def run_entry(folder: Path) -> RunEntry:
    """Return what a run folder says of itself, or raise `run_unusable`."""
    plan = read_plan(folder)
    run = read_document(folder / "run.json") or {}
    result = read_document(folder / "result.json") or {}
    predictions = plan.predictions.model_dump()
    return RunEntry.model_validate(
        {
            "run_id": plan.run_id,
            "folder": str(folder),
            "project": plan.project,
            "approach": plan.approach,
            "method": plan.method,
            "base_model": plan.base_model,
            "state": _state(run),
            "step": run.get("step") or 0,
            "max_steps": run.get("max_steps") or plan.steps,
            "started": run.get("started"),
            "predicted": {name: predictions[name] for name in COMPARED},
            "measured": result.get("measured"),
            "validation": result.get("validation"),
            "verdict": result.get("verdict"),
        }
    )


def _state(run: dict[str, Any]) -> str:
    """Return the state; a run that says `running` while its process is gone was interrupted."""
    state = str(run.get("state", "unknown"))
    if state != "running" or run.get("host") != socket.gethostname():
        return state
    try:
        os.kill(int(run["pid"]), 0)
    except (OSError, KeyError, TypeError, ValueError):
        return "interrupted"
    return state
