import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advisor.job import checkpoints
from advisor.job.checkpoints import Identity
from advisor.job.faults import JobError
from advisor.job.state import Lock, RunState, read_run

IDENTITY = Identity(
    run_id="r", settings={"learning_rate": 1.0}, data_sha256="d", versions={"threads": "1"}
)
FILES = ("model.safetensors", "optimizer.pt", "deeper/rng_state.pth")


def save(folder: Path, step: int, identity: Identity = IDENTITY) -> None:
    with checkpoints.writing(folder, step, identity) as beside:
        for name in FILES:
            (beside / name).parent.mkdir(exist_ok=True)
            (beside / name).write_bytes(f"{name} of {step}".encode() * 50)


def save_half(folder: Path, step: int) -> None:
    with checkpoints.writing(folder, step, IDENTITY) as beside:
        (beside / "model.safetensors").write_text("half")
        raise OSError("full")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 6 // 10] ^= 1
    path.write_bytes(content)


def zero_tail(path: Path) -> None:
    half = path.stat().st_size // 2
    path.write_bytes(path.read_bytes()[:half] + bytes(path.stat().st_size - half))


@pytest.mark.parametrize("name", [*FILES, "MANIFEST.json"])
@pytest.mark.parametrize("damage", [cut, empty, flip, zero_tail, os.unlink])
def test_any_damage_is_found_and_the_one_before_is_taken(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, damage: Callable[[Path], None]
) -> None:
    for step in (10, 9):
        save(tmp_path, step)
    damage(tmp_path / "step-10" / name)
    assert checkpoints.newest(tmp_path, IDENTITY).step == 9
    assert "skipped" in capfd.readouterr().err


def test_the_newest_is_that_of_the_highest_step_whatever_the_clock_says(tmp_path: Path) -> None:
    for step in (2, 10, 9):
        save(tmp_path, step)
    os.utime(tmp_path / "step-2", (9e9, 9e9))
    assert checkpoints.newest(tmp_path, IDENTITY).step == 10


def test_a_failed_save_leaves_nothing_behind(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with pytest.raises(OSError, match="full"):
        save_half(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]


def test_what_a_killed_save_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / ".tmp-step-2").mkdir()
    (tmp_path / "step-notes").mkdir()
    checkpoints.clean(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-1", "step-notes"]


def test_rotation_deletes_only_the_oldest_of_this_run(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        save(tmp_path, step)
    save(tmp_path, 5, Identity(run_id="other", settings={}, data_sha256="", versions={}))
    (tmp_path / "step-notes").mkdir()
    (tmp_path / "step-0").mkdir()
    checkpoints.rotate(tmp_path, keep=2, run_id="r")
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"step-3", "step-4", "step-5", "step-notes", "step-0"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"settings": {"learning_rate": 2.0}}, "learning_rate 1.0 → 2.0"),
        ({"data_sha256": "e"}, "data"),
    ],
)
def test_a_checkpoint_of_another_plan_is_refused_by_name(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    save(tmp_path, 1)
    fields = {name: getattr(IDENTITY, name) for name in IDENTITY.__slots__}
    with pytest.raises(JobError, match=named) as caught:
        checkpoints.newest(tmp_path, Identity(**{**fields, **change}))
    assert (caught.value.name, caught.value.exit_code) == ("plan_stale", 4)


def test_other_versions_are_only_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save(tmp_path, 1)
    fields = {name: getattr(IDENTITY, name) for name in IDENTITY.__slots__}
    checkpoints.newest(tmp_path, Identity(**{**fields, "versions": {"threads": "2"}}))
    assert "threads was 1, is 2" in capfd.readouterr().err


def test_without_an_intact_checkpoint_nothing_is_deleted(tmp_path: Path) -> None:
    save(tmp_path, 1)
    flip(tmp_path / "step-1" / "optimizer.pt")
    with pytest.raises(JobError, match="no intact checkpoint") as caught:
        checkpoints.newest(tmp_path, IDENTITY)
    assert caught.value.exit_code == 6
    assert (tmp_path / "step-1" / "optimizer.pt").exists()


def test_nothing_is_written_through_a_symbolic_link(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / "step-1").symlink_to(theirs)
    with pytest.raises(JobError, match="symbolic link") as caught:
        save(ours, 1)
    assert caught.value.exit_code == 6
    assert not list(theirs.iterdir())


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    save(tmp_path, 1)
    assert all(
        p.stat().st_mode & 0o077 == 0 for p in (tmp_path / "step-1").rglob("*") if p.is_file()
    )


def test_a_copied_checkpoint_is_taken_as_it_is(tmp_path: Path) -> None:
    save(tmp_path / "a", 1)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert checkpoints.newest(tmp_path / "b", IDENTITY).step == 1


def test_a_run_has_one_owner_and_a_dead_one_is_followed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lock = Lock(tmp_path)
    assert str(os.getpid()) in (tmp_path / "lock").read_text()
    with pytest.raises(JobError) as caught:
        Lock(tmp_path)
    assert (caught.value.name, caught.value.exit_code) == ("run_in_use", 7)
    lock.release()
    (tmp_path / "lock").write_text("host 12345\n")
    Lock(tmp_path).release()
    assert "dead process: host 12345" in capfd.readouterr().err


def test_run_json_goes_on_counting_over_sessions(tmp_path: Path) -> None:
    RunState.begin(tmp_path, writes=True, earlier={"spent_seconds": 100, "started": "then"})
    run = read_run(tmp_path)
    assert run["spent_seconds"] >= 100
    assert (run["schema"], run["state"], run["started"]) == ("advisor.run/1", "running", "then")


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"schema": "x"})])
def test_a_damaged_run_json_is_told_not_replaced(tmp_path: Path, content: Any) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(JobError, match=r"run\.json is damaged"):
        read_run(tmp_path)
    assert (tmp_path / "run.json").read_text() == content
