import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from command_line import ROOT, run

from advisor.schemas import DOCUMENTS, schema_of

LEGAL = (
    '{"gpu_budget":{"gpu":"rtx-4090","gpus":1,"deadline":"3 days"},"domain":"legal",'
    '"data":{"labelled_examples":8000}}'
)


def error_of(printed: str) -> dict[str, object]:
    """Return the error of the one JSON line on stderr, checked against its schema."""
    (line,) = printed.strip().splitlines()
    document = json.loads(line)
    jsonschema.validate(document, schema_of("error"))
    return dict(document["error"])


def test_json_answers_on_stdin_give_one_json_document_on_stdout() -> None:
    done = run("recommend", "--answers", "-", "--json", stdin=LEGAL)
    assert done.returncode == 0
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["recommended"]["approach"] == "lora"
    assert "jellyfish.use.one-gpu-few-days" in {one["rule"] for one in found["reasons"]}


def test_a_flag_wins_over_the_file_and_the_file_over_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADVISOR_DOMAIN", "code")
    monkeypatch.setenv("ADVISOR_TASK", "chat")
    monkeypatch.setenv("ADVISOR_PRIVACY", "public")
    file = tmp_path / "answers.yaml"
    file.write_text(yaml.safe_dump({"task": "extraction", "domain": "legal"}))
    done = run("recommend", "--answers", str(file), "--domain", "medical", "--json")
    answers = json.loads(done.stdout)["answers"]
    assert (answers["domain"], answers["task"], answers["privacy"]) == (
        "medical",
        "extraction",
        "public",
    )


def test_a_truth_may_be_given_as_a_flag_alone_or_with_its_value() -> None:
    alone = run("recommend", "--facts-change", "--commercial-use", "false", "--json")
    answers = json.loads(alone.stdout)["answers"]
    assert answers["data"]["facts_change"] is True
    assert answers["commercial_use"] is False


def test_text_for_people_leads_with_the_verdict_and_names_sources() -> None:
    done = run("recommend", "--answers", "-", stdin=LEGAL)
    assert done.stdout.startswith("Tune ")
    assert "Jellyfish Technologies" in done.stdout
    assert "\x1b" not in done.stdout


def test_the_articles_alone_can_be_asked() -> None:
    flags = ("recommend", "--language-novelty", "unseen", "--raw-text", "2B tokens", "--json")
    both = json.loads(run(*flags).stdout)
    articles = json.loads(run(*flags, "--rules", "documents").stdout)
    assert both["recommended"]["approach"] == "continued_pretrain"
    assert articles["recommended"]["approach"] == both["documents_only"]["approach"] == "pretrain"


def test_a_batch_answers_every_line_in_order_and_tells_which_failed() -> None:
    lines = [LEGAL, '{"domain": "legl"}', "no json", '{"prompt_tried": "good_enough"}']
    done = run("recommend", "--batch", "-", stdin="\n".join(lines))
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [one["error"]["code"] if "error" in one else "answer" for one in found] == [
        "answer",
        "answers_invalid",
        "document_invalid",
        "answer",
    ]
    assert found[1]["error"]["faults"][0]["line"] == 2


def test_a_batch_of_estimates_answers_every_line() -> None:
    request = {"model": "Qwen/Qwen3-8B-Base", "approach": "lora", "tokens": 1e6, "gpu": "rtx-4090"}
    done = run("estimate", "--batch", "-", stdin=f"{json.dumps(request)}\n" * 3)
    assert done.returncode == 0
    assert len(set(done.stdout.splitlines())) == 1


def test_nothing_feasible_is_an_answer_and_an_exit_code_only_when_asked() -> None:
    assert run("recommend", "--json").returncode == 0
    assert run("recommend", "--json", "--exit-code").returncode == 0


WRONG = {
    "an unknown value": (("recommend", "--domain", "legl"), "", 2, "answers_invalid"),
    "an unknown key": (
        ("recommend", "--answers", "-"),
        '{"domian": "legal"}',
        2,
        "answers_invalid",
    ),
    "a negative size": (("recommend", "--raw-text", "-2 GB"), "", 2, "answers_invalid"),
    "an unknown GPU": (("recommend", "--gpu", "rtx-4091"), "", 2, "answers_invalid"),
    "no JSON": (("recommend", "--answers", "-"), "{", 2, "document_invalid"),
    "a missing file": (("recommend", "--answers", "none.yaml"), "", 2, "file_unreadable"),
    "an unknown command": (("recomend",), "", 2, "usage"),
    "an unknown flag": (("recommend", "--domian", "legal"), "", 2, "usage"),
    "an unknown model": (("estimate", "--model", "no/such"), "", 2, "request_invalid"),
    "a negative amount": (
        ("estimate", "--model", "Qwen/Qwen3-8B-Base", "--tokens", "-1"),
        "",
        2,
        "request_invalid",
    ),
    "an unknown rule": (("explain", "no.such.rule"), "", 2, "name_unknown"),
    "no rule pack": (("recommend", "--rules-dir", "nowhere"), "", 2, "rules_invalid"),
    "no rule pack to check": (("rules", "check", "nowhere"), "", 2, "rules_invalid"),
    "no data": (("launch", "--labelled-examples", "5"), "", 2, "usage"),
    "no run folder": (("launch", "nowhere"), "", 4, "run_unusable"),
}


@pytest.mark.parametrize(("arguments", "stdin", "code", "name"), WRONG.values(), ids=WRONG.keys())
def test_wrong_input_gets_one_clear_line_and_its_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], stdin: str, code: int, name: str
) -> None:
    text = run(*arguments, stdin=stdin, cwd=tmp_path)
    assert text.returncode == code
    assert text.stdout == ""
    (line,) = text.stderr.strip().splitlines()
    assert line.startswith(f"advisor: error[{name}]: ")
    assert list(tmp_path.glob("*")) == [tmp_path / "state"] or not list(tmp_path.glob("*"))


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "name"),
    [case for case in WRONG.values() if case[0][0] != "recomend"],
    ids=[name for name, case in WRONG.items() if case[0][0] != "recomend"],
)
def test_under_json_an_error_is_one_json_line_on_stderr(
    tmp_path: Path, arguments: tuple[str, ...], stdin: str, code: int, name: str
) -> None:
    done = run(*arguments, "--json", stdin=stdin, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    error = error_of(done.stderr)
    assert (error["code"], error["exit"]) == (name, code)


def test_all_faults_are_told_in_one_go() -> None:
    done = run("recommend", "--answers", "-", stdin='{"domain": "x", "task": "y", "variants": -1}')
    assert len(done.stderr.splitlines()) == 3


def test_hostile_names_reach_no_terminal_raw() -> None:
    done = run("recommend", "--project", "\x1b]0;owned\x07[/bold]", "--domain", "\x1b[2J")
    assert "\x1b" not in done.stderr + done.stdout


def test_without_a_terminal_the_bare_command_ends_at_once_with_help() -> None:
    done = run(timeout=20)
    assert done.returncode == 2
    assert "Usage: advisor" in done.stderr


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_schema_is_a_valid_one_of_its_draft(name: str) -> None:
    done = run("schema", name)
    schema = json.loads(done.stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("kind", ["gpus", "models", "prices"])
def test_the_catalogue_can_be_read_with_source_and_date(kind: str) -> None:
    rows = json.loads(run("catalog", kind, "--json").stdout)[kind]
    assert len(rows) > 100
    assert all(row["source"] and row["date"] for row in rows)


def test_help_is_there_for_every_command_and_fits_80_columns() -> None:
    listed = run("--help").stdout
    commands = [line.split()[0] for line in listed.split("Commands:")[1].splitlines()[1:9]]
    assert len(commands) == 8
    for command in commands:
        done = run(command, "--help")
        assert done.returncode == 0
        assert max(map(len, done.stdout.splitlines())) <= 80


EXAMPLES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/answers.yaml"))


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_gives_exactly_the_recommendation_beside_it(example: str) -> None:
    folder = ROOT / "examples" / example
    done = run("recommend", "--answers", str(folder / "answers.yaml"), "--json")
    jsonschema.validate(json.loads(done.stdout), schema_of("recommendation"))
    assert done.stdout == (folder / "recommendation.json").read_text()
    summary = json.loads(done.stdout)["recommended"]["summary"]
    assert summary in (folder / "README.md").read_text()
