"""CPU time of `recommend --json` against a script that imports click, yaml and pydantic.

Both are started in turn, so that a busy machine slows both alike; medians are compared.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

REFERENCE = """
import click, yaml, pydantic
class Model(pydantic.BaseModel):
    name: str
    size: int = 1
Model.model_validate({"name": "a"})
"""
ANSWERS = Path(__file__).parent.parent / "examples" / "contract_clauses" / "answers.yaml"
RECOMMEND = ["-m", "advisor", "recommend", "--answers", str(ANSWERS), "--json"]
ROUNDS = 15
LIMIT = 1.35


def main() -> None:
    """Print both medians and their ratio."""
    reference, recommend = [], []
    for _ in range(ROUNDS):
        reference.append(cpu_seconds(["-c", REFERENCE]))
        recommend.append(cpu_seconds(RECOMMEND))
    ratio = statistics.median(recommend) / statistics.median(reference)
    print(f"reference  {statistics.median(reference) * 1000:.0f} ms")
    print(f"recommend  {statistics.median(recommend) * 1000:.0f} ms")
    print(f"ratio      {ratio:.2f} (limit {LIMIT})")


def cpu_seconds(arguments: list[str]) -> float:
    """Return the CPU seconds of one Python process, its children's included."""
    before = os.times()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return (
        after.children_user + after.children_system - before.children_user - before.children_system
    )


if __name__ == "__main__":
    main()
