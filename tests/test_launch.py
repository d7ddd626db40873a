"""Runs that really train, from the command line, on the data of the examples."""

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest
from command_line import ROOT, run

from advisor.cli.proposing import CHOICES
from advisor.planning import LeadChoices
from advisor.planning.bases import REHEARSAL_BASE

EXAMPLES = ROOT / "examples"
CLAUSES = EXAMPLES / "contract_clauses"
NEW_LANGUAGE = EXAMPLES / "new_language"
SMALL = ("--max-steps", "12", "--seq-len", "128", "--micro-batch", "4", "--save-every-steps", "4")

FEW_LINES = 80
LAUNCHES = {
    "lora": (CLAUSES / "answers.yaml", CLAUSES / "data.jsonl", ("--base-model", "rehearsal")),
    "full_finetune": (
        CLAUSES / "answers.yaml",
        CLAUSES / "data.jsonl",
        ("--base-model", "rehearsal"),
    ),
    "pretrain": (NEW_LANGUAGE / "answers.yaml", NEW_LANGUAGE / "data.txt", ("--gpu", "local")),
}


def command_of(folder: Path, approach: str) -> list[str]:
    """Return the words that launch one small run."""
    answers, whole, flags = LAUNCHES[approach]
    data = folder.with_name(f"some-{whole.name}")  # what is measured at the end takes its time too
    data.write_text("".join(whole.read_text().splitlines(keepends=True)[:FEW_LINES]))
    named = ("--answers", str(answers), "--data", str(data), "--approach", approach)
    return ["launch", *named, *flags, *SMALL, "--yes", "-o", str(folder)]


def launched(folder: Path, approach: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Launch one small run and return what it printed."""
    return run(*command_of(folder, approach), *more)


def document(path: Path) -> dict[str, object]:
    """Return a JSON object of a run folder."""
    return dict(json.loads(path.read_text()))


def weights_of(folder: Path) -> str:
    """Return the hash of what was trained."""
    (file,) = [*folder.glob("adapter/*.safetensors"), *folder.glob("model/*.safetensors")]
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Train once in each approach."""
    folders = {}
    for approach in LAUNCHES:
        folder = tmp_path_factory.mktemp("runs") / approach
        done = launched(folder, approach)
        assert done.returncode == 0, done.stderr
        folders[approach] = folder
    return folders


@pytest.mark.slow
@pytest.mark.parametrize("approach", LAUNCHES)
def test_a_launch_trains_and_reports_predicted_beside_measured(
    runs: dict[str, Path], approach: str
) -> None:
    result = document(runs[approach] / "result.json")
    train, validation = result["train_loss"], result["validation"]
    assert isinstance(train, dict)
    assert isinstance(validation, dict)
    assert train["last"] < train["first"]
    assert validation["loss"] < validation["loss_before"]
    assert validation["perplexity"] == pytest.approx(math.exp(validation["loss"]), rel=1e-3)
    predicted, measured = result["predicted"], result["measured"]
    assert isinstance(predicted, dict)
    assert isinstance(measured, dict)
    for name in ("wall_hours", "memory_gb_per_gpu", "tokens_per_second_per_gpu"):
        assert predicted[name]["low"] <= predicted[name]["mid"] <= predicted[name]["high"]
        assert measured[name] > 0


@pytest.mark.slow
@pytest.mark.parametrize("approach", LAUNCHES)
def test_the_run_folder_holds_all_that_the_run_needs_and_gave(
    runs: dict[str, Path], approach: str
) -> None:
    folder = runs[approach]
    for name in (
        "README.md",
        "recommendation.json",
        "answers.yaml",
        "plan.json",
        "run.json",
        "log.txt",
        "job/__main__.py",
        "accelerate.yaml",
        "requirements.txt",
        "data/manifest.json",
        "metrics.jsonl",
        "profile",
        "result.json",
    ):
        assert (folder / name).exists(), name
    assert document(folder / "run.json")["state"] == "done"
    assert list(folder.glob("checkpoints/step-*/MANIFEST.json"))


@pytest.mark.slow
@pytest.mark.parametrize("approach", LAUNCHES)
def test_what_was_trained_loads_with_the_stock_libraries_and_writes(
    runs: dict[str, Path], approach: str
) -> None:
    import peft
    import transformers

    folder = runs[approach]
    trained = folder / ("adapter" if approach == "lora" else "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(trained)
    if approach == "lora":
        base = transformers.AutoModelForCausalLM.from_pretrained(REHEARSAL_BASE)
        model = peft.PeftModel.from_pretrained(base, trained)
    else:
        model = transformers.AutoModelForCausalLM.from_pretrained(trained)
    prompt = tokenizer("The tenant", return_tensors="pt", return_token_type_ids=False)
    written = model.generate(**prompt, max_new_tokens=8, do_sample=False)
    assert written.shape[1] > prompt["input_ids"].shape[1]


@pytest.mark.slow
def test_the_history_shows_a_run_with_predicted_and_measured(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert launched(folder, "lora", "--max-steps", "3").returncode == 0
    (entry,) = json.loads(run("runs", "--json").stdout)["runs"]
    assert entry["folder"] == str(folder)
    assert entry["state"] == "done"
    assert entry["predicted"]["wall_hours"]
    assert entry["measured"]["wall_hours"] > 0


@pytest.mark.slow
def test_a_launch_killed_in_mid_run_goes_on_to_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, runs: dict[str, Path]
) -> None:
    folder = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "advisor", *command_of(folder, "lora")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while not (folder / "checkpoints" / "step-4" / "MANIFEST.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "result.json").exists()
    resumed = run("resume", str(folder))
    assert resumed.returncode == 0, resumed.stderr
    assert weights_of(folder) == weights_of(runs["lora"])
    assert weights_of(folder) != weights_of(runs["full_finetune"])


REFUSED = {
    "hardware that is not here": (("--data", str(CLAUSES / "data.jsonl")), 4, "hardware_elsewhere"),
    "nobody to confirm": (
        ("--data", str(CLAUSES / "data.jsonl"), "--base-model", "rehearsal"),
        4,
        "not_confirmed",
    ),
    "a base model that is nowhere": (
        ("--data", str(CLAUSES / "data.jsonl"), "--base-model", "no/such-model"),
        6,
        "model_unusable",
    ),
    "a base folder that is not there": (
        ("--data", str(CLAUSES / "data.jsonl"), "--base-model", "./nowhere"),
        6,
        "model_unusable",
    ),
    "a hub model that is not in the cache": (
        (*("--data", str(CLAUSES / "data.jsonl"), "--gpu", "local"), "--approach", "lora", "--yes"),
        6,
        "model_unusable",
    ),
    "data that is not there": (("--data", "none.jsonl"), 5, "data_unusable"),
    "empty data": (("--data", "empty.jsonl"), 5, "data_unusable"),
    "a line that is no JSON": (("--data", "broken.jsonl"), 5, "data_unusable"),
}


@pytest.mark.parametrize(("flags", "code", "name"), REFUSED.values(), ids=REFUSED.keys())
def test_a_launch_that_cannot_be_says_why_in_one_line_and_writes_nothing(
    tmp_path: Path, flags: tuple[str, ...], code: int, name: str
) -> None:
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "broken.jsonl").write_text('{"text": "fine"}\n{"text": \n')
    before = sorted(tmp_path.iterdir())
    answers = str(CLAUSES / "answers.yaml")
    done = run("launch", "--answers", answers, "-o", "new/run", *flags, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert f"advisor: error[{name}]: " in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_broken_line_is_named_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text('{"text": "fine"}\n{"text": \n')
    answers = str(CLAUSES / "answers.yaml")
    done = run("launch", "--answers", answers, "--data", "broken.jsonl", cwd=tmp_path)
    assert "broken.jsonl:2" in done.stderr


SUPPORT = EXAMPLES / "support_assistant"
NOT_TO_TRAIN = (
    *("--answers", str(SUPPORT / "answers.yaml")),
    *("--data", str(SUPPORT / "data.jsonl")),
)


@pytest.mark.slow
def test_advice_not_to_train_is_launched_as_a_measurement_of_the_base(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    flags = (*NOT_TO_TRAIN, "--base-model", "rehearsal", "--yes", "-o", str(folder))
    done = run("launch", *flags)
    assert done.returncode == 0, done.stderr
    plan, result = document(folder / "plan.json"), document(folder / "result.json")
    assert plan["approach"] == "no_training"
    assert "retrieval" in " ".join(map(str, plan["warnings"]))
    metrics = result["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["base"]
    assert metrics["tuned"] is None
    assert not (folder / "model").exists()


def test_a_measurement_is_planned_without_invented_figures(tmp_path: Path) -> None:
    flags = (*NOT_TO_TRAIN, "--base-model", "rehearsal", "-o", str(tmp_path / "run"), "--json")
    done = run("plan", *flags)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["settings"]["method"] == "few_shot"
    assert plan["estimate"] is None
    assert set(plan["predictions"].values()) == {None}


def test_the_base_that_would_be_measured_must_be_here(tmp_path: Path) -> None:
    done = run("launch", *NOT_TO_TRAIN, "--yes", cwd=tmp_path)
    assert done.returncode == 6
    assert "error[" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_several_stages_is_written_with_all_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    answers = ("--language-novelty", "unseen", "--raw-text", "2B tokens")
    flags = (*answers, "--labelled-examples", "1000", "--gpu", "h100-sxm5-80gb", "--gpus", "8")
    data = ("--data", str(NEW_LANGUAGE / "data.txt"), "--data", str(CLAUSES / "data.jsonl"))
    done = run("plan", *flags, *data, "--base-model", "rehearsal", "-o", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert [stage["approach"] for stage in plan["earlier"]] == ["continued_pretrain"]
    assert plan["approach"] == "lora"
    assert plan["settings"]["base_model"] == "stages/1/model"
    assert (folder / "data" / "general.jsonl").stat().st_size > 90_000
    readme = (folder / "README.md").read_text()
    assert "1. continued_pretrain" in readme
    assert "2. lora" in readme


def test_bad_records_are_passed_over_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "some.jsonl").write_text('{"prompt": "a", "completion": "b"}\n' * 50 + "no JSON\n")
    named = ("--answers", str(CLAUSES / "answers.yaml"), "--data", "some.jsonl")
    flags = (*named, "--base-model", "rehearsal", "-o", "run")
    assert run("plan", *flags, cwd=tmp_path).returncode == 5
    done = run("plan", *flags, "--skip-bad-records", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["settings"]["bad_records"] == "skip"
    assert plan["data"]["records"] == 50


def test_every_choice_of_the_lead_has_its_flag() -> None:
    assert set(CHOICES) == {field.name for field in fields(LeadChoices)}


def test_what_the_job_cannot_train_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    answers, data, _ = LAUNCHES["lora"]
    named = ("--answers", str(answers), "--data", str(data), "--model-kind", "encoder")
    done = run("launch", *named, "--gpu", "local", "--yes", "-o", "run", cwd=tmp_path)
    assert done.returncode == 4
    assert "error[objective_unsupported]" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_plan_is_written_whole_and_not_started(tmp_path: Path) -> None:
    folder = tmp_path / "planned"
    answers, data, flags = LAUNCHES["lora"]
    named = ("--answers", str(answers), "--data", str(data), *flags)
    done = run("plan", *named, "-o", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan == document(folder / "plan.json")
    assert plan["settings"]["learning_rate"] > 0
    assert document(folder / "run.json")["state"] == "created"
    again = run("plan", *named, "-o", str(folder))
    assert again.returncode == 4
    assert "error[folder_in_use]" in again.stderr


def test_lora_learns_about_ten_times_faster_than_full_fine_tuning(tmp_path: Path) -> None:
    rates = {}
    for approach in ("lora", "full_finetune"):
        answers, data, flags = LAUNCHES[approach]
        named = ("--answers", str(answers), "--data", str(data), "--approach", approach, *flags)
        done = run("plan", *named, "-o", str(tmp_path / approach), "--json")
        rates[approach] = json.loads(done.stdout)["settings"]["learning_rate"]
    assert rates["lora"] / rates["full_finetune"] == pytest.approx(10, rel=0.3)


def test_a_choice_against_the_advice_is_taken_and_warned_about(tmp_path: Path) -> None:
    answers, data, flags = LAUNCHES["lora"]
    named = ("--answers", str(answers), "--data", str(data), *flags)
    chosen = ("--approach", "full_finetune", "--learning-rate", "0.5")
    done = run("plan", *named, *chosen, "-o", str(tmp_path / "run"), "--json")
    plan = json.loads(done.stdout)
    assert plan["settings"]["learning_rate"] == 0.5
    assert any("the advice is lora" in one for one in plan["warnings"])
    assert any("learning rate 0.5 is far from" in one for one in plan["warnings"])
