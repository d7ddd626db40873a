"""Starts the command line as a user does: a process of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(
    *arguments: str, stdin: str = "", cwd: Path | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Return what `advisor …` printed and its exit code; stdin is no terminal."""
    return subprocess.run(
        [sys.executable, "-m", "advisor", *arguments],
        input=stdin,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
