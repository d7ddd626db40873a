"""Runs what is measured: the probe of the rates, and the job itself in small run folders."""

import hashlib
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from advisor.catalog import Catalog, PretrainingShape
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.machine.calibration import CPU, Rates
from advisor.places import PACKAGE
from advisor.runs.supervise import KEPT_VARIABLES, require_done

PROBE = "advisor.probes.calibrate"
# The first step warms up and the third is profiled: neither tells the pace.
LEFT_OUT = frozenset({1, 3})
BEFORE_PROFILE = 2
ADAPTERS = {"rank": 16, "alpha": 32.0, "dropout": 0.05, "targets": "all-linear"}
CPU_SIZES = ("llama-1m", "llama-10m")
GPU_SIZES = ("llama-135m", "llama-360m")
WORDS = 6000
LONGEST_WORD = 9


class Effort(NamedTuple):
    """How much is measured: the shapes to train, each from scratch and then with LoRA on top."""

    shapes: tuple[PretrainingShape, ...]
    steps: int = 8
    seq_len: int = 256
    micro_batch: int = 8
    accumulation: int = 4
    records: int = 500

    @classmethod
    def usual(cls, device: str, catalog: Catalog) -> Self:
        """Return what takes a minute or two: two sizes that suit the device."""
        names, seq_len = (CPU_SIZES, 256) if device == CPU else (GPU_SIZES, 1024)
        return cls(tuple(catalog.shapes[name] for name in names), seq_len=seq_len)


class Run(NamedTuple):
    """One real run: what it was, and what was measured of it.

    `early_gb` is the peak memory before the profiler starts, `peak_gb` that of the whole run.
    `beside_s` are the seconds that are neither steps nor checkpoints.
    """

    approach: str
    config: Path
    seq_len: int
    micro_batch: int
    accumulation: int
    step_s: float
    early_gb: float
    peak_gb: float
    beside_s: float
    save_s: float


def measured_rates() -> tuple[str, Rates]:
    """Return the device that the job would train on, and what it reaches."""
    command = [sys.executable, "-m", PROBE]
    with subprocess.Popen(  # noqa: S603 - a program of our own
        command,
        cwd=PACKAGE.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as probe:
        try:
            said, complained = probe.communicate()
        except BaseException:
            probe.kill()
            raise
    if probe.returncode:
        last = (complained.strip().splitlines() or ["nothing was said"])[-1]
        fault = Fault(found=last, hint="what was measured before still holds")
        raise AdvisorError(ErrorName.BUG, "the rates could not be measured", [fault])
    document = json.loads(said)
    return str(document["device"]), Rates(**document["rates"])


def real_runs(folder: Path, effort: Effort, say: Callable[[str], None]) -> Iterator[Run]:
    """Yield a run from scratch and one of LoRA on its model, for each shape."""
    text, pairs = _texts(folder, effort.records)
    for shape in effort.shapes:
        say(f"training {shape.id} from scratch")
        scratch = folder / f"{shape.id}-scratch"
        yield _run(scratch, text, effort, approach="pretrain", part={"shape": _shape(shape)})
        say(f"training {shape.id} with LoRA")
        base = scratch / "model"
        adapted = {"method": "lora", "base_model": str(base), "lora": ADAPTERS}
        lora = _run(folder / f"{shape.id}-lora", pairs, effort, approach="lora", part=adapted)
        yield lora._replace(config=base / "config.json")


def _shape(shape: PretrainingShape) -> dict[str, int]:
    names = ("n_layers", "hidden", "n_heads", "n_kv_heads", "intermediate", "vocab")
    return {name: getattr(shape, name) for name in names}


def _run(
    folder: Path, data: Path, effort: Effort, *, approach: str, part: Mapping[str, Any]
) -> Run:
    """Run the job in a new folder and return what it measured of itself."""
    _fill(folder, data, {**_settings(effort), "approach": approach, **part})
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    with (folder / "log.txt").open("wb") as log:
        job = subprocess.Popen(
            [sys.executable, "-m", "job"],
            cwd=folder,
            env={**environment, "JOB_PARENT": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C is ours: a calibration that is cut short leaves nothing to go on from.
            start_new_session=True,
        )
        try:
            code = job.wait()
        except BaseException:
            job.kill()
            job.wait()
            raise
    require_done(folder, code, log_start=0)
    return _measured(folder, approach, effort)


def _measured(folder: Path, approach: str, effort: Effort) -> Run:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    seconds = [_seconds(line, before) for line, before in zip(steps, [None, *steps], strict=False)]
    step = _settled(
        [each for number, each in enumerate(seconds, start=1) if number not in LEFT_OUT]
    )
    spent = json.loads((folder / "result.json").read_text())["measured"]["wall_hours"] * 3600
    save = json.loads((folder / "profile" / "phases.json").read_text())["seconds"]["save"]
    return Run(
        approach=approach,
        config=folder / "model" / "config.json",
        seq_len=effort.seq_len,
        micro_batch=effort.micro_batch,
        accumulation=effort.accumulation,
        step_s=step,
        early_gb=steps[BEFORE_PROFILE - 1]["memory_gb"],
        peak_gb=steps[-1]["memory_gb"],
        beside_s=max(spent - step * len(steps) - save, 0.0),
        save_s=save,
    )


def _settled(seconds: Sequence[float]) -> float:
    """Return the median of the faster half: the first steps still fetch memory from the system."""
    return statistics.median(sorted(seconds)[: math.ceil(len(seconds) / 2)])


def _seconds(line: Mapping[str, float], before: Mapping[str, float] | None) -> float:
    tokens = line["tokens"] - (before["tokens"] if before else 0)
    return tokens / line["tokens_per_second"]


def _settings(effort: Effort) -> dict[str, Any]:
    return {
        "method": "full",
        "seq_len": effort.seq_len,
        "micro_batch": effort.micro_batch,
        "gradient_accumulation": effort.accumulation,
        "packing": True,
        "max_steps": effort.steps,
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup_share": 0.0,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "optimizer": "adamw",
        "validation_share": 0.02,
        "seed": 0,
        "log_every_steps": 1,
        "save_every_steps": effort.steps,
        "loss_on": "all",  # as an estimate without data takes it
    }


def _fill(folder: Path, data: Path, settings: Mapping[str, Any]) -> None:
    """Write what the job reads of a run folder."""
    folder.mkdir()
    shutil.copytree(PACKAGE / "job", folder / "job", ignore=shutil.ignore_patterns("__pycache__"))
    raw = data.read_bytes()
    file = {
        "path": str(data),
        "bytes": len(raw),
        "records": 0,
        "sha256": hashlib.sha256(raw).hexdigest(),
    }
    plan = {
        "schema": "advisor.plan/1",
        "run_id": folder.name,
        "settings": settings,
        "data": {"files": [file]},
    }
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")


def _texts(folder: Path, records: int) -> tuple[Path, Path]:
    """Write a text and pairs of made-up words, common and rare as words are; always the same."""
    chance = random.Random(0)  # noqa: S311 - no secret
    letters = "etaoinshrdlucmfwypvbgk"
    words = [
        "".join(chance.choices(letters, k=chance.randint(2, LONGEST_WORD))) for _ in range(WORDS)
    ]
    rarity = [1 / rank for rank in range(1, WORDS + 1)]

    def said(count: int) -> str:
        return " ".join(chance.choices(words, rarity, k=count))

    text, pairs = folder / "text.txt", folder / "pairs.jsonl"
    text.write_text("\n\n".join(said(300) for _ in range(records)), encoding="utf-8")
    # Short pairs fill their rows: what a step takes is then that of whole rows.
    rows = ({"prompt": said(5), "completion": said(5)} for _ in range(records * 8))
    pairs.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return text, pairs
