import json
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from advisor.errors import AdvisorError, ErrorName, Exit
from advisor.launching import Proposal, propose, write
from advisor.planning import LeadChoices
from advisor.runs.folder import read_plan
from advisor.runs.history import Findings, all_runs, findings_of, remember, run_entry
from advisor.runs.supervise import progress_of, require_done

Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - what shutil returns


@pytest.fixture(scope="module")
def proposal(tmp_path_factory: pytest.TempPathFactory) -> Proposal:
    """Return the plan of a tiny pretraining on this machine."""
    data = tmp_path_factory.mktemp("data") / "text.txt"
    data.write_text("\n\n".join(f"Sentence number {number} of many." for number in range(500)))
    answers = {
        "project": "Tiny [bold]test[/] \x1b[31m",
        "language_novelty": "unseen",
        "data": {"raw_text": "1 MB"},
        "gpu_budget": {"gpu": "local"},
    }
    choices = LeadChoices(approach="pretrain", max_steps=5, seq_len=64)
    return propose(answers, [data], choices=choices)


def test_a_run_folder_reads_back_as_the_plan_it_was_made_of(
    tmp_path: Path, proposal: Proposal
) -> None:
    folder = write(proposal, tmp_path / "run")
    assert read_plan(folder) == proposal.plan
    assert not list(tmp_path.glob(".run*"))


def test_the_name_of_a_run_is_safe_as_a_folder(proposal: Proposal) -> None:
    assert proposal.plan.run_id.startswith("tiny-bold-test-31m-")
    assert set(proposal.plan.run_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_the_job_in_a_run_folder_is_the_one_of_the_package(
    tmp_path: Path, proposal: Proposal
) -> None:
    folder = write(proposal, tmp_path / "run")
    names = {path.name for path in (folder / "job").iterdir()}
    assert {"__main__.py", "settings.py", "records.py"} <= names
    assert "__pycache__" not in names


def test_a_folder_that_holds_something_is_never_written_to(
    tmp_path: Path, proposal: Proposal
) -> None:
    mine = tmp_path / "run" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("keep")
    with pytest.raises(AdvisorError) as raised:
        write(proposal, mine.parent)
    assert raised.value.name is ErrorName.FOLDER_IN_USE
    assert [path.name for path in mine.parent.iterdir()] == ["mine.txt"]


def test_too_little_space_is_told_before_anything_is_written(
    tmp_path: Path, proposal: Proposal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 10))
    with pytest.raises(AdvisorError) as raised:
        write(proposal, tmp_path / "run")
    assert raised.value.name is ErrorName.WILL_NOT_FIT
    assert "10 bytes free" in str(raised.value.faults[0].found)
    assert not (tmp_path / "run").exists()


def test_a_run_is_remembered_once_and_listed_newest_first(
    tmp_path: Path, proposal: Proposal
) -> None:
    first, second = (write(proposal, tmp_path / name) for name in ("first", "second"))
    remember(first)
    assert [Path(entry.folder) for entry in all_runs()] == [second, first]


def test_a_run_folder_that_is_gone_is_left_out_of_the_history(
    tmp_path: Path, proposal: Proposal
) -> None:
    folder = write(proposal, tmp_path / "run")
    shutil.rmtree(folder)
    assert all_runs() == []


def test_a_run_whose_process_is_gone_counts_as_interrupted(
    tmp_path: Path, proposal: Proposal
) -> None:
    folder = write(proposal, tmp_path / "run")
    run = json.loads((folder / "run.json").read_text())
    host = os.uname().nodename
    for pid, state in ((os.getpid(), "running"), (2**22 + 1, "interrupted")):
        (folder / "run.json").write_text(
            json.dumps(run | {"state": "running", "pid": pid, "host": host})
        )
        assert run_entry(folder).state == state


def test_the_time_left_follows_the_pace_of_the_newest_steps(
    tmp_path: Path, proposal: Proposal
) -> None:
    folder = write(proposal, tmp_path / "run")
    (folder / "run.json").write_text(
        json.dumps({"state": "running", "phase": "training", "step": 20, "max_steps": 100})
    )
    seconds = {1: 60.0, 10: 70.0, 20: 90.0}
    lines = [
        json.dumps({"step": step, "loss": 1.0, "seconds": spent, "tokens_per_second": 5.0})
        for step, spent in seconds.items()
    ]
    (folder / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 2']))
    now = progress_of(folder)
    assert (now.step, now.max_steps, now.loss) == (20, 100, 1.0)
    assert now.seconds_left == pytest.approx((90 - 60) / 19 * 80)


def test_a_run_of_stages_shows_the_stage_at_work_from_its_own_folder(tmp_path: Path) -> None:
    run = {"state": "running", "phase": "training", "step": 4, "max_steps": 9}
    (tmp_path / "stages" / "1").mkdir(parents=True)
    for place, loss in ((tmp_path, 1.0), (tmp_path / "stages" / "1", 2.0)):
        line = {"step": 5, "loss": loss, "seconds": 1.0}
        (place / "metrics.jsonl").write_text(f"{json.dumps(line)}\n")
    first = {"stage": "1/2", "folder": "stages/1"}
    for stage, loss, doing in (
        (first, 2.0, "stage 1/2, training"),
        ({"stage": "2/2", "folder": "."}, 1.0, "stage 2/2, training"),
        ({"stage": "1/1", "folder": "."}, 1.0, "training"),
        ({**first, "folder": "../elsewhere"}, 1.0, "stage 1/2, training"),
    ):
        (tmp_path / "run.json").write_text(json.dumps(run | stage))
        now = progress_of(tmp_path)
        assert (now.loss, now.doing, now.step) == (loss, doing, 5)


def test_what_a_run_found_is_read_as_far_as_it_is_whole() -> None:
    headline = {"name": "f1", "title": "F1", "higher_is_better": True, "tuned": 0.9, "base": 0.1}
    result = {
        "metrics": {"headline": headline},
        "forgetting": {"loss_before": 1.5, "loss": 1.6},
        "profile": "bound by memory",
        "ladder": [{"after_step": 0, "changes": {"micro_batch": [8, 4]}}],
        "samples": [{"prompt": "p", "reference": "r", "base": None, "tuned": "t"}],
    }
    found = findings_of(result)
    assert found.headline
    assert (found.headline.base, found.headline.tuned) == (0.1, 0.9)
    assert found.forgetting == (1.5, 1.6)
    assert found.ladder == ("micro_batch 8 → 4",)
    assert found.samples[0].tuned == "t"
    assert findings_of({"profile": {"sentence": "bound by data"}}).profile == "bound by data"
    damaged = {**result, "metrics": {"headline": 3}, "samples": "none", "forgetting": None}
    kept = findings_of(damaged)
    assert (kept.headline, kept.samples, kept.forgetting) == (None, (), None)
    assert kept.profile == "bound by memory"
    assert findings_of({}) == Findings()


ENDS = {
    "stopped by a signal": (143, {}, ErrorName.STOPPED, 143),
    "killed": (-9, {}, ErrorName.OUT_OF_MEMORY, 9),
    "diverged": (8, {"exit": 8, "error": {"code": "diverged"}}, ErrorName.DIVERGED, 8),
    "in use": (7, {}, ErrorName.RUN_IN_USE, 7),
    "no memory": (9, {"exit": 9, "error": {"code": "out_of_memory"}}, ErrorName.OUT_OF_MEMORY, 9),
    "a crash": (1, {}, ErrorName.BUG, 70),
}


@pytest.mark.parametrize(("exit_code", "run", "name", "code"), ENDS.values(), ids=ENDS.keys())
def test_each_end_of_a_job_gets_its_name_and_exit_code(
    tmp_path: Path, exit_code: int, run: dict[str, object], name: ErrorName, code: int
) -> None:
    (tmp_path / "run.json").write_text(json.dumps(run))
    (tmp_path / "log.txt").write_text("job: what it said last\n")
    with pytest.raises(AdvisorError) as raised:
        require_done(tmp_path, exit_code, log_start=0)
    assert (raised.value.name, raised.value.exit_code) == (name, code)


def test_a_job_that_did_every_step_is_no_error(tmp_path: Path) -> None:
    require_done(tmp_path, Exit.DONE, log_start=0)
