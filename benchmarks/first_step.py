"""Time from `advisor launch --yes` to the first optimizer step, against a minimal script.

The script imports the same libraries, loads the same base with the same LoRA, reads the same data
and makes one step of the same batch; it plans, checks and writes nothing. Both are started in
turn, so that a busy machine slows both alike; the interval is a bootstrap over the pairs.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ratios import told

from advisor.planning.bases import REHEARSAL_BASE

EXAMPLE = Path(__file__).parent.parent / "examples" / "contract_clauses"
DATA = EXAMPLE / "data.jsonl"
ROUNDS = 9
LIMIT = 1.25
SCRIPT = f"""
import json, sys
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer
tokenizer = AutoTokenizer.from_pretrained({str(REHEARSAL_BASE)!r})
model = AutoModelForCausalLM.from_pretrained({str(REHEARSAL_BASE)!r}, dtype=torch.float32)
model = get_peft_model(model, LoraConfig(
    task_type="CAUSAL_LM", r=16, lora_alpha=32, lora_dropout=0.05, target_modules="all-linear"))
rows = [json.loads(line) for line in open({str(DATA)!r})]
texts = [f"### user\\n{{row['prompt']}}\\n\\n### assistant\\n{{row['completion']}}" for row in rows]
ids = tokenizer(texts, truncation=True, max_length=256)["input_ids"]
packed, block = [], []
for one in ids:
    if len(block) + len(one) > 256:
        packed.append(block)
        block = []
    block = block + one
batch = torch.tensor([(block + [0] * 256)[:256] for block in packed[:8]])
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
model(input_ids=batch, labels=batch).loss.backward()
optimizer.step()
print("step", flush=True)
sys.exit()
"""


def main() -> None:
    """Print both medians, and their ratio with its interval."""
    pairs = [(launched(), minimal()) for _ in range(ROUNDS)]
    print(told("launch / script", pairs, limit=LIMIT, unit="s"))


def minimal() -> float:
    """Return the seconds until the script has made its step."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE) as process:
        if process.stdout is None or process.stdout.readline() != b"step\n":
            raise SystemExit("the script failed")
        return time.perf_counter() - began


def launched() -> float:
    """Return the seconds until the first step of a launched run is logged; then stop the run."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        command = [
            *(str(Path(sys.executable).with_name("advisor")), "launch", "--yes"),
            *("--answers", str(EXAMPLE / "answers.yaml"), "--data", str(DATA)),
            *("--base-model", "rehearsal", "-o", str(folder)),
        ]
        began = time.perf_counter()
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            seconds = _first_step(folder / "metrics.jsonl", process) - began
            process.terminate()
    return seconds


def _first_step(metrics: Path, process: subprocess.Popen[bytes]) -> float:
    while process.poll() is None:
        if metrics.is_file() and '"step": 1,' in metrics.read_text(encoding="utf-8"):
            return time.perf_counter()
        time.sleep(0.005)
    raise SystemExit("the launch failed")


if __name__ == "__main__":
    main()
