"""How long a recommendation takes, flips included, and a batch of a thousand.

The time of one recommendation inside the process is compared with that of one without trying
other answers, on the example projects and the case base; a batch is timed as a command.
"""

import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

import yaml

from advisor.catalog import load_catalog
from advisor.recommendation import recommend
from advisor.tables import RuleBook

CATALOG, RULES = load_catalog(), RuleBook()
ROOT = Path(__file__).parent.parent
BATCH = 1000
ONE_LIMIT_MS = 100
BATCH_LIMIT_S = 30


def main() -> None:
    """Print both figures beside their limits."""
    examples = [
        yaml.safe_load(path.read_text()) for path in sorted(ROOT.glob("examples/*/answers.yaml"))
    ]
    lines = (ROOT / "rules" / "cases" / "projects.jsonl").read_text().splitlines()
    answers = [*examples, *(json.loads(line)["answers"] for line in lines)]
    explored = [milliseconds(one, explore=True) for one in answers]
    plain = [milliseconds(one, explore=False) for one in answers]
    ratio = statistics.median(explored) / statistics.median(plain)
    print(f"one recommendation   median {statistics.median(explored):.0f} ms of CPU,")
    print(f"                     slowest {max(explored):.0f} ms (limit {ONE_LIMIT_MS})")
    print(f"  against none tried {ratio:.1f} times")
    print(f"batch of {BATCH}        {batch_seconds(answers):.1f} s (limit {BATCH_LIMIT_S})")


def milliseconds(answers: dict[str, object], *, explore: bool) -> float:
    """Return the CPU time of one recommendation, the tables already read."""
    recommend(answers, catalog=CATALOG, rules=RULES, explore=False)
    before = time.process_time()
    recommend(answers, catalog=CATALOG, rules=RULES, explore=explore)
    return (time.process_time() - before) * 1000


def batch_seconds(answers: list[dict[str, object]]) -> float:
    """Return the seconds of `advisor recommend --batch` on a thousand sets of answers."""
    drawn = random.Random(1).choices(answers, k=BATCH)  # noqa: S311 - a sample, no secret
    before = time.perf_counter()
    subprocess.run(
        [str(Path(sys.executable).with_name("advisor")), "recommend", "--batch", "-"],
        input="\n".join(json.dumps(one) for one in drawn),
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
