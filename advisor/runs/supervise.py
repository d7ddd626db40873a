"""Start the job of a run folder as a process of its own, follow it, and say how it ended."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from advisor.errors import EXIT_OF, AdvisorError, ErrorName, Exit, Fault
from advisor.runs.folder import read_document, read_plan

POLL_SECONDS = 0.2
PACE_LINES = 6
STAGE = re.compile(r"[0-9]+/[0-9]+")
STAGE_FOLDER = re.compile(r"stages/[0-9]+")
ACCELERATE = ("accelerate.commands.launch", "--config_file", "accelerate.yaml", "-m")
KEPT_VARIABLES = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "HF_HOME",
    "HF_HUB_CACHE",
    "CUDA_VISIBLE_DEVICES",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VIRTUAL_ENV",
    "SYSTEMROOT",
    "ADVISOR_ALLOW_DOWNLOAD",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How a run stands: its stage and phase, the stage's steps, and the newest logged step.

    `stage` is as `1/2`, None where a run has but one.
    """

    state: str
    phase: str
    step: int
    max_steps: int | None
    stage: str | None = None
    loss: float | None = None
    tokens_per_second: float | None = None
    memory_gb: float | None = None
    seconds_left: float | None = None

    @property
    def doing(self) -> str:
        """Return the phase, with the stage where there are several."""
        return f"stage {self.stage}, {self.phase}" if self.stage else self.phase


class JobProcess:
    """The job of a run folder, started; it dies with this process unless it is detached."""

    def __init__(self, folder: Path, *, resume: bool = False, detached: bool = False) -> None:
        self.folder = folder
        several = read_plan(folder).gpus > 1
        command = [
            *(sys.executable, "-m", *(ACCELERATE if several else ()), "job"),
            *(["--resume"] if resume else []),
        ]
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        if not (detached or several):
            environment["JOB_PARENT"] = str(os.getpid())
        with (folder / "log.txt").open("ab") as log:
            self.log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - an argument list of our own
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return the process id of the job."""
        return self._process.pid

    def follow(self) -> Iterator[Progress]:
        """Yield how the run stands, a few times a second, until the job has ended."""
        while self._process.poll() is None:
            yield progress_of(self.folder)
            time.sleep(POLL_SECONDS)
        yield progress_of(self.folder)

    def stop(self) -> None:
        """Ask the job to end after its step, with a checkpoint; do nothing once it has ended."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)

    def wait(self) -> int:
        """Wait for the end and return the job's exit code; negative where a signal ended it."""
        return self._process.wait()


def progress_of(folder: Path) -> Progress:
    """Return how the run in `folder` stands, from its own files."""
    run = read_document(folder / "run.json") or {}
    step = run.get("step")
    logged = _newest_metrics(stage_folder(folder, run) / "metrics.jsonl")
    newest = logged[-1] if logged else {}
    max_steps = _whole(run.get("max_steps"))
    return Progress(
        state=str(run.get("state", "unknown")),
        phase=str(run.get("phase", "starting")),
        step=max(step if isinstance(step, int) else 0, int(newest.get("step") or 0)),
        max_steps=max_steps,
        stage=_stage(run),
        loss=newest.get("loss"),
        tokens_per_second=newest.get("tokens_per_second"),
        memory_gb=newest.get("memory_gb"),
        seconds_left=_seconds_left(logged, max_steps),
    )


def stage_folder(folder: Path, run: Mapping[str, object]) -> Path:
    """Return where the stage at work leaves its files, as run.json says: in the run folder."""
    name = run.get("folder")
    return folder / name if isinstance(name, str) and STAGE_FOLDER.fullmatch(name) else folder


def _stage(run: Mapping[str, object]) -> str | None:
    stage = run.get("stage")
    return stage if isinstance(stage, str) and STAGE.fullmatch(stage) and stage != "1/1" else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _seconds_left(logged: Sequence[Mapping[str, float]], max_steps: int | None) -> float | None:
    """Return the time left at the pace of the newest logged steps, None before there are two."""
    if len(logged) < 2 or max_steps is None:  # noqa: PLR2004 - a pace needs two points
        return None
    first, last = logged[0], logged[-1]
    pace = (last["seconds"] - first["seconds"]) / max(1, last["step"] - first["step"])
    return pace * (max_steps - last["step"])


def _newest_metrics(path: Path) -> list[dict[str, float]]:
    """Return the last few logged training steps; the end of the file is enough for that."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 2048))
            lines = file.read().splitlines()
    except OSError:
        return []
    return [found for line in lines if (found := _training_step(line))][-PACE_LINES:]


def _training_step(line: bytes) -> dict[str, float] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "loss" in found else None


def require_done(folder: Path, exit_code: int, *, log_start: int) -> None:
    """Raise the error with which the job ended, if it did not finish.

    The job writes its error into run.json; where a signal killed it, this is noted there.
    """
    if exit_code == Exit.DONE:
        return
    if exit_code < 0:
        raise _killed(folder, -exit_code)
    if exit_code in (Exit.HANGUP, Exit.INTERRUPTED, Exit.TERMINATED):
        fault = Fault(
            path=str(folder),
            found="stopped with a checkpoint",
            hint=f"go on with: advisor resume {folder}",
        )
        raise AdvisorError(
            ErrorName.STOPPED, "the run was stopped", [fault], exit_code=Exit(exit_code)
        )
    raise _failed(folder, exit_code, log_start)


def _killed(folder: Path, number: int) -> AdvisorError:
    progress = progress_of(folder)
    name = signal.Signals(number).name
    where = f"at step {progress.step}" if progress.step else f"while {progress.phase}"
    likely = number == signal.SIGKILL
    fault = Fault(
        path=str(folder),
        found=f"killed by {name} {where}",
        hint="likely the system's memory limit; a smaller --micro-batch or --seq-len needs less"
        if likely
        else f"go on with: advisor resume {folder}",
    )
    named = ErrorName.OUT_OF_MEMORY if likely else ErrorName.BUG
    return AdvisorError(named, "the job was killed", [fault])


def _failed(folder: Path, exit_code: int, log_start: int) -> AdvisorError:
    run = read_document(folder / "run.json") or {}
    error = run.get("error") if run.get("exit") == exit_code else None
    if isinstance(error, dict):
        fault = Fault(path=str(folder), found=error.get("message"), hint=error.get("hint"))
        return AdvisorError(
            ErrorName(error.get("code", ErrorName.BUG)),
            "the run failed",
            [fault],
            exit_code=Exit(exit_code),
        )
    name = next((one for one, code in EXIT_OF.items() if code == exit_code), ErrorName.BUG)
    fault = Fault(
        path=str(folder / "log.txt"), found=_last_line(folder, log_start), hint="see log.txt"
    )
    return AdvisorError(name, "the run failed", [fault])


def _last_line(folder: Path, log_start: int) -> str:
    with (folder / "log.txt").open("rb") as log:
        log.seek(log_start)
        lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "nothing was printed"
