"""Where the time goes: seconds by phase, and one profiled step by operator."""

import errno
import gzip
import resource
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import torch

PHASES: Final = ("data", "forward", "backward", "optimizer", "save", "evaluate")
PROFILED_STEP: Final = 3
PROFILED_MICRO_STEPS: Final = 4
LARGEST_CONTEXT: Final = 1e9


class PhaseClock:
    """Adds up the seconds of each phase; on a GPU by its own events, which cost no waiting.

    `forward` runs inside `backward`, as the training loop has it; `settle` takes it out again.
    """

    def __init__(self, seconds: dict[str, float], *, device: str) -> None:
        self.seconds = seconds
        self._events = device == "cuda"
        self._started: dict[str, Any] = {}
        self._spans: list[tuple[str, Any, Any]] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time the body."""
        self.start(name)
        try:
            yield
        finally:
            self.stop(name)

    def start(self, name: str) -> None:
        """Begin a span."""
        self._started[name] = self._now()

    def stop(self, name: str) -> None:
        """End a span, if one began."""
        if name in self._started:
            self._spans.append((name, self._started.pop(name), self._now()))

    def settle(self) -> None:
        """Add the finished spans to `seconds`; on a GPU, waits until they are over."""
        if self._events and self._spans:
            torch.cuda.synchronize()
        for name, start, end in self._spans:
            length = start.elapsed_time(end) / 1000 if self._events else end - start
            self.seconds[name] = self.seconds.get(name, 0.0) + length
            if name == "forward":
                self.seconds["backward"] = self.seconds.get("backward", 0.0) - length
        self._spans.clear()

    def _now(self) -> Any:  # noqa: ANN401 - a CUDA event or seconds
        if not self._events:
            return perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def phase_table(seconds: dict[str, float], *, total: float) -> dict[str, float]:
    """Return the seconds of each phase and, as `other`, what none of them covers of `total`."""
    table = {name: round(seconds.get(name, 0.0), 4) for name in PHASES}
    return {**table, "other": round(max(0.0, total - sum(table.values())), 4)}


class StepProfile:
    """Profiles the first micro-steps of one early step, once in a run."""

    def __init__(self, folder: Path, *, max_steps: int, wanted: bool) -> None:
        self._folder = folder
        self._step = min(PROFILED_STEP, max_steps)
        self._wanted = wanted and not (folder / "operators.txt").exists()
        self._left = 0
        self._in_step = False
        self._profiler: Any = None

    def begin(self, step: int) -> None:
        """Start, if `step` is the one to profile."""
        if self._wanted and step == self._step:
            self._wanted, self._left, self._in_step = False, PROFILED_MICRO_STEPS, True
            self._profiler = torch.profiler.profile(acc_events=True)
            self._profiler.start()

    def micro_step(self) -> None:
        """Count a micro-step; stop after a few, so that the trace stays small."""
        self._left -= 1
        if self._left == 0:
            self._stop()

    def end_step(self) -> bool:
        """Stop if it runs; return whether it ran at all in this step."""
        self._stop()
        ran, self._in_step = self._in_step, False
        return ran

    def _stop(self) -> None:
        profiler, self._profiler = self._profiler, None
        if profiler is None:
            return
        profiler.stop()
        self._folder.mkdir(exist_ok=True)
        averages = profiler.key_averages()
        order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
        table = averages.table(sort_by=order, row_limit=40)
        (self._folder / "operators.txt").write_text(table + "\n", encoding="utf-8")
        trace = self._folder / "trace.json"
        profiler.export_chrome_trace(str(trace))
        if not trace.exists():  # the profiler says nothing when the disk is full
            raise OSError(errno.EIO, "the profile could not be written")
        with trace.open("rb") as plain, gzip.open(f"{trace}.gz", "wb") as packed:
            shutil.copyfileobj(plain, packed)
        trace.unlink()


class Memory:
    """The peak memory of this process on its device, in GB of 10^9 bytes."""

    def __init__(self, device: str) -> None:
        self._cuda = device == "cuda"
        self._context = _context_bytes() if self._cuda else 0.0

    def peak_gb(self) -> float:
        """Return what is reserved on the GPU at most, with the context; without one, the RAM."""
        if self._cuda:
            return (torch.cuda.max_memory_reserved() + self._context) / 1e9
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _context_bytes() -> float:
    """Return what the driver holds for this process; 0 where others use the GPU: unknown."""
    free, total = torch.cuda.mem_get_info()
    context = total - free - torch.cuda.memory_reserved()
    return context if context < LARGEST_CONTEXT else 0.0
