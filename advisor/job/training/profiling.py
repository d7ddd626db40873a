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

from ..files import say

PHASES: Final = ("data", "forward", "backward", "optimizer", "save", "evaluate", "profile")
PROFILED_STEP: Final = 3
PROFILED_MICRO_STEPS: Final = 4
LARGEST_CONTEXT: Final = 1e9
MEASURED_SPANS: Final = 1000
WATCHED_STEPS: Final = 3
# What an operator of the profile does, by a part of its name; the first that fits counts.
KINDS: Final = (
    ("attention", ("attention", "flash", "fmha")),
    ("matmul", ("mm", "linear", "gemm", "matmul", "conv", "mkldnn", "cutlass", "cublas")),
    ("optimizer", ("adam", "adafactor", "optimizer")),
)


class PhaseClock:
    """Adds up the seconds of each phase; on a GPU by its own events, which cost no waiting."""

    def __init__(self, seconds: dict[str, float], *, device: str) -> None:
        self.seconds = seconds
        self.spans = 0
        self._events = device == "cuda"
        self._started: dict[str, Any] = {}
        self._open: list[tuple[str, Any, Any]] = []

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
            self._open.append((name, self._started.pop(name), self._now()))

    def settle(self) -> None:
        """Add the finished spans to `seconds`; on a GPU, waits until they are over."""
        if self._events and self._open:
            torch.cuda.synchronize()
        for name, start, end in self._open:
            length = start.elapsed_time(end) / 1000 if self._events else end - start
            self.seconds[name] = self.seconds.get(name, 0.0) + length
        self.spans += len(self._open)
        self._open.clear()

    def _now(self) -> Any:  # noqa: ANN401 - a CUDA event or seconds
        if not self._events:
            return perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def seconds_of_a_span(device: str) -> float:
    """Return what timing one phase costs, measured."""
    clock = PhaseClock({}, device=device)
    began = perf_counter()
    for _ in range(MEASURED_SPANS):
        with clock.phase("data"):
            pass
    clock.settle()
    return (perf_counter() - began) / MEASURED_SPANS


def phase_table(seconds: dict[str, float], *, total: float) -> dict[str, float]:
    """Return the seconds of each phase and, as `other`, what none of them covers of `total`."""
    table = {name: round(seconds.get(name, 0.0), 4) for name in PHASES}
    return {**table, "other": round(max(0.0, total - sum(table.values())), 4)}


class StepProfile:
    """Profiles the first micro-steps of one early step, once in a run.

    `kinds` then has the share of the time of matrix products, attention, all else (elementwise),
    and, as `busy`, on a GPU the share of the time in which it worked.
    """

    def __init__(self, folder: Path, *, max_steps: int, wanted: bool) -> None:
        self.kinds: dict[str, float] = {}
        self._folder = folder
        self._step = min(PROFILED_STEP, max_steps)
        self._wanted = wanted and not (folder / "operators.txt").exists()
        self._left = 0
        self._in_step = False
        self._profiler: Any = None
        self._began = 0.0

    def begin(self, step: int) -> None:
        """Start, if `step` is the one to profile."""
        if self._wanted and step == self._step:
            self._wanted, self._left, self._in_step = False, PROFILED_MICRO_STEPS, True
            profiler = torch.profiler.profile(acc_events=True)
            try:
                profiler.start()
            except RuntimeError as error:  # no memory for its threads: no reason to end the run
                say(f"no step is profiled: {error}")
                return
            self._profiler, self._began = profiler, perf_counter()

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
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = perf_counter() - self._began
        profiler.stop()
        self._folder.mkdir(exist_ok=True)
        averages = profiler.key_averages()
        self.kinds = _kinds(averages, seconds)
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


def _kinds(averages: Any, seconds: float) -> dict[str, float]:  # noqa: ANN401
    """Return the share of each kind of operator, of the time of all operators."""
    on_gpu = torch.cuda.is_available()
    times: dict[str, float] = {}
    for one in averages:
        spent = one.self_device_time_total if on_gpu else one.self_cpu_time_total
        if on_gpu and one.device_type.name == "CPU":
            continue  # what the host does while the GPU works
        kind = kind_of(one.key)
        times[kind] = times.get(kind, 0.0) + spent
    total = sum(times.values())
    if not total:
        return {}
    shares = {kind: round(spent / total, 4) for kind, spent in times.items()}
    return shares | ({"busy": round(min(1.0, total / 1e6 / seconds), 4)} if on_gpu else {})


def kind_of(operator: str) -> str:
    """Return what an operator does: attention, matmul, optimizer or elementwise."""
    name = operator.lower()
    return next((kind for kind, signs in KINDS if any(map(name.count, signs))), "elementwise")


class MemoryCourse:
    """The most memory in use after each phase, in GB, over the first steps of a run."""

    def __init__(self, after: dict[str, float], *, device: str, first_step: int) -> None:
        self._after = after
        self._cuda = device == "cuda"
        self._last = WATCHED_STEPS if first_step == 1 else 0

    def note(self, phase: str, step: int) -> None:
        """Note what is in use now, after `phase`."""
        if step <= self._last:
            self._after[phase] = round(max(self._after.get(phase, 0.0), self._in_use()), 4)

    def _in_use(self) -> float:
        if self._cuda:
            return torch.cuda.memory_allocated() / 1e9
        if sys.platform != "linux":
            return 0.0
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / 1e9


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
