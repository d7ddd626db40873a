"""Rows per second of `advisor estimate --batch`, against calling `estimate` row by row.

The rows are drawn: five models, tuned whole or with adapters, on named hardware or none, with and
without settings of their own.
"""

import json
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

from advisor import estimate

ROWS = 10_000
SAMPLE = 300
MODELS = (
    "Qwen/Qwen3-0.6B-Base",
    "Qwen/Qwen3-8B-Base",
    "mistralai/Mistral-7B-v0.3",
    "meta-llama/Llama-3.1-8B",
    "meta-llama/Llama-3.1-70B",
)
GPUS = ("rtx-4090", "l40s", "a100-sxm4-80gb", "h100-sxm5-80gb")
COMMAND = [str(Path(sys.executable).with_name("advisor")), "estimate", "--batch", "-"]


def main() -> None:
    """Print rows per second of both, and their ratio."""
    draw = random.Random(1)  # noqa: S311 - a sample, no secret
    rows = [drawn(draw) for _ in range(ROWS)]
    before, clock = children(), time.perf_counter()
    text = "\n".join(map(json.dumps, rows))
    subprocess.run(COMMAND, input=text, text=True, check=True, stdout=subprocess.DEVNULL)
    wall, cpu = time.perf_counter() - clock, children() - before
    print(f"batch      {ROWS / cpu:,.0f} rows per second of CPU, {ROWS / wall:,.0f} of wall time")
    clock = time.process_time()
    for row in rows[:SAMPLE]:
        estimate(row).model_dump_json()
    alone = (time.process_time() - clock) / SAMPLE
    print(f"one by one {1 / alone:,.0f} rows per second of CPU, on {SAMPLE} of them")
    print(f"ratio      {ROWS / cpu * alone:.1f}")


def drawn(draw: random.Random) -> dict[str, object]:
    """Return one request."""
    row: dict[str, object] = {"model": draw.choice(MODELS), "tokens": draw.randrange(10**6, 10**9)}
    row["approach"] = draw.choice(["lora", "full_finetune"])
    if draw.random() < 0.8:
        row |= {"gpu": draw.choice(GPUS), "gpus": draw.choice([1, 2, 4, 8])}
    if draw.random() < 0.5:
        row["seq_len"] = draw.choice([512, 1024, 2048, 4096])
    if draw.random() < 0.3:
        row["micro_batch"] = draw.choice([1, 2, 4, 8])
    if row["approach"] == "lora" and draw.random() < 0.5:
        row |= {"method": draw.choice(["lora", "qlora"]), "lora_rank": draw.choice([8, 16, 64])}
    if draw.random() < 0.2:
        row["calls_per_day"] = draw.choice([1_000, 100_000])
    return row


def children() -> float:
    """Return the CPU seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
