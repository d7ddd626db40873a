"""Builds small run folders and runs the job in them, in processes of their own."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import advisor.job
from advisor.job.records import survey

JOB = Path(advisor.job.__file__).parent
WORDS = (
    *("red", "green", "blue", "small", "large", "round", "square", "dog"),
    *("cat", "bird", "fish", "tree", "house", "river", "road", "sea"),
)


def settings(**changes: Any) -> dict[str, Any]:
    """Return the settings of a job of a few seconds; full fine-tuning unless changed."""
    return {
        "approach": "full_finetune",
        "method": "full",
        "base_model": "base",
        "shape": None,
        "seq_len": 64,
        "micro_batch": 4,
        "gradient_accumulation": 2,
        "packing": True,
        "epochs": None,
        "max_steps": 12,
        "learning_rate": 3e-3,
        "schedule": "cosine",
        "warmup_share": 0.1,
        "weight_decay": 0.01,
        "max_grad_norm": 1.0,
        "optimizer": "adamw",
        "precision": "auto",
        "gradient_checkpointing": "no",
        "lora": None,
        "quantization": None,
        "validation_share": 0.1,
        "seed": 7,
        "log_every_steps": 3,
        "eval_every_steps": None,
        "save_every_steps": 4,
        "keep_checkpoints": 2,
        "threads": 1,
        "device": "cpu",
        "samples": 2,
        **changes,
    }


PRETRAIN = {
    "approach": "pretrain",
    "base_model": None,
    "shape": {
        "n_layers": 2,
        "hidden": 64,
        "n_heads": 4,
        "n_kv_heads": 2,
        "intermediate": 128,
        "vocab": 400,
    },
}
LORA = {
    "approach": "lora",
    "method": "lora",
    "lora": {"rank": 8, "alpha": 16, "dropout": 0.05, "targets": "all-linear"},
    "learning_rate": 1e-2,
}


def pairs(count: int = 120) -> list[dict[str, str]]:
    """Return rows with a pattern that a small model learns in a few steps."""
    rows = []
    for n in range(count):
        first, second = WORDS[n % len(WORDS)], WORDS[(n * 7 + 3) % len(WORDS)]
        rows.append({"prompt": f"{n}: join {first} {second}", "completion": f"{first}-{second}"})
    return rows


def write_rows(path: Path, rows: list[Any]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def text(lines: int = 600) -> str:
    """Return plain text, a blank line after every tenth line."""
    chosen = [[WORDS[n % 16], WORDS[n * 5 // 16 % 16], WORDS[n * n % 13]] for n in range(lines)]
    told = [f"The {first} {second} is by the {third}." for first, second, third in chosen]
    return "\n\n".join("\n".join(told[n : n + 10]) for n in range(0, lines, 10))


def make_run(folder: Path, data: Path, raw: dict[str, Any], *, base: Path | None = None) -> Path:
    """Write a run folder for `data`; the base model is copied in as `base`."""
    folder.mkdir(parents=True)
    if base:
        shutil.copytree(base, folder / "base")
    shutil.copytree(JOB, folder / "job", ignore=shutil.ignore_patterns("__pycache__"))
    files = [
        {"path": f.path, "bytes": f.bytes, "records": f.records, "sha256": f.sha256}
        for f in survey([data]).files
    ]
    document = {
        "schema": "advisor.plan/1",
        "run_id": folder.name,
        "settings": raw,
        "data": {"files": files},
        "predictions": {
            "wall_hours": {"low": 1, "mid": 2, "high": 3},
            "price_per_gpu_hour_usd": 36.0,
        },
    }
    (folder / "plan.json").write_text(json.dumps(document))
    return folder


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start the job in the run folder; its stderr is a pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "job", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the job; return its exit code and what it said on stderr."""
    _, said = process.communicate(timeout=180)
    return process.returncode, said


def run(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run the job to its end."""
    return finish(start(folder, *arguments, **environment))


def wait_for_step(process: subprocess.Popen[str], folder: Path, step: int) -> None:
    """Wait until metrics.jsonl shows the step."""
    for _ in range(6000):
        if any(line["step"] >= step for line in metrics(folder)):
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    raise AssertionError(f"step {step} was never logged")


def metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the whole lines of metrics.jsonl."""
    path = folder / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.is_file() else []
    return [json.loads(line) for line in lines]


def read(folder: Path, name: str) -> Any:
    """Return a JSON document of the run folder."""
    return json.loads((folder / name).read_text())


def fingerprint(folder: Path) -> dict[str, Any]:
    """Return what two runs must share to be one and the same training."""
    last = max((folder / "checkpoints").iterdir(), key=lambda path: int(path.name.split("-")[1]))
    state = [path for path in last.iterdir() if path.suffix in {".safetensors", ".pt", ".pth"}]
    result = read(folder, "result.json")
    return {
        **{path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in state},
        "losses": [
            (line["step"], line.get("loss"), line.get("validation_loss"))
            for line in metrics(folder)
        ],
        "train_loss": result["train_loss"],
        "validation": result["validation"],
        "tokens": result["tokens"],
    }
