"""The validation loss of each example's default plan, against a sweep over its learning rate.

Five whole runs an example, on the embedded base where the plan wants one: a quarter, a half, once,
twice and four times the planned rate; everything else is as planned. An example whose advice is not
to train has no rate.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"
ADVISOR = str(Path(sys.executable).with_name("advisor"))
FACTORS = (1.0, 0.25, 0.5, 2.0, 4.0)
LIMIT = 1.02


def main() -> None:
    """Print each example's losses, and the default's over the best of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("examples", nargs="*", default=["contract_clauses", "clinical_notes"])
    parser.add_argument("--seed", default="0")
    chosen = parser.parse_args()
    for name in chosen.examples:
        with tempfile.TemporaryDirectory() as scratch:
            sweep(EXAMPLES / name, Path(scratch), chosen.seed)


def sweep(example: Path, scratch: Path, seed: str) -> None:
    """Run one example at each rate and print what came out."""
    losses: dict[float, float] = {}
    rate = 0.0
    for factor in FACTORS:
        folder = scratch / f"{factor:g}"
        more = ("--learning-rate", f"{rate * factor:.6g}") if losses else ()
        losses[factor] = launched(example, folder, ("--seed", seed, *more))
        rate = rate or planned_rate(folder)
        print(f"{example.name}: rate {rate * factor:.3g}: {losses[factor]:.4f}", flush=True)
    best = min(losses.values())
    ratio = losses[1.0] / best
    met = "met" if ratio <= LIMIT else "MISSED"
    print(f"{example.name}: default / best {ratio:.4f} (at most {LIMIT:g}: {met})", flush=True)


def launched(example: Path, folder: Path, more: tuple[str, ...]) -> float:
    """Run the example's plan to its end and return its validation loss in nats per token."""
    answers = json.loads((example / "recommendation.json").read_bytes())
    trains_base = answers["recommended"]["base_model"] is not None
    data = next(path for path in example.iterdir() if path.stem == "data")
    command = [
        *(ADVISOR, "launch", "--yes", "--answers", str(example / "answers.yaml")),
        *("--data", str(data), "-o", str(folder), *more),
        *(("--base-model", "rehearsal") if trains_base else ("--gpu", "local")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(json.loads((folder / "result.json").read_bytes())["validation"]["loss"])


def planned_rate(folder: Path) -> float:
    """Return the learning rate of the plan in a run folder."""
    return float(json.loads((folder / "plan.json").read_bytes())["settings"]["learning_rate"])


if __name__ == "__main__":
    main()
