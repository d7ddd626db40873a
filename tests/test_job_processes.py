"""Two processes share a run: the same training as one process with the same global batch."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import job_runs as runs
import pytest
from job_runs import LORA, PRETRAIN, make_run, metrics, read, run, settings

pytestmark = pytest.mark.slow
SAME = {"max_steps": 12, "log_every_steps": 1, "samples": 0, "save_every_steps": 12}
STILL = {**LORA, "lora": {"rank": 8, "alpha": 16, "dropout": 0.0, "targets": "all-linear"}}
KINDS: dict[str, dict[str, Any]] = {
    "pretrain": PRETRAIN,
    "full": {"learning_rate": 1e-3},
    "lora": {**STILL, "learning_rate": 3e-3},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def base(place: Path) -> Path:
    data = place / "base.txt"
    data.write_text(runs.text())
    folder = make_run(place / "base-run", data, settings(**PRETRAIN, max_steps=20, samples=0))
    code, said = run(folder)
    assert code == 0, said
    return folder / "model"


def run_in_two(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the job as the run folder's README says for more than one process."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "job")
    return subprocess.run(
        [sys.executable, *launcher],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_train_as_one_does(place: Path, base: Path, kind: str) -> None:
    change = {**SAME, **KINDS[kind]}
    if kind == "pretrain":
        data = place / "text.txt"
        data.write_text(runs.text())
    else:
        data = runs.write_rows(place / "rows.jsonl", runs.pairs())
    used = None if kind == "pretrain" else base
    one, two = (place / f"{kind}-{count}" for count in ("one", "two"))
    make_run(one, data, settings(**{**change, "gradient_accumulation": 2}), base=used)
    make_run(two, data, settings(**{**change, "gradient_accumulation": 1}), base=used)
    code, said = run(one)
    assert code == 0, said
    done = run_in_two(two)
    assert done.returncode == 0, done.stderr
    curves = [[line["loss"] for line in metrics(folder) if "loss" in line] for folder in (one, two)]
    assert len(curves[0]) == 12
    assert curves[1] == pytest.approx(curves[0], abs=1e-3)
    assert read(two, "result.json")["devices"] == 2
    assert read(two, "result.json")["tokens"] == read(one, "result.json")["tokens"]
    assert read(two, "result.json")["validation"]["loss"] == pytest.approx(
        read(one, "result.json")["validation"]["loss"], abs=1e-3
    )
