"""Small real runs on this machine against what a calibrated estimate says of them.

Each run goes the product's own way: `advisor plan` writes the run folder with its predictions,
`advisor launch` runs it. The machine is calibrated anew after every three runs, as it drifts. At
the end a Markdown table is printed: steady steps, the whole run, peak resident memory.
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
ADVISOR = str(Path(sys.executable).with_name("advisor"))
TEXT, PAIRS = "text.txt", "pairs.jsonl"
RUNS_A_CALIBRATION = 3
# Bases with random weights, beside the embedded one of 4 million parameters.
BASES = {
    "10m": (8, 256, 8, 4, 768, 8192),
    "25m": (10, 384, 6, 2, 1024, 8192),
}
MAKE_BASE = """
import sys
from pathlib import Path
from advisor.job.models.scratch import from_scratch
from advisor.job.models.tokenizing import train_tokenizer
from advisor.job.settings import Shape
folder, text, *sizes = sys.argv[1:]
names = ("n_layers", "hidden", "n_heads", "n_kv_heads", "intermediate", "vocab")
shape = Shape(**dict(zip(names, map(int, sizes))))
tokenizer = train_tokenizer([Path(text).read_text()], shape.vocab)
model = from_scratch(shape, tokenizer, seq_len=1024)
model.save_pretrained(folder)
tokenizer.save_pretrained(folder)
"""


class Case(NamedTuple):
    """One run: how it trains which base on rows of how many tokens, for how many steps."""

    approach: str
    method: str
    base: str | None
    seq_len: int
    micro_batch: int
    steps: int

    @property
    def name(self) -> str:
        """Return the run in words."""
        return f"{self.approach.replace('_', ' ')} ({self.method}) {self.base or '1m'}"


CASES = (
    Case("pretrain", "full", None, 256, 8, 40),
    Case("lora", "lora", "rehearsal", 256, 8, 60),
    Case("full_finetune", "full", "10m", 128, 8, 40),
    Case("lora", "lora", "25m", 128, 8, 12),
    Case("full_finetune", "full", "rehearsal", 256, 4, 60),
    Case("lora", "lora", "10m", 256, 4, 40),
    Case("pretrain", "full", None, 128, 8, 40),
    Case("full_finetune", "full", "25m", 256, 8, 5),
    Case("continued_pretrain", "full", "10m", 256, 8, 15),
)


class Outcome(NamedTuple):
    """Predicted (low, mid, high) and measured: seconds a step, seconds in all, GB."""

    case: Case
    step: tuple[dict[str, float], float]
    whole: tuple[dict[str, float], float]
    memory: tuple[dict[str, float], float]


def main() -> None:
    """Calibrate, plan, run and compare; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=len(CASES), help="only the first so many")
    parser.add_argument("--keep", type=Path, help="keep the run folders here")
    wanted = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="advisor-local-") as scratch:
        folder = wanted.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        outcomes = list(compared(folder, CASES[: wanted.cases]))
    print("\n".join(table(outcomes)))
    print(f"\n{len(outcomes)} runs in {(time.monotonic() - began) / 60:.1f} min")


def write_data(folder: Path) -> None:
    """Write a text and pairs of made-up words, enough for the largest vocabulary."""
    chance = random.Random(1)  # noqa: S311 - no secret
    words = ["".join(chance.choices("aeioklmnprstuv", k=chance.randint(2, 9))) for _ in range(9000)]
    rarity = [1 / rank for rank in range(1, len(words) + 1)]

    def said(count: int) -> str:
        return " ".join(chance.choices(words, rarity, k=count))

    (folder / TEXT).write_text("\n\n".join(said(200) for _ in range(800)))
    # Short pairs fill their rows: the plan takes every row of a batch to be as long as it may.
    rows = ({"prompt": said(4), "completion": said(4)} for _ in range(8000))
    (folder / PAIRS).write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def compared(folder: Path, cases: tuple[Case, ...]) -> Iterator[Outcome]:
    """Yield each case, run and compared."""
    os.environ["ADVISOR_STATE_DIR"] = str(folder / "state")
    write_data(folder)
    for name, sizes in BASES.items():
        arguments = [str(folder / name), str(folder / TEXT), *map(str, sizes)]
        command = [sys.executable, "-c", MAKE_BASE, *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    for number, case in enumerate(cases):
        if number % RUNS_A_CALIBRATION == 0:
            advisor("calibrate", "--json")
        outcome = run(case, folder)
        print(" · ".join(line_of(outcome)), file=sys.stderr, flush=True)
        yield outcome


def run(case: Case, folder: Path) -> Outcome:
    """Plan and launch one case."""
    target = folder / f"{case.approach}-{case.base}-{case.seq_len}"
    text = case.approach in {"pretrain", "continued_pretrain"}
    base = str(folder / case.base) if case.base in BASES else case.base
    planned = advisor(
        *("plan", "--gpu", "local", "--domain", "legal", "--json", "-o", str(target)),
        *("--data", str(folder / (TEXT if text else PAIRS))),
        *("--approach", case.approach, "--method", case.method),
        *(("--base-model", base) if base else ()),
        *("--seq-len", str(case.seq_len), "--micro-batch", str(case.micro_batch)),
        *("--max-steps", str(case.steps)),
    )
    if planned["estimate"]["basis"] != "calibrated":
        raise SystemExit("the estimate does not rest on the calibration")
    advisor("launch", str(target), "--yes", "--json")
    result = json.loads((target / "result.json").read_text())
    predicted, measured = result["predicted"], result["measured"]
    tokens = result["tokens"] / result["steps"]
    speed = predicted["tokens_per_second_per_gpu"]
    step = {
        "low": tokens / speed["high"],
        "mid": tokens / speed["mid"],
        "high": tokens / speed["low"],
    }
    whole = {name: hours * 3600 for name, hours in predicted["wall_hours"].items()}
    return Outcome(
        case=case,
        step=(step, tokens / measured["tokens_per_second_per_gpu"]),
        whole=(whole, measured["wall_hours"] * 3600),
        memory=(predicted["memory_gb_per_gpu"], measured["memory_gb_per_gpu"]),
    )


def advisor(*arguments: str) -> dict[str, Any]:
    """Run a command that prints JSON; its narration is kept to itself unless it fails."""
    done = subprocess.run([ADVISOR, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"advisor {' '.join(arguments)}\n{done.stderr}")
    return dict(json.loads(done.stdout))


def table(outcomes: list[Outcome]) -> Iterator[str]:
    """Yield the Markdown table and what it comes to."""
    yield "| run | row | step: predicted, measured, ratio | whole run | peak resident memory |"
    yield "| --- | --- | --- | --- | --- |"
    for outcome in outcomes:
        yield f"| {' | '.join(line_of(outcome))} |"
    yield ""
    yield "| quantity | median error | worst | inside the 80 % interval |"
    yield "| --- | --- | --- | --- |"
    pairs: dict[str, Callable[[Outcome], tuple[dict[str, float], float]]] = {
        "seconds a step": lambda one: one.step,
        "seconds of the whole run": lambda one: one.whole,
        "peak resident memory": lambda one: one.memory,
    }
    for name, pair_of in pairs.items():
        found = [pair_of(one) for one in outcomes]
        errors = [abs(predicted["mid"] / measured - 1) for predicted, measured in found]
        inside = sum(each["low"] <= measured <= each["high"] for each, measured in found)
        median, worst = statistics.median(errors), max(errors)
        yield f"| {name} | {median:.0%} | {worst:.0%} | {inside} of {len(found)} |"


def line_of(outcome: Outcome) -> tuple[str, ...]:
    """Return the cells of one run."""
    return (
        outcome.case.name,
        f"{outcome.case.seq_len} × {outcome.case.micro_batch}",
        _pair(*outcome.step, unit="s"),
        _pair(*outcome.whole, unit="s"),
        _pair(*outcome.memory, unit="GB"),
    )


def _pair(predicted: dict[str, float], measured: float, *, unit: str) -> str:
    mark = "" if predicted["low"] <= measured <= predicted["high"] else " (outside)"
    digits = max(0, 2 - math.floor(math.log10(measured)))
    told = f"{predicted['mid']:.{digits}f} {unit}, {measured:.{digits}f} {unit}"
    return f"{told}, {predicted['mid'] / measured:.2f}{mark}"


if __name__ == "__main__":
    main()
