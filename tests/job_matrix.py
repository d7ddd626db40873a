"""Trains many run folders, each in a child of one process that has the libraries loaded already.

Usage: python job_matrix.py train|open RUN_FOLDER…

`train` runs the job of each folder and keeps what its model said to fixed tokens just before it was
saved. `open` is for a fresh process: it loads what each run left with stock tools and keeps what
that says. Both leave safetensors files in the folder, for the test to compare.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from advisor.job import __main__ as entry
from advisor.job import program

SAVED, OPENED, SAID = "before.safetensors", "after.safetensors", "said.txt"


def main() -> None:
    """Do one of both for each folder; a folder that fails leaves no file and tells why."""
    work = {"train": train, "open": open_again}[sys.argv[1]]
    for folder in map(Path, sys.argv[2:]):
        in_child(folder, work)


def in_child(folder: Path, work: Callable[[Path], int]) -> None:
    """Do the work in a child process, its stderr kept in the folder."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.chdir(folder)
    said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 2)
    code = 1
    try:
        code = work(folder)
    finally:
        if code:
            os.write(2, repr(sys.exc_info()).encode())
        os._exit(code)


def train(folder: Path) -> int:
    """Run the job as `python -m job` does."""
    export = program.export

    def listening(task: Any, *arguments: Any, **options: Any) -> None:
        save_file({"logits": logits_of(task.model)}, SAVED)
        export(task, *arguments, **options)

    program.export = listening
    sys.argv = [str(folder)]
    return entry.main()


def open_again(_folder: Path) -> int:
    """Load what the run left: with stock transformers and peft; bottleneck adapters with ours."""
    settings = json.loads(Path("plan.json").read_text())["settings"]
    save_file({"logits": logits_of(opened(settings))}, OPENED)
    return 0


def opened(settings: dict[str, Any]) -> Any:
    """Return the model that a run left."""
    if settings["method"] == "adapter":
        from advisor.job.models.loading import load_trained

        return load_trained(Path.cwd())[1]
    import peft
    import transformers

    kind = {
        "clm": "CausalLM",
        "mlm": "MaskedLM",
        "seq2seq": "Seq2SeqLM",
        "classification": "SequenceClassification",
        "extraction": "TokenClassification",
    }[settings["objective"]]
    stock = getattr(transformers, f"AutoModelFor{kind}")
    if Path("model").is_dir():
        return stock.from_pretrained("model", use_safetensors=True, dtype=torch.float32)
    if settings.get("new_tokens"):
        return peft.AutoPeftModelForCausalLM.from_pretrained("adapter")
    labels = {"num_labels": len(settings["labels"])} if settings["labels"] else {}
    base = stock.from_pretrained(settings["base_model"], dtype=torch.float32, **labels)
    if base.config.pad_token_id is None:
        base.config.pad_token_id = 0
    return peft.PeftModel.from_pretrained(base, "adapter")


@torch.no_grad()
def logits_of(model: Any) -> torch.Tensor:
    """Return what the model makes of two rows of fixed tokens."""
    model.eval()
    ids = torch.arange(20, 44).view(2, 12)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.arange(30, 42).view(2, 6)
    return model(**inputs).logits.float().contiguous()


if __name__ == "__main__":
    main()
