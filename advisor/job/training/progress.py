"""How far the training is: steps, tokens, losses, seconds; the lines of metrics.jsonl."""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from ..files import private


@dataclass(kw_only=True, slots=True)
class Window:
    """Sums since the last logged step."""

    steps: int = 0
    tokens: int = 0
    loss: float = 0.0
    seconds: float = 0.0

    def add(self, *, tokens: int, loss: float, seconds: float) -> None:
        """Add one optimizer step."""
        self.steps += 1
        self.tokens += tokens
        self.loss += loss
        self.seconds += seconds


@dataclass(kw_only=True, slots=True)
class Progress:
    """The accounts of a run over all its sessions; a checkpoint holds them beside the weights.

    `seconds` is the time since training began, `steady` sums the steps that tell the throughput
    (neither a session's first nor a profiled one). Losses are nats per token. `slots` counts the
    places for tokens, padding too. Where settings.patience is given, `best_step` has the lowest
    validation loss, `without_gain` counts the evaluations since, and `ended_early` says why
    training stopped before its last step.
    """

    step: int = 0
    seconds: float = 0.0
    all: Window = field(default_factory=Window)
    steady: Window = field(default_factory=Window)
    logged: Window = field(default_factory=Window)
    first_loss: float | None = None
    last_loss: float | None = None
    validation: float | None = None
    best_validation: float | None = None
    best_step: int | None = None
    without_gain: int = 0
    ended_early: str | None = None
    memory_gb: float = 0.0
    slots: int = 0
    flops_per_token: float | None = None
    joules: float | None = None
    spans: int = 0
    bookkeeping: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    memory_after: dict[str, float] = field(default_factory=dict)
    operators: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what `write` wrote."""
        raw = json.loads(path.read_bytes())
        windows = {name: Window(**raw.pop(name)) for name in ("all", "steady", "logged")}
        return cls(**windows, **{f.name: raw[f.name] for f in fields(cls) if f.name in raw})

    def write(self, path: Path) -> None:
        """Write all of it as JSON; floats come back to the last bit."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    def add_step(self, *, tokens: int, loss: float, seconds: float, steady: bool) -> None:
        """Add one optimizer step."""
        self.step += 1
        for window in (self.all, self.logged, *([self.steady] if steady else [])):
            window.add(tokens=tokens, loss=loss, seconds=seconds)

    def note_validation(self, loss: float) -> bool:
        """Note an evaluation; return whether it is the best one so far."""
        self.validation = loss
        better = self.best_validation is None or loss < self.best_validation
        if better:
            self.best_validation, self.best_step, self.without_gain = loss, self.step, 0
        else:
            self.without_gain += 1
        return better

    def close_window(self, learning_rate: float) -> dict[str, Any]:
        """Return the line to log for the steps since the last one."""
        window, self.logged = self.logged, Window()
        self.last_loss = window.loss / window.steps
        if self.first_loss is None:
            self.first_loss = self.last_loss
        return {
            "step": self.step,
            "tokens": self.all.tokens,
            "loss": self.last_loss,
            "lr": learning_rate,
            "tokens_per_second": round(window.tokens / window.seconds, 2),
            "memory_gb": round(self.memory_gb, 4),
            "seconds": round(self.seconds, 3),
        }

    @property
    def tokens_per_second(self) -> float:
        """Return the throughput of all devices together, over the steady steps if any."""
        window = self.steady if self.steady.seconds else self.all
        return window.tokens / window.seconds


class Metrics:
    """metrics.jsonl: one line a logged step, appended at once."""

    def __init__(self, path: Path, *, after_step: int) -> None:
        """Go on after `after_step`: later lines, of steps that will be done again, are dropped."""
        self._path = path
        kept = [line for line in _lines(path) if line["step"] <= after_step]
        beside = path.with_name(f".tmp-{path.name}")
        with private(beside) as file:
            file.writelines(json.dumps(line) + "\n" for line in kept if after_step)
        beside.replace(path)

    def append(self, line: dict[str, Any]) -> None:
        """Add a line, in one write."""
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        try:
            os.write(file, (json.dumps(line) + "\n").encode())
        finally:
            os.close(file)


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines; a kill can have cut the last one."""
    if not path.is_file():
        return []
    lines = []
    for raw in path.read_bytes().splitlines():
        try:
            lines.append(json.loads(raw))
        except ValueError:
            continue
    return [line for line in lines if isinstance(line, dict) and isinstance(line.get("step"), int)]
