"""`advisor try`: the models of a finished run are asked, in a process of their own."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import job_runs as runs
import pytest
from command_line import ROOT, run
from rich.console import Console

from advisor.planning.bases import REHEARSAL_BASE
from advisor.report.tried import tried_lines

CLAUSES = ROOT / "examples" / "contract_clauses"
ANSWERED = {
    "base_model": "some/base",
    "base": {"text": "left side\nsecond line"},
    "tuned": {"text": "right side"},
}


def shown(document: dict[str, Any], *, beside: bool, width: int = 100) -> str:
    console = Console(width=width, color_system=None, highlight=False, markup=False)
    with console.capture() as capture:
        for part in tried_lines(document, beside=beside):
            console.print(part)
    return capture.get()


def test_two_answers_stand_side_by_side_or_one_below_the_other() -> None:
    beside = shown(ANSWERED, beside=True).splitlines()
    assert any("left side" in line and "right side" in line for line in beside)
    below = shown(ANSWERED, beside=False, width=80).splitlines()
    assert below == ["base (some/base):", "left side", "second line", "", "tuned:", "right side"]


def test_what_a_model_writes_cannot_draw_on_the_terminal() -> None:
    text = shown({**ANSWERED, "tuned": {"text": "a\x1b[2Jb [red]c[/red]"}}, beside=False)
    assert "\x1b" not in text
    assert "[red]c[/red]" in text


def test_a_missing_side_is_told() -> None:
    text = shown({**ANSWERED, "base": None, "base_model": None}, beside=False)
    assert text.startswith("base:\nThere is no base to compare with.\n")
    assert "Nothing was trained." in shown({**ANSWERED, "tuned": None}, beside=False)


def test_labels_tags_and_gaps_are_told_with_their_probabilities() -> None:
    labels = {"labels": [{"label": "fee", "probability": 0.9}, {"label": "x", "probability": 0.1}]}
    assert " 90.0%  fee\n 10.0%  x\n" in shown({**ANSWERED, "tuned": labels}, beside=False)
    tags = {"tags": [{"word": "Bob", "tag": "B-PER", "probability": 0.8}]}
    assert "Bob  B-PER  80%" in shown({**ANSWERED, "tuned": tags}, beside=False)
    gaps = {"gaps": [[{"token": "sea", "probability": 0.5}]]}
    assert " 50.0%  sea" in shown({**ANSWERED, "tuned": gaps}, beside=False)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder that was written and never started."""
    folder = tmp_path_factory.mktemp("try") / "run"
    named = ("--answers", str(CLAUSES / "answers.yaml"), "--data", str(CLAUSES / "data.jsonl"))
    more = ("--approach", "full_finetune", "--base-model", "rehearsal", "-o", str(folder))
    written = run("plan", *named, *more)
    assert written.returncode == 0, written.stderr
    return folder


@pytest.fixture(scope="module")
def finished(planned: Path) -> Path:
    """A run folder that ended with the very weights that it began with."""
    folder = planned.parent / "finished"
    shutil.copytree(planned, folder)
    shutil.copytree(REHEARSAL_BASE, folder / "model")
    state = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**state, "state": "done"}))
    return folder


def test_what_is_no_finished_run_is_refused(planned: Path, tmp_path: Path) -> None:
    for folder, told in ((tmp_path, "this is no run folder"), (planned, "one that is created")):
        refused = run("try", str(folder), "hello")
        assert refused.returncode == 4
        assert refused.stdout == ""
        (line,) = refused.stderr.splitlines()
        assert line.startswith("advisor: error[run_unusable]: ")
        assert told in line


def test_an_empty_prompt_is_refused(planned: Path) -> None:
    refused = run("try", str(planned), "-", stdin=" \n")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "the prompt is empty" in refused.stderr


@pytest.mark.slow
def test_both_models_answer_and_equal_weights_answer_alike(finished: Path) -> None:
    flags = ("--max-tokens", "12", "--json")
    asked = run("try", str(finished), "-", *flags, stdin="Name a colour.\n")
    assert asked.returncode == 0, asked.stderr
    document = json.loads(asked.stdout)
    assert document["schema"] == "advisor.try/1"
    assert document["prompt"] == "Name a colour.\n"
    assert document["base"] == document["tuned"]
    assert document["base"]["text"]


@pytest.mark.slow
def test_a_base_that_is_gone_is_named(finished: Path) -> None:
    plan = json.loads((finished / "plan.json").read_text())
    plan["settings"]["base_model"] = "some-org/never-downloaded"
    folder = finished.parent / "baseless"
    shutil.copytree(finished, folder)
    (folder / "plan.json").write_text(json.dumps(plan))
    refused = run("try", str(folder), "hello", "--json")
    assert refused.returncode == 6
    error = json.loads(refused.stderr)["error"]
    assert error["code"] == "model_unusable"
    assert error["faults"][0]["path"] == "some-org/never-downloaded"


def head_run(folder: Path, objective: str, labels: list[str]) -> Path:
    """Return a finished run of an encoder with a head, or of a masked model."""
    import transformers

    from advisor.job.models.scratch import from_scratch
    from advisor.job.models.tokenizing import train_tokenizer
    from advisor.job.settings import Shape

    shape = Shape(n_layers=2, hidden=32, n_heads=4, n_kv_heads=4, intermediate=64, vocab=400)
    tokenizer = train_tokenizer([runs.text()], 400, objective="mlm")
    model = from_scratch(shape, tokenizer, seq_len=64, objective="mlm")
    model.save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    if labels:
        kinds = {
            "classification": transformers.BertForSequenceClassification,
            "extraction": transformers.BertForTokenClassification,
        }
        model = kinds[objective].from_pretrained(folder / "base", num_labels=len(labels))
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    raw = runs.settings(objective=objective, labels=labels, packing=False, base_model="base")
    plan = {"schema": "advisor.plan/1", "run_id": "r", "settings": raw, "data": {"files": []}}
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The child's own function, with what it does to this process undone."""
    import logging

    from advisor.job import trying

    monkeypatch.setattr(trying, "_quiet", lambda _: None)
    yield trying.tried
    logging.disable(logging.NOTSET)


def test_a_classifier_tells_every_label(tmp_path: Path, tried: Any) -> None:
    folder = head_run(tmp_path, "classification", ["a", "b", "c"])
    document = tried(folder, {"prompt": "The red house is by the sea."})
    assert document["base"] is None
    told = document["tuned"]["labels"]
    assert sorted(one["label"] for one in told) == ["a", "b", "c"]
    assert sum(one["probability"] for one in told) == pytest.approx(1, abs=1e-4)
    assert [one["probability"] for one in told] == sorted(
        (one["probability"] for one in told), reverse=True
    )


def test_a_tagger_tells_a_tag_for_each_word(tmp_path: Path, tried: Any) -> None:
    folder = head_run(tmp_path, "extraction", ["O", "B-X"])
    found = tried(folder, {"prompt": "The red house"})["tuned"]["tags"]
    assert [one["word"] for one in found] == ["The", "red", "house"]
    assert {one["tag"] for one in found} <= {"O", "B-X"}


def test_a_masked_model_fills_every_gap(tmp_path: Path, tried: Any) -> None:
    folder = head_run(tmp_path, "mlm", [])
    document = tried(folder, {"prompt": "The [MASK] house is by the [MASK]."})
    assert [len(gap) for gap in document["tuned"]["gaps"]] == [5, 5]
    assert document["base"] == document["tuned"]
    from advisor.job.faults import JobError

    with pytest.raises(JobError, match="no gap"):
        tried(folder, {"prompt": "The red house."})


def test_starting_try_loads_no_framework() -> None:
    code = "import sys, advisor.cli.try_command, advisor.runs.trying; print('torch' in sys.modules)"
    import subprocess

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
