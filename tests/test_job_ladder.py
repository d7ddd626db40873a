"""Where memory is short the job makes do with less, and trains the same."""

import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import job_runs as runs
import pytest

from advisor.job.faults import JobError, explained, is_memory
from advisor.job.settings import Settings
from advisor.job.training.ladder import Ladder, next_changes

DEEP = {
    **runs.PRETRAIN,
    "shape": {
        "n_layers": 12,
        "hidden": 64,
        "n_heads": 2,
        "n_kv_heads": 2,
        "intermediate": 192,
        "vocab": 400,
    },
    "seq_len": 1024,
    "max_steps": 3,
    "save_every_steps": 1,
    "log_every_steps": 1,
    "samples": 0,
}
FITS = {**DEEP, "micro_batch": 8, "gradient_accumulation": 2}
TOO_LARGE = {**DEEP, "micro_batch": 16, "gradient_accumulation": 1}
ROOM_GB = 0.27


def planned(**changes: Any) -> Settings:
    return Settings.from_dict(runs.settings(**changes))


def walked(settings: Settings) -> list[dict[str, Any]]:
    """Return every rung from these settings on."""
    found = []
    while changes := next_changes(settings, device="cpu"):
        found.append(changes)
        settings = replace(settings, **changes)
    return found


@pytest.mark.parametrize(
    ("micro_batch", "steps"),
    [(16, [8, 4, 2, 1]), (12, [6, 3, 1]), (7, [1]), (1, []), (15, [5, 1])],
)
def test_an_update_sees_the_same_rows_on_every_rung(micro_batch: int, steps: list[int]) -> None:
    settings = planned(micro_batch=micro_batch, gradient_accumulation=3)
    rungs = walked(settings)
    assert [rung["micro_batch"] for rung in rungs if "micro_batch" in rung] == steps
    for rung in rungs:
        settings = replace(settings, **rung)
        assert settings.micro_batch * settings.gradient_accumulation == micro_batch * 3


@pytest.mark.parametrize("before", ["no", "selective"])
def test_checkpointing_comes_after_the_micro_batch_and_is_the_last_on_a_cpu(before: str) -> None:
    rungs = walked(planned(micro_batch=2, gradient_checkpointing=before))
    assert rungs[1:] == [{"gradient_checkpointing": "yes"}]
    assert "micro_batch" in rungs[0]


def test_a_rung_is_taken_again_by_a_later_session_of_the_same_plan(tmp_path: Path) -> None:
    settings = planned(micro_batch=4)
    first = Ladder(tmp_path, settings)
    first.step_down(MemoryError("1 GB"), step=0, device="cpu")
    first.step_down(MemoryError("1 GB"), step=5, device="cpu")
    later = Ladder(tmp_path, settings)
    assert later.settings == first.settings
    assert (later.settings.micro_batch, later.settings.gradient_accumulation) == (1, 8)
    assert [rung["after_step"] for rung in later.rungs] == [0, 5]
    other = replace(settings, learning_rate=1.0)
    assert Ladder(tmp_path, other).settings == other


def test_at_the_last_rung_the_run_ends_and_asks_for_fewer_bits(tmp_path: Path) -> None:
    settings = planned(micro_batch=1, gradient_accumulation=8, gradient_checkpointing="yes")
    with pytest.raises(JobError) as found:
        Ladder(tmp_path, settings).step_down(MemoryError(), step=0, device="cpu")
    assert (found.value.name, found.value.exit_code) == ("out_of_memory", 9)
    assert "--method qlora" in found.value.lines()[0]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": "other"}'])
def test_a_damaged_ladder_is_no_ladder(tmp_path: Path, content: str) -> None:
    (tmp_path / "ladder.json").write_text(content)
    settings = planned()
    assert Ladder(tmp_path, settings).settings == settings


SHORT = [
    MemoryError(),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to ..."),
    RuntimeError("std::bad_alloc"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    OSError(12, "Cannot allocate memory"),
]


@pytest.mark.parametrize("error", SHORT, ids=str)
def test_an_error_of_short_memory_is_known(error: Exception) -> None:
    assert is_memory(error)
    told = explained(error, smaller="less", free="")
    assert told is not None
    assert told.exit_code == 9


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("memory")], ids=str)
def test_another_error_is_none_of_short_memory(error: Exception) -> None:
    assert not is_memory(error)


def most_data_of(folder: Path) -> float:
    """Run the job; return the most private data that it held, in GB of 10^9 bytes."""
    process, most = runs.start(folder), 0
    while process.poll() is None:
        try:
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            most = max(most, *(int(line.split()[1]) for line in lines if line[:7] == "VmData:"))
        except (OSError, TypeError):
            break
        time.sleep(0.002)
    code, said = runs.finish(process)
    assert code == 0, said
    return most * 1024 / 1e9


def weights(folder: Path) -> bytes:
    return (folder / "checkpoints" / "step-3" / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_a_run_that_does_not_fit_goes_down_the_ladder_and_trains_the_same(tmp_path: Path) -> None:
    """The limit is what half the micro-batch was seen to need, and a little room."""
    data = tmp_path / "text.txt"
    data.write_text(runs.text(3000))
    fits = runs.make_run(tmp_path / "fits", data, runs.settings(**FITS))
    limit = most_data_of(fits) + ROOM_GB
    assert not (fits / "ladder.json").exists()
    raw = runs.settings(**TOO_LARGE, memory_limit_gb=limit)
    limited, killed = (runs.make_run(tmp_path / name, data, raw) for name in ("limited", "killed"))
    code, said = runs.run(limited)
    assert code == 0, said
    assert "out of memory: micro_batch 16 → 8, gradient_accumulation 1 → 2" in said
    (rung,) = runs.read(limited, "ladder.json")["rungs"]
    assert rung["changes"] == {"micro_batch": [16, 8], "gradient_accumulation": [1, 2]}
    assert runs.read(limited, "result.json")["ladder"] == [rung]
    tokens = [line["tokens"] for line in runs.metrics(limited)]
    assert tokens == [line["tokens"] for line in runs.metrics(fits)]
    assert weights(limited) == weights(fits)
    process = runs.start(killed)
    runs.wait_for_step(process, killed, 2)
    process.kill()
    assert runs.finish(process)[0] == -signal.SIGKILL
    code, said = runs.run(killed, "--resume")
    assert code == 0, said
    assert "micro_batch 16 → 8, gradient_accumulation 1 → 2, as before" in said
    assert [one["changes"] for one in runs.read(killed, "ladder.json")["rungs"]] == [
        rung["changes"]
    ]
    assert weights(killed) == weights(fits)


@pytest.mark.slow
def test_a_limit_below_the_program_itself_is_told_before_anything_is_made(tmp_path: Path) -> None:
    data = tmp_path / "text.txt"
    data.write_text(runs.text(600))
    raw = runs.settings(**{**FITS, "memory_limit_gb": 0.1})
    code, said = runs.run(runs.make_run(tmp_path / "run", data, raw))
    assert code == 9
    assert said.splitlines()[-1].startswith("job: error[out_of_memory]: the program itself holds")
