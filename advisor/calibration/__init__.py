"""Measures this machine with real runs of the job, and stores what they showed."""

import os
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import NamedTuple

from advisor.calibration.fitting import fitted
from advisor.calibration.measuring import CPU_SIZES, Effort, Run, measured_rates, real_runs
from advisor.catalog import load_catalog
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.machine import Machine, detect_machine
from advisor.machine.calibration import (
    Calibration,
    Fingerprint,
    as_text,
    calibration_path,
    fingerprint_of,
)

__all__ = ["Calibrated", "Effort", "calibrate"]

# More than the machine's own small work.
BUSY_PERCENT = 20.0


class Calibrated(NamedTuple):
    """A finished calibration, what it holds for, and the runs that it was fitted to."""

    fingerprint: Fingerprint
    calibration: Calibration
    runs: tuple[Run, ...]
    path: Path

    def as_text(self) -> str:
        """Return the document that was stored."""
        return as_text(self.fingerprint, self.calibration)


class _Clock:
    """Says how far a calibration is and how long it will still take."""

    def __init__(self, say: Callable[[str], None], parts: int) -> None:
        self._say = say
        self._parts = parts
        self._done = 0
        self._began = monotonic()

    def part(self, name: str) -> None:
        """Say which part begins; the parts before tell how long the others will take."""
        pace = (monotonic() - self._began) / max(self._done, 1)
        left = f", about {pace * (self._parts - self._done):.0f} s left" if self._done else ""
        self._done += 1
        self._say(f"{self._done}/{self._parts} {name}{left}")


def calibrate(say: Callable[[str], None], effort: Effort | None = None) -> Calibrated:
    """Measure this machine and store what was found, in place of what was stored before.

    Takes one to two minutes on two cores. `say` is told how far it is. Nothing is stored where it
    is interrupted or where a run fails.

    Raises:
        AdvisorError: as a run of the job ends, or `disk`.
    """
    machine = _machine()
    catalog = load_catalog()
    _say_if_busy(say)
    clock = _Clock(say, 1 + 2 * len(effort.shapes if effort else CPU_SIZES))
    with TemporaryDirectory(prefix="advisor-calibrate-") as folder:
        clock.part("matrix products, attention, memory")
        device, rates = measured_rates()
        chosen = effort or Effort.usual(device, catalog)
        runs = tuple(real_runs(Path(folder), chosen, clock.part))
        found = fitted(
            rates,
            runs,
            device=device,
            machine=machine,
            catalog=catalog,
            date=datetime.now(UTC).date().isoformat(),
        )
    fingerprint = fingerprint_of(
        machine.cpu, machine.cores, tuple(gpu.name for gpu in machine.gpus)
    )
    path = calibration_path()
    _store(path, as_text(fingerprint, found))
    return Calibrated(fingerprint, found, runs, path)


def _say_if_busy(say: Callable[[str], None]) -> None:
    import psutil  # noqa: PLC0415 - nothing else here needs it

    busy = psutil.cpu_percent(interval=1.0)
    if busy > BUSY_PERCENT:
        say(f"other programs keep the processor {busy:.0f} % busy: this holds beside them alone")


def _machine() -> Machine:
    """Return this machine as it is; that an older calibration no longer holds is no news here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return detect_machine()


def _store(path: Path, text: str) -> None:
    """Replace the file whole, or leave the one that is there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        fault = Fault(path=str(path), expected="a writable folder", found=error.strerror)
        raise AdvisorError(ErrorName.DISK, "the calibration cannot be stored", [fault]) from None
    finally:
        beside.unlink(missing_ok=True)
