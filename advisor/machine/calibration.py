"""What was measured of this machine, and whether it is still this machine."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from advisor.places import state_folder

CPU = "cpu"
FILE = "calibration.json"
SCHEMA = "advisor.calibration/1"
AGAIN = "measure anew with: advisor calibrate"
# What a number may be; every other divides or multiplies what is estimated.
LARGEST = 1e12
MAY_BE_NONE = frozenset({"matrix_bf16_gflops"})
MAY_BE_ZERO = frozenset(
    {"kept_share", "seconds", "seconds_per_block", "seconds_per_gb", "process_gb", "profiled_gb"}
)


class Fingerprint(NamedTuple):
    """What a measurement holds for: other hardware, threads or PyTorch make another machine."""

    cpu: str
    cores: int
    threads: int
    gpus: tuple[str, ...]
    torch: str


class Rates(NamedTuple):
    """What the device reaches: billions of operations or bytes a second, nanoseconds an element.

    An element is a number that is computed and written, an input that may be dropped out, a score
    of the vocabulary, or a trained parameter in its update. `matrix_gflops` is in the precision
    that the job trains in there, `matrix_bf16_gflops` None where bf16 does not run.
    """

    matrix_gflops: float
    matrix_bf16_gflops: float | None
    attention_gflops: float
    memory_gbs: float
    element_ns: float
    dropout_ns: float
    score_ns: float
    update_ns: float


class Fit(NamedTuple):
    """How real steps of one way of training compare with the formula.

    Seconds as a factor; the share of memory that stays when it is freed; what the profiler adds
    for each pass through a block that it sees.
    """

    time_factor: float
    kept_share: float
    profiled_gb: float


class Startup(NamedTuple):
    """Seconds of a run beside its steps and checkpoints: always, and for each block."""

    seconds: float
    seconds_per_block: float


class Saving(NamedTuple):
    """Seconds of a checkpoint: always, and for each GB of it."""

    seconds: float
    seconds_per_gb: float


class Calibration(NamedTuple):
    """What was measured of this machine: the rates of `device`, and real runs of the job on it.

    `process_gb` is what a run holds before its first tensor. Errors are the worst factors by which
    the runs were off the fit.
    """

    date: str
    device: str
    rates: Rates
    full: Fit
    adapters: Fit
    scratch: Startup
    based: Startup
    saving: Saving
    process_gb: float
    time_error: float
    memory_error: float

    def as_document(self) -> dict[str, object]:
        """Return the measurements as they stand in JSON."""
        parts = {name: getattr(self, name)._asdict() for name in PARTS}
        return {**self._asdict(), **parts}


Part = Rates | Fit | Startup | Saving
PARTS: dict[str, type[Part]] = {
    "rates": Rates,
    "full": Fit,
    "adapters": Fit,
    "scratch": Startup,
    "based": Startup,
    "saving": Saving,
}


class Stored(NamedTuple):
    """What is on disk for a machine: its calibration, or why there is none that can be used."""

    calibration: Calibration | None
    problem: str | None


def fingerprint_of(cpu: str, cores: int, gpus: tuple[str, ...]) -> Fingerprint:
    """Return the fingerprint of a machine as it would train now."""
    # Only who has calibrated needs it.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "none"
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return Fingerprint(
        cpu=cpu,
        cores=cores,
        threads=int(threads) if threads.isdecimal() else cores,
        gpus=gpus,
        torch=torch,
    )


def calibration_path() -> Path:
    """Return where the calibration of this user's machine lies; it may not exist."""
    return state_folder() / FILE


def stored_for(cpu: str, cores: int, gpus: tuple[str, ...]) -> Stored:
    """Return the calibration on disk, if it is of this machine; most machines have none."""
    path = calibration_path()
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return Stored(None, None)
    except OSError as error:
        return Stored(None, f"{path} cannot be read ({error.strerror}): {AGAIN}")
    try:
        measured, calibration = _read(raw)
    except (ValueError, TypeError, KeyError):
        return Stored(None, f"{path} is damaged and is left out: {AGAIN}")
    changes = _changes(measured, fingerprint_of(cpu, cores, gpus))
    if changes:
        return Stored(None, f"the calibration is left out, {', '.join(changes)}: {AGAIN}")
    return Stored(calibration, None)


def _changes(before: Fingerprint, now: Fingerprint) -> list[str]:
    pairs = zip(Fingerprint._fields, before, now, strict=True)
    return [
        f"{name} was {_shown(old)} and is {_shown(new)}" for name, old, new in pairs if old != new
    ]


def _shown(value: object) -> str:
    return (", ".join(value) or "none") if isinstance(value, tuple) else str(value)


def _read(raw: bytes) -> tuple[Fingerprint, Calibration]:
    """Return what `as_text` wrote; ValueError, TypeError or KeyError where it is anything else."""
    document = json.loads(raw)
    if document["schema"] != SCHEMA:
        raise ValueError(document["schema"])
    fields = dict(document["calibration"])
    parts: dict[str, Any] = {name: kind(**fields.pop(name)) for name, kind in PARTS.items()}
    told: dict[str, Any] = {name: str(fields.pop(name)) for name in ("date", "device")}
    for numbers in (fields, *(part._asdict() for part in parts.values())):
        for name, value in numbers.items():
            _require_number(name, value)
    found = document["fingerprint"]
    fingerprint = Fingerprint(**{**found, "gpus": tuple(found["gpus"])})
    return fingerprint, Calibration(**told, **parts, **fields)


def _require_number(name: str, value: object) -> None:
    if value is None and name in MAY_BE_NONE:
        return
    if not isinstance(value, int | float) or not 0 <= value < LARGEST:
        raise ValueError(name)
    if value == 0 and name not in MAY_BE_ZERO:
        raise ValueError(name)


def as_text(fingerprint: Fingerprint, calibration: Calibration) -> str:
    """Return the document that is stored and shown."""
    document = {
        "schema": SCHEMA,
        "fingerprint": fingerprint._asdict(),
        "calibration": calibration.as_document(),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
