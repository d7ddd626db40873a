"""Every objective with every approach and method that makes sense, trained and opened again."""

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import job_runs as runs
import pytest
import torch
from job_matrix import OPENED, SAID, SAVED
from job_runs import make_run, read, settings
from safetensors.torch import load_file

pytestmark = pytest.mark.slow
Folders = dict["Cell", Path]
SHAPE = {
    "n_layers": 2,
    "hidden": 64,
    "n_heads": 4,
    "n_kv_heads": 4,
    "intermediate": 128,
    "vocab": 500,
}
LORA_FAMILY = ("lora", "rslora", "dora")
ADDED: dict[str, dict[str, Any]] = {
    **{
        name: {"lora": {"rank": 8, "alpha": 16, "dropout": 0.0, "targets": "all-linear"}}
        for name in LORA_FAMILY
    },
    "ia3": {"targets": ["k", "v", "down"]},
    "adapter": {"bottleneck": 16},
    "prefix": {"virtual_tokens": 8},
    "prompt": {"virtual_tokens": 8},
    "p_tuning": {"virtual_tokens": 8},
}
PROMPTS = ("prefix", "prompt", "p_tuning")
RATES = {"full": 3e-3, "adapter": 1e-2, **dict.fromkeys(LORA_FAMILY, 1e-2)}
RATE = 5e-2
HEAD_RATE = 5e-3
COLOURS = ("red", "green", "blue", "small")
TAGS = ("O", "COLOUR", "THING")


class Cell(NamedTuple):
    """One training: the base is a model of that objective, pretrained in this same matrix."""

    objective: str
    approach: str
    method: str
    base: str | None = None
    more: str = ""

    @property
    def name(self) -> str:
        return "-".join(filter(None, self))


PRETRAINED = [Cell(objective, "pretrain", "full") for objective in ("clm", "mlm", "seq2seq")]
TUNED = [
    *(
        Cell(objective, "continued_pretrain", method, objective)
        for objective, method in product(("clm", "mlm", "seq2seq"), ("full", "lora", "adapter"))
    ),
    *(
        Cell("clm", "continued_pretrain", method, "clm", "new_tokens")
        for method in ("full", "lora")
    ),
    *(Cell(objective, "full_finetune", "full", objective) for objective in ("clm", "seq2seq")),
    *(
        Cell(objective, "lora", method, objective)
        for objective in ("clm", "seq2seq")
        for method in ADDED
    ),
    *(
        Cell("mlm", "lora", method, "mlm")
        for method in ADDED
        if method not in ("prompt", "p_tuning")
    ),
    *(
        Cell(objective, "full_finetune", method, "mlm")
        for objective, method in product(("classification", "extraction"), ("full", "frozen"))
    ),
    *(Cell("classification", "lora", method, "mlm") for method in ADDED),
    *(Cell("extraction", "lora", method, "mlm") for method in ("lora", "ia3", "adapter", "prefix")),
    *(Cell("classification", "lora", method, "clm") for method in ("lora", "adapter")),
]


def rows_of(cell: Cell) -> list[dict[str, Any]] | str:
    """Return the data of a cell: text, pairs, or what its head labels."""
    if cell.objective == "classification":
        return [
            {"text": f"{COLOURS[n % 4]} " * 3 + runs.WORDS[n % 9 + 7], "label": COLOURS[n % 4]}
            for n in range(120)
        ]
    if cell.objective == "extraction":
        return [
            {
                "tokens": ["the", COLOURS[n % 4], runs.WORDS[n % 9 + 7], "is", str(n)],
                "tags": ["O", "COLOUR", "THING", "O", "O"],
            }
            for n in range(120)
        ]
    if cell.more == "new_tokens":
        return runs.text().replace("The", "Wherever the").replace("is by", "was overtaken by")
    if cell.objective == "mlm" or "pretrain" in cell.approach:
        return runs.text()
    return runs.pairs()


def settings_of(cell: Cell, bases: Path) -> dict[str, Any]:
    """Return the settings of a cell: a few steps, at a rate that suits its method."""
    heads = {"classification": sorted(COLOURS), "extraction": sorted(TAGS)}
    joins = cell.objective in ("clm", "mlm") and cell.method not in PROMPTS
    return settings(
        objective=cell.objective,
        approach=cell.approach,
        method=cell.method,
        base_model=str(bases / cell.base / "model") if cell.base else None,
        shape=None if cell.base else SHAPE,
        labels=heads.get(cell.objective, []),
        packing=joins,
        seq_len=48 if cell.base else 64,  # a prefix takes some of the base's positions
        max_steps=20 if cell.base and cell.objective not in heads else 40,
        gradient_accumulation=1,
        micro_batch=8,
        learning_rate=HEAD_RATE if cell.objective in heads else RATES.get(cell.method, RATE),
        log_every_steps=4,
        save_every_steps=40,
        samples=1,
        **({"new_tokens": 8} if cell.more == "new_tokens" else {}),
        **ADDED.get(cell.method, {}),
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("matrix")


@pytest.fixture(scope="module")
def folders(place: Path) -> Folders:
    """Pretrain one model of each kind, then start all others from these; open all of it again."""
    found: Folders = {}
    for cells in (PRETRAINED, TUNED):
        made = {cell: folder_of(cell, place) for cell in cells}
        work("train", list(made.values()))
        found |= made
    work("open", list(found.values()))
    return found


def folder_of(cell: Cell, place: Path) -> Path:
    rows = rows_of(cell)
    data = place / f"{cell.name}.{'txt' if isinstance(rows, str) else 'jsonl'}"
    if isinstance(rows, str):
        data.write_text(rows)
    else:
        runs.write_rows(data, rows)
    folder = place / (cell.objective if cell in PRETRAINED else cell.name)
    return make_run(folder, data, settings_of(cell, place))


def work(what: str, folders: list[Path]) -> None:
    driver = Path(__file__).parent / "job_matrix.py"
    command = [sys.executable, str(driver), what, *map(str, folders)]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


@pytest.mark.parametrize("cell", [*PRETRAINED, *TUNED], ids=lambda cell: cell.name)
def test_a_cell_learns_and_its_artefact_says_the_same_in_a_fresh_process(
    folders: Folders, cell: Cell
) -> None:
    folder = folders[cell]
    assert (folder / "result.json").is_file(), (folder / SAID).read_text()
    losses = [line["loss"] for line in runs.metrics(folder) if "loss" in line]
    assert min(losses[1:]) < losses[0], json.dumps(losses)
    assert (folder / OPENED).is_file(), (folder / SAID).read_text()
    before, after = (load_file(folder / name)["logits"] for name in (SAVED, OPENED))
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


def test_a_trained_artefact_differs_from_the_base_it_started_from(folders: Folders) -> None:
    for cell, folder in folders.items():
        if cell in TUNED and cell.objective == cell.base:
            result = read(folder, "result.json")
            assert result["validation"]["loss"] != result["validation"]["loss_before"], cell.name
