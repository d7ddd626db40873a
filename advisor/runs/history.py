"""The history: which runs there were, what was predicted of them and what was measured."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from advisor.errors import AdvisorError
from advisor.places import state_folder
from advisor.runs.folder import read_document, read_plan

INDEX = "runs.txt"
COMPARED = ("wall_hours", "memory_gb_per_gpu", "tokens_per_second_per_gpu", "cost_usd")


class Headline(BaseModel):
    """The score that a run is judged by: of the trained model, of its base, of it shown examples.

    None where it was not measured.
    """

    name: str
    title: str
    higher_is_better: bool
    tuned: float | None = None
    base: float | None = None
    prompted_base: float | None = None


class Answered(BaseModel):
    """A prompt from the data, what was to be answered, and what the models answered."""

    prompt: str | None = None
    reference: str | None = None
    base: str | None = None
    prompted: str | None = None
    tuned: str | None = None


class Findings(BaseModel):
    """What a finished run found beside its figures; empty where it has none.

    `forgetting` is the loss on general text before and after, `profile` what bound the run's
    speed, `ladder` what gave way to memory.
    """

    headline: Headline | None = None
    forgetting: tuple[float, float] | None = None
    profile: str | None = None
    ladder: tuple[str, ...] = ()
    samples: tuple[Answered, ...] = ()


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
    findings: Findings = Findings()


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
            "findings": findings_of(result),
        }
    )


def findings_of(result: Mapping[str, Any]) -> Findings:
    """Return what a result says beside its figures; what is damaged or of another form is empty."""
    profile = result.get("profile")
    parts: dict[str, Any] = {
        "headline": _part(result, "metrics").get("headline"),
        "forgetting": _forgetting(_part(result, "forgetting")),
        "profile": profile.get("sentence") if isinstance(profile, dict) else profile,
        "ladder": tuple(map(_rung, result.get("ladder") or ())),
        "samples": result.get("samples") or (),
    }
    found = Findings()
    for name, value in parts.items():
        with suppress(ValidationError):
            read = Findings.model_validate({name: value})
            found = found.model_copy(update={name: getattr(read, name)})
    return found


def _part(result: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = result.get(name)
    return part if isinstance(part, dict) else {}


def _forgetting(part: Mapping[str, Any]) -> tuple[Any, Any] | None:
    before, after = part.get("loss_before"), part.get("loss")
    return None if before is None or after is None else (before, after)


def _rung(rung: object) -> str:
    """Return one step down the memory ladder in words."""
    changes = rung.get("changes") if isinstance(rung, dict) else None
    if not isinstance(changes, dict):
        return str(rung)
    told = (
        f"{name} {pair[0]} → {pair[1]}"
        for name, pair in changes.items()
        if isinstance(pair, list) and len(pair) == 2  # noqa: PLR2004 - before and after
    )
    return ", ".join(told)


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
