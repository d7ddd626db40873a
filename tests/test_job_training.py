"""Real runs, in processes of their own, as a user starts them."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import job_runs as runs
import pytest
from job_runs import (
    LORA,
    PRETRAIN,
    fingerprint,
    finish,
    make_run,
    metrics,
    read,
    run,
    settings,
    start,
)

pytestmark = pytest.mark.slow
Runs = dict[str, Path]
STEPS = {"max_steps": 30, "gradient_accumulation": 4}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("job")


@pytest.fixture(scope="module")
def rows(place: Path) -> Path:
    return runs.write_rows(place / "rows.jsonl", runs.pairs())


@pytest.fixture(scope="module")
def pretrained(place: Path) -> Path:
    data = place / "text.txt"
    data.write_text(runs.text())
    folder = make_run(place / "pretrain", data, settings(**{**PRETRAIN, "max_steps": 40}))
    code, said = run(folder)
    assert code == 0, said
    return folder


@pytest.fixture(scope="module")
def straight(place: Path, rows: Path, pretrained: Path) -> Runs:
    """Two uninterrupted runs, at once: all weights, and an adapter."""
    base = pretrained / "model"
    full = make_run(place / "full", rows, settings(**STEPS), base=base)
    lora = make_run(place / "lora", rows, settings(**STEPS, **LORA), base=base)
    for process in [start(full), start(lora)]:
        code, said = finish(process)
        assert code == 0, said
    return {"full": full, "lora": lora}


def again(straight: Runs, name: str, place: Path, **changes: Any) -> Path:
    """Return a fresh copy of a straight run's folder, before it ran, under the same run id."""
    folder = place / f"again-{time.monotonic_ns()}"
    shutil.copytree(straight[name], folder, ignore=shutil.ignore_patterns(*LEFT_BY_A_RUN))
    plan = read(folder, "plan.json")
    plan["settings"] |= changes
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


LEFT_BY_A_RUN = (
    *("checkpoints", "metrics.jsonl", "run.json", "result.json"),
    *("profile", "model", "adapter", "lock"),
)


def test_pretraining_learns_and_the_model_opens_with_stock_tools(pretrained: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    result = read(pretrained, "result.json")
    assert result["status"] == "done"
    assert result["validation"]["loss"] < result["validation"]["loss_before"] - 1
    assert result["train_loss"]["last"] < result["train_loss"]["first"] - 1
    assert result["samples"][0]["base"] is None
    folder = pretrained / "model"
    model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.config.tie_word_embeddings
    assert model.config.vocab_size == len(tokenizer) <= PRETRAIN["shape"]["vocab"]
    ids = tokenizer("The red", return_tensors="pt")
    assert (
        model.generate(**ids, max_new_tokens=3, do_sample=False).shape[1]
        > ids["input_ids"].shape[1]
    )
    assert "license: unknown" in (folder / "README.md").read_text()


@pytest.mark.parametrize("name", ["full", "lora"])
def test_a_run_reports_what_it_did(straight: Runs, name: str) -> None:
    folder = straight[name]
    result, state = read(folder, "result.json"), read(folder, "run.json")
    assert (state["state"], state["exit"], state["step"], state["error"]) == ("done", 0, 30, None)
    assert result["steps"] == 30
    assert result["validation"]["loss"] < result["validation"]["loss_before"]
    assert result["verdict"].startswith("The tuned model is better than the base: validation loss")
    assert [set(sample) for sample in result["samples"]] == [
        {"prompt", "reference", "base", "prompted", "tuned"}
    ] * 2
    measured = result["measured"]
    assert measured["cost_usd"] == pytest.approx(36 * measured["wall_hours"])
    assert 0 < measured["memory_gb_per_gpu"] < 5
    assert result["predicted"]["wall_hours"]["mid"] == 2
    phases = read(folder, "profile/phases.json")["seconds"]
    assert all(phases[name] > 0 for name in ("data", "forward", "backward", "optimizer", "save"))
    assert "aten::" in (folder / "profile" / "operators.txt").read_text()
    assert (folder / "profile" / "trace.json.gz").stat().st_size < 2_000_000


def test_every_logged_step_has_one_line_and_tokens_are_those_of_the_rows(straight: Runs) -> None:
    lines = metrics(straight["full"])
    assert [line["step"] for line in lines] == [1, *range(3, 31, 3)]
    assert all(a["seconds"] < b["seconds"] for a, b in pairwise(lines))
    # 30 steps of 16 rows walk 108 rows in 7-step epochs: 4 whole epochs and 2 steps.
    tokens = [line["tokens"] for line in lines]
    epochs = [(b - a) for a, b in pairwise(tokens)]
    assert all(0 < n <= 3 * 16 * 64 for n in epochs)
    assert read(straight["full"], "result.json")["tokens"] == tokens[-1]


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks transformers for an old name
def test_the_adapter_opens_with_stock_tools_on_its_base(straight: Runs) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = straight["lora"]
    files = {path.name for path in (folder / "adapter").iterdir()}
    assert {
        "adapter_model.safetensors",
        "adapter_config.json",
        "tokenizer.json",
        "README.md",
    } <= files
    base = AutoModelForCausalLM.from_pretrained(folder / "base")
    tokenizer = AutoTokenizer.from_pretrained(folder / "adapter")
    tuned = PeftModel.from_pretrained(base, folder / "adapter").eval()
    turns = [{"role": "user", "content": "1: join green fish"}]
    ids = tokenizer.apply_chat_template(
        turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    adapted = tuned(**ids).logits
    with tuned.disable_adapter():
        assert not adapted.equal(tuned(**ids).logits)
    assert (
        tuned.generate(**ids, max_new_tokens=2, do_sample=False).shape[1]
        > ids["input_ids"].shape[1]
    )


def test_a_run_holds_no_pickled_weights_or_arguments(straight: Runs) -> None:
    names = [path.name for path in straight["full"].rglob("*") if path.is_file()]
    assert not [
        name for name in names if name.endswith((".bin", ".pkl")) or name.startswith(".tmp")
    ]


def test_a_killed_run_goes_on_to_the_very_same_end(straight: Runs, place: Path) -> None:
    """Two kills at once: an adapter with dropout, and all weights with a damaged checkpoint."""
    lora, full = again(straight, "lora", place), again(straight, "full", place)
    processes = {folder: start(folder) for folder in (full, lora)}
    for folder, process in processes.items():
        runs.wait_for_step(process, folder, 12)
        process.kill()
        assert finish(process)[0] == -signal.SIGKILL
    newest = max((full / "checkpoints").glob("step-*"), key=lambda p: int(p.name[5:]))
    weights = newest / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    (full / "checkpoints" / ".tmp-step-99").mkdir()
    processes = {folder: start(folder, "--resume") for folder in (lora, full)}
    said = {folder: finish(process) for folder, process in processes.items()}
    assert [code for code, _ in said.values()] == [0, 0], said
    assert f"skipped {newest}: model.safetensors is damaged" in said[full][1]
    assert fingerprint(lora) == fingerprint(straight["lora"])
    assert fingerprint(full) == fingerprint(straight["full"])
    assert not list((full / "checkpoints").glob(".tmp-*"))


def test_a_stopped_run_saves_and_goes_on_and_another_seed_ends_elsewhere(
    straight: Runs, place: Path
) -> None:
    stopped, other = again(straight, "full", place), again(straight, "full", place, seed=8)
    process, beside = start(stopped), start(other)
    runs.wait_for_step(process, stopped, 9)
    process.send_signal(signal.SIGTERM)
    code, said = finish(process)
    assert code == 143, said
    state = read(stopped, "run.json")
    assert (state["state"], state["exit"]) == ("interrupted", 143)
    assert (stopped / "checkpoints" / f"step-{state['step']}").is_dir()
    assert finish(beside)[0] == 0
    assert run(stopped, "--resume")[0] == 0
    assert fingerprint(stopped) == fingerprint(straight["full"])
    assert read(stopped, "run.json")["spent_seconds"] > state["spent_seconds"]
    expected, found = fingerprint(straight["full"]), fingerprint(other)
    assert [name for name in expected if found[name] == expected[name]] == ["scheduler.pt"]


def test_a_diverging_run_stops_without_a_bad_checkpoint(straight: Runs, place: Path) -> None:
    folder = again(straight, "full", place, learning_rate=1e20, save_every_steps=1, samples=0)
    code, said = run(folder)
    assert code == 8
    error = said.splitlines()[-1]
    assert error.startswith("job: error[diverged]: ")
    assert "Traceback" not in said
    state = read(folder, "run.json")
    assert (state["state"], state["exit"], state["error"]["code"]) == ("failed", 8, "diverged")
    kept = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert kept
    assert all(line["loss"] < 1e30 for line in metrics(folder)[1:])


def test_a_full_disk_ends_in_one_line_and_costs_no_checkpoint(straight: Runs, place: Path) -> None:
    folder = again(straight, "full", place)
    runs.wait_for_step(first := start(folder), folder, 6)
    first.kill()
    finish(first)
    before = sorted(path.name for path in (folder / "checkpoints").glob("step-*"))
    limited = ["bash", "-c", f"ulimit -f 300; exec {sys.executable} -m job --resume"]
    found = subprocess.run(limited, cwd=folder, capture_output=True, text=True, check=False)
    assert found.returncode == 10
    assert found.stderr.splitlines()[-1].startswith("job: error[disk]: ")
    assert read(folder, "run.json")["error"]["code"] == "disk"
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == before
    assert run(folder, "--resume")[0] == 0
    assert fingerprint(folder) == fingerprint(straight["full"])


def forget_base(folder: Path) -> None:
    shutil.rmtree(folder / "base")


def pickle_only(folder: Path) -> None:
    (folder / "base" / "model.safetensors").rename(folder / "base" / "pytorch_model.bin")


def cut_weights(folder: Path) -> None:
    weights = folder / "base" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


def own_code(folder: Path) -> None:
    config = read(folder, "base/config.json")
    config["auto_map"] = {"AutoModelForCausalLM": "evil.Model"}
    (folder / "base" / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("harm", [forget_base, pickle_only, cut_weights, own_code])
def test_a_base_that_is_missing_damaged_or_unsafe_is_named(
    straight: Runs, place: Path, harm: Callable[[Path], None]
) -> None:
    folder = again(straight, "full", place)
    harm(folder)
    code, said = run(folder)
    assert code == 6
    assert said.splitlines()[-1].startswith("job: error[model_unusable]: ")
    assert "Traceback" not in said


def change_data(folder: Path) -> None:
    plan = read(folder, "plan.json")
    data = folder / "changed.jsonl"
    data.write_text(json.dumps({"prompt": "a", "completion": "b"}))
    plan["data"]["files"][0]["path"] = "changed.jsonl"
    (folder / "plan.json").write_text(json.dumps(plan))


def break_data(folder: Path) -> None:
    plan = read(folder, "plan.json")
    plan["data"]["files"][0]["path"] = "gone.jsonl"
    (folder / "plan.json").write_text(json.dumps(plan))


def break_settings(folder: Path) -> None:
    plan = read(folder, "plan.json")
    plan["settings"] |= {"seq_len": -1, "schedule": "sine"}
    (folder / "plan.json").write_text(json.dumps(plan))


REFUSED_AT_START = [
    (change_data, 4, "plan_stale", 1),
    (break_data, 5, "data_unusable", 1),
    (break_settings, 2, "usage", 2),
]


@pytest.mark.parametrize(("harm", "code", "name", "lines"), REFUSED_AT_START)
def test_what_cannot_run_is_refused_before_anything_loads(
    straight: Runs, place: Path, harm: Callable[[Path], None], code: int, name: str, lines: int
) -> None:
    folder = again(straight, "full", place)
    harm(folder)
    found, said = run(folder)
    assert found == code
    assert [line.startswith(f"job: error[{name}]: ") for line in said.splitlines()] == [
        True
    ] * lines
    assert read(folder, "run.json")["error"]["code"] == name


def test_a_finished_run_is_neither_started_nor_resumed_again(straight: Runs, place: Path) -> None:
    folder = place / "finished"
    shutil.copytree(straight["full"], folder)
    before = fingerprint(folder)
    code, said = run(folder)
    assert (code, len(said.splitlines())) == (4, 1)
    assert run(folder, "--resume") == (0, "job: this run is done\n")
    assert fingerprint(folder) == before
    assert read(folder, "run.json")["state"] == "done"


def test_a_changed_plan_is_not_resumed(straight: Runs, place: Path) -> None:
    folder = place / "changed"
    shutil.copytree(straight["full"], folder)
    (folder / "run.json").unlink()
    plan = read(folder, "plan.json")
    plan["settings"]["learning_rate"] = 1e-5
    (folder / "plan.json").write_text(json.dumps(plan))
    code, said = run(folder, "--resume")
    assert code == 4
    assert "learning_rate 0.003 → 1e-05" in said


def test_a_run_that_another_process_owns_is_left_alone(straight: Runs, place: Path) -> None:
    folder = again(straight, "full", place)
    first = start(folder)
    runs.wait_for_step(first, folder, 0)
    code, said = run(folder, "--resume")
    assert code == 7
    assert str(first.pid) in said
    first.kill()
    finish(first)
    assert read(folder, "run.json")["state"] == "running"


def test_p_tuning_goes_on_to_the_very_same_end(place: Path, rows: Path, pretrained: Path) -> None:
    tuned = {"method": "p_tuning", "lora": None, "virtual_tokens": 4, "packing": False}
    raw = settings(**{**STEPS, **LORA, **tuned, "learning_rate": 1e-2, "samples": 0})
    ends = []
    for number in range(2):
        folder = make_run(place / f"tuned-{number}" / "run", rows, raw, base=pretrained / "model")
        if number:
            process = start(folder)
            runs.wait_for_step(process, folder, 12)
            process.kill()
            finish(process)
        code, said = run(folder, *(["--resume"] if number else []))
        assert code == 0, said
        ends.append(fingerprint(folder))
    assert ends[0] == ends[1]


def two_stages(folder: Path, text: Path, rows: Path, base: Path) -> Path:
    """Write a run that reads on in plain text first, and tunes what comes of it with LoRA."""
    reading = {"approach": "continued_pretrain", "merge": True, "max_steps": 8, "samples": 0}
    tuning = {**LORA, "base_model": "stages/1/model", "max_steps": 8}
    make_run(folder, rows, settings(**tuning), base=base)
    first = make_run(folder / "unused", text, settings(**reading))
    plan, earlier = read(folder, "plan.json"), read(first, "plan.json")
    plan["earlier"] = [{"settings": earlier["settings"], "data": earlier["data"]}]
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def test_stages_follow_each_other_and_a_killed_one_goes_on(
    place: Path, rows: Path, pretrained: Path
) -> None:
    made = [
        two_stages(place / f"stages-{n}" / "run", place / "text.txt", rows, pretrained / "model")
        for n in range(2)
    ]
    process = start(made[1])
    runs.wait_for_step(process, made[1] / "stages" / "1", 4)
    process.kill()
    finish(process)
    ends = []
    for folder, more in zip(made, ([], ["--resume"]), strict=True):
        code, said = run(folder, *more)
        assert code == 0, said
        state = read(folder, "run.json")
        assert (state["state"], state["stage"], state["folder"]) == ("done", "2/2", ".")
        assert read(folder / "stages" / "1", "result.json")["steps"] == 8
        ends.append([fingerprint(folder), fingerprint(folder / "stages" / "1")])
    assert ends[0] == ends[1]
