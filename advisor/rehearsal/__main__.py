"""Pretrains the rehearsal base anew with the job itself, in place of the shipped one."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from advisor.job.records import survey
from advisor.job.settings import Settings, Shape
from advisor.places import PACKAGE
from advisor.rehearsal.corpus import write_corpus

BASE = PACKAGE / "rehearsal" / "base"
MEGABYTES = 16
SEED = 20261121
KEPT = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
CARD = """---
license: apache-2.0
language: en
---
# Rehearsal base

A causal language model of {params:,} parameters, pretrained from random weights on {tokens:,}
tokens of generated English. It exists so that a run can be rehearsed whole on any machine: same
program, same files, same report. It knows nothing of the world and is of no other use.

- text: {megabytes} MB of sentences from a grammar (`advisor/rehearsal/corpus.py`, seed {seed})
- validation perplexity on held-out generated text: {perplexity:.1f}
- weights: safetensors, bfloat16; reproduced by `make rehearsal`
"""


def main() -> None:
    """Write the corpus, run the job on it, and keep its model in 16 bits."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        corpus = folder / "corpus.jsonl"
        write_corpus(corpus, megabytes=MEGABYTES, seed=SEED)
        shutil.copytree(PACKAGE / "job", folder / "job")
        (folder / "plan.json").write_text(json.dumps(_plan(corpus)), encoding="utf-8")
        subprocess.run([sys.executable, "-m", "job"], cwd=folder, check=True)
        _keep(folder)


def _plan(corpus: Path) -> dict[str, Any]:
    files = [
        {"path": one.path, "bytes": one.bytes, "records": one.records, "sha256": one.sha256}
        for one in survey([corpus]).files
    ]
    settings = Settings(
        approach="pretrain",
        method="full",
        shape=Shape(n_layers=8, hidden=192, n_heads=6, n_kv_heads=3, intermediate=512, vocab=4096),
        seq_len=256,
        micro_batch=16,
        gradient_accumulation=1,
        packing=True,
        epochs=1,
        learning_rate=3e-3,
        schedule="cosine",
        warmup_share=0.02,
        weight_decay=0.1,
        max_grad_norm=1.0,
        optimizer="adamw",
        validation_share=0.01,
        seed=SEED,
        log_every_steps=20,
        save_every_steps=400,
    )
    return {
        "schema": "advisor.plan/1",
        "run_id": "rehearsal-base",
        "settings": settings.to_dict(),
        "data": {"files": files},
        "predictions": {},
    }


def _keep(run: Path) -> None:
    """Put the model into the package: 16-bit weights, its tokenizer and a card."""
    import torch  # noqa: PLC0415 - only this target trains
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    weights = {
        name: tensor.to(torch.bfloat16)
        for name, tensor in load_file(run / "model" / "model.safetensors").items()
    }
    BASE.mkdir(exist_ok=True)
    save_file(weights, BASE / "model.safetensors", metadata={"format": "pt"})
    for name in KEPT:
        shutil.copy(run / "model" / name, BASE / name)
    config = json.loads((BASE / "config.json").read_bytes())
    (BASE / "config.json").write_text(
        json.dumps(config | {"dtype": "bfloat16"}, indent=2) + "\n", encoding="utf-8"
    )
    result = json.loads((run / "result.json").read_bytes())
    metrics = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    card = CARD.format(
        params=sum(tensor.numel() for tensor in weights.values()),
        tokens=json.loads(metrics[-1])["tokens"],
        megabytes=MEGABYTES,
        seed=SEED,
        perplexity=result["validation"]["perplexity"],
    )
    (BASE / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
