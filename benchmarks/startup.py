"""CPU time of `recommend --json` against a script that imports click, yaml and pydantic.

Both are started in turn, so that a busy machine slows both alike; medians are compared.
"""

import resource
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
RECOMMEND = [
    str(Path(sys.executable).with_name("advisor")),
    "recommend",
    "--answers",
    str(ANSWERS),
    "--json",
]
ROUNDS = 15
LIMIT = 1.35


def main() -> None:
    """Print both medians and their ratio."""
    reference, recommend = [], []
    for _ in range(ROUNDS):
        reference.append(cpu_seconds([sys.executable, "-c", REFERENCE]))
        recommend.append(cpu_seconds(RECOMMEND))
    ratio = statistics.median(recommend) / statistics.median(reference)
    print(f"reference  {statistics.median(reference) * 1000:.0f} ms")
    print(f"recommend  {statistics.median(recommend) * 1000:.0f} ms")
    print(f"ratio      {ratio:.2f} (limit {LIMIT})")


def cpu_seconds(command: list[str]) -> float:
    """Return the CPU seconds of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
