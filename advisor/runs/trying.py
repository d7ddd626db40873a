"""Asks the models of a finished run, in a process of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from advisor.errors import AdvisorError, ErrorName, Exit, Fault
from advisor.runs.history import run_entry
from advisor.runs.supervise import KEPT_VARIABLES


def try_prompt(folder: Path, prompt: str, *, max_tokens: int, temperature: float) -> dict[str, Any]:
    """Return what the base and the tuned model of a finished run answer to a prompt.

    Raises:
        AdvisorError: `run_unusable` where this is no finished run; else what the child process
            could not do, such as `model_unusable` where the base is not here.
    """
    _require_finished(folder)
    request = {"prompt": prompt, "max_tokens": max_tokens, "temperature": temperature}
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    ended = subprocess.run(
        [sys.executable, "-m", "job.trying"],
        cwd=folder,
        env={**environment, "JOB_PARENT": str(os.getpid())},
        input=json.dumps(request),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    try:
        document: dict[str, Any] = json.loads(ended.stdout)
    except ValueError:
        raise _failed(folder, ended) from None
    if error := document.get("error"):
        fault = Fault(
            path=error["where"] or str(folder), found=error["message"], hint=error["hint"]
        )
        raise AdvisorError(
            ErrorName(error["code"]),
            "the run cannot be tried",
            [fault],
            exit_code=Exit(ended.returncode),
        )
    return document


def _require_finished(folder: Path) -> None:
    entry = run_entry(folder)
    if entry.state != "done":
        fault = Fault(
            path=str(folder),
            expected="a finished run",
            found=f"one that is {entry.state}",
            hint=f"go on with: advisor resume {folder}",
        )
        raise AdvisorError(ErrorName.RUN_UNUSABLE, "the run cannot be tried", [fault])
    if not (folder / "job" / "trying.py").is_file():
        fault = Fault(path=str(folder), found="its job cannot answer", hint="make the run anew")
        raise AdvisorError(ErrorName.RUN_UNUSABLE, "the run cannot be tried", [fault])


def _failed(folder: Path, ended: subprocess.CompletedProcess[str]) -> AdvisorError:
    last = (ended.stderr.strip().splitlines() or ["nothing was printed"])[-1]
    killed = ended.returncode < 0
    name = ErrorName.OUT_OF_MEMORY if killed else ErrorName.BUG
    found = f"killed by signal {-ended.returncode}" if killed else last
    return AdvisorError(name, "the run cannot be tried", [Fault(path=str(folder), found=found)])
