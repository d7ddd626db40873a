"""What the screen costs: first paint, answer to repaint, idling; each in a terminal of its own.

Run it with `python benchmarks/tui.py`. The first paint is CPU time against the smallest Textual
app, which holds better than wall time on a busy machine.
"""

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

ROUNDS = 7
CHANGES = 50
IDLE_SECONDS = 10.0
QUIET_SECONDS = 0.08
MINIMAL = """
from textual.app import App
from textual.widgets import Static
class Smallest(App):
    def compose(self): yield Static("hello")
    def on_ready(self): self.call_after_refresh(self.exit)
Smallest().run()
"""
OURS = """
from advisor.tui.app import AdvisorApp
from advisor.tui.store import Store
class Once(AdvisorApp):
    def on_ready(self): self.call_after_refresh(self.exit)
Once(Store()).run()
"""
# Every approach is priced here, which costs most.
STAYING = """
from advisor.answers import read_answers
from advisor.tui.app import open_screen
open_screen(read_answers({
    "domain": "legal", "task": "extraction", "language_novelty": "related",
    "data": {"raw_text": "5 GB", "labelled_examples": 8000},
    "gpu_budget": {"gpu": "rtx-4090", "gpus": 1, "deadline": "3 days", "budget_usd": 500},
    "privacy": "on_prem",
}))
"""
RIGHT = b"\x1b[C"
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def in_terminal(code: str, rows: int = 24, columns: int = 80) -> Iterator[tuple[int, int]]:
    """Start Python code in a terminal; yield its process id and the terminal's other end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    with tempfile.TemporaryDirectory() as state:
        environment = {**os.environ, "TERM": "xterm-256color", "ADVISOR_STATE_DIR": state}
        environment.pop("NO_COLOR", None)
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        try:
            yield child.pid, ours
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
            child.wait()
            os.close(ours)


def drain(terminal: int, quiet: float) -> float:
    """Read until nothing has come for a while; return when the last came."""
    last = time.perf_counter()
    while select.select([terminal], [], [], quiet)[0]:
        try:
            os.read(terminal, 65536)
        except OSError:
            break
        last = time.perf_counter()
    return last


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123 - no file of ours
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def first_paint(code: str) -> float:
    """Return the CPU seconds from start to exit after the first paint."""
    with in_terminal(code) as (pid, terminal):
        while True:
            drain(terminal, 0.05)
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if status:
                sys.exit("the app did not start")
            if done:
                return usage.ru_utime + usage.ru_stime


def repaints(rows: int, columns: int) -> list[float]:
    """Return the seconds from a key that changes an answer to the last byte of the repaint."""
    times = []
    with in_terminal(STAYING, rows, columns) as (_, terminal):
        drain(terminal, 3.0)
        for _ in range(CHANGES):
            began = time.perf_counter()
            os.write(terminal, RIGHT)
            if not select.select([terminal], [], [], 2.0)[0]:
                sys.exit("the app does not answer")
            times.append(drain(terminal, QUIET_SECONDS) - began)
    return times


def idle() -> float:
    """Return the share of one core that the dashboard takes while nothing happens."""
    with in_terminal(STAYING) as (pid, terminal):
        drain(terminal, 3.0)
        before = cpu_of(pid)
        end = time.perf_counter() + IDLE_SECONDS
        while time.perf_counter() < end:
            drain(terminal, 0.5)
        return (cpu_of(pid) - before) / IDLE_SECONDS


def main() -> None:
    """Print the three figures."""
    pairs = [(first_paint(MINIMAL), first_paint(OURS)) for _ in range(ROUNDS)]
    ratio = statistics.median(ours / minimal for minimal, ours in pairs)
    minimal, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"first paint: {ours:.3f} s CPU, {ratio:.2f} × the smallest app's {minimal:.3f} s")
    for rows, columns in ((24, 80), (48, 160)):
        times = sorted(repaints(rows, columns))
        p95 = times[round(0.95 * (len(times) - 1))]
        print(f"answer to repaint at {columns}x{rows}:", end=" ")
        print(f"median {1000 * statistics.median(times):.0f} ms, p95 {1000 * p95:.0f} ms")
    print(f"idle: {100 * idle():.2f} % of a core")


if __name__ == "__main__":
    main()
