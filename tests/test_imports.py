import json
import subprocess
import sys

import pytest
from command_line import ROOT

FRAMEWORKS = {
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "datasets",
    "pandas",
    "numpy",
    "textual",
}
EXAMPLE = ROOT / "examples" / "contract_clauses"
WATCHED = """
import json, sys
sys.argv = ["advisor", *json.loads(sys.argv[1])]
import advisor
from advisor.cli import main
try:
    main()
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""
LIGHT = {
    "recommend": ["recommend", "--answers", str(EXAMPLE / "answers.yaml"), "--json"],
    "recommend as text": ["recommend", "--domain", "legal"],
    "estimate": ["estimate", "--model", "Qwen/Qwen3-8B-Base", "--gpu", "rtx-4090", "--json"],
    "search": ["search", "--model", "Qwen/Qwen3-8B-Base", "--gpu", "rtx-4090"],
    "catalog": ["catalog", "gpus"],
    "help": ["--help"],
    "plan's help": ["plan", "--help"],
    "schema": ["schema", "plan"],
}


def loaded_by(arguments: list[str]) -> set[str]:
    """Return the top-level modules that a command has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, json.dumps(arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", LIGHT.values(), ids=LIGHT.keys())
def test_deciding_and_pricing_load_no_framework(arguments: list[str]) -> None:
    assert not loaded_by(arguments) & FRAMEWORKS


def test_the_watch_would_see_a_framework() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import numpy, sys; print('numpy' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "True"


def test_planning_loads_no_framework() -> None:
    data = str(EXAMPLE / "data.jsonl")
    arguments = ["launch", "--labelled-examples", "9", "--data", data, "--base-model", "no/such"]
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, json.dumps(arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert not set(json.loads(done.stderr.splitlines()[-1])) & FRAMEWORKS
