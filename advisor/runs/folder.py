"""The run folder: all that one run needs, written aside and then given its name."""

import json
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.places import PACKAGE
from advisor.planning import Plan
from advisor.planning.general import general_text
from advisor.planning.plan import GENERATED_TEXT
from advisor.recommendation import Recommendation
from advisor.units import GB, show_gb

RUNTIME = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "tokenizers",
    "safetensors",
    "numpy",
    "pyarrow",
    "scikit-learn",
    "sacrebleu",
    "rouge-score",
    "bitsandbytes",
)


def create_run_folder(folder: Path, plan: Plan, recommendation: Recommendation) -> None:
    """Write the run folder; it appears whole or not at all.

    Raises:
        AdvisorError: `folder_in_use` where it exists and is not empty, `will_not_fit` where the
            disk is too small, `disk` where it cannot be written.
    """
    _require_free(folder)
    _require_space(folder, plan)
    aside = folder.with_name(f".{folder.name}.{plan.run_id}.tmp")
    try:
        aside.mkdir(parents=True, mode=0o700)
        _fill(aside, plan, recommendation)
        if folder.is_dir():
            folder.rmdir()
        aside.rename(folder)
    except OSError as error:
        fault = Fault(path=str(folder), expected="a writable folder", found=error.strerror)
        raise AdvisorError(ErrorName.DISK, "the run folder cannot be written", [fault]) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def read_plan(folder: Path) -> Plan:
    """Return the plan of a run folder, or raise `run_unusable`."""
    try:
        return Plan.model_validate_json((folder / "plan.json").read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "plan.json is damaged"
        fault = Fault(path=str(folder), expected="a run folder", found=reason)
    raise AdvisorError(ErrorName.RUN_UNUSABLE, "this is no run folder", [fault])


def read_document(path: Path) -> dict[str, object] | None:
    """Return a JSON object of the run folder, or None where it is missing or damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _require_free(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        fault = Fault(
            path=str(folder),
            expected="a folder that is new or empty",
            found="it holds something",
            hint="give another with -o, or go on with: advisor resume",
        )
        raise AdvisorError(ErrorName.FOLDER_IN_USE, "the run folder is taken", [fault])


def _require_space(folder: Path, plan: Plan) -> None:
    parent = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(parent).free / GB
    needed = plan.disk_gb
    if plan.is_local and needed > free:
        fault = Fault(
            path=str(parent),
            expected=f"{show_gb(needed)} free",
            found=f"{show_gb(free)} free",
            hint="free some space, or give another folder with -o",
        )
        raise AdvisorError(ErrorName.WILL_NOT_FIT, "too little disk space", [fault])


def _fill(folder: Path, plan: Plan, recommendation: Recommendation) -> None:
    shutil.copytree(
        PACKAGE / "job", folder / "job", ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )
    _write(folder / "plan.json", plan.model_dump_json(indent=2))
    _write(folder / "recommendation.json", recommendation.model_dump_json(indent=2))
    # JSON is YAML: the same answers, in the form that both readers take.
    _write(folder / "answers.yaml", recommendation.answers.model_dump_json(indent=2))
    (folder / "data").mkdir()
    if any(file.path == GENERATED_TEXT for stage in plan.stages for file in stage.data.files):
        (folder / GENERATED_TEXT).write_bytes(general_text().content)
    _write(folder / "data" / "manifest.json", plan.data.model_dump_json(indent=2))
    _write(folder / "run.json", json.dumps(_created(plan), indent=2))
    _write(folder / "requirements.txt", "\n".join(_requirements()))
    _write(folder / "accelerate.yaml", _accelerate(plan))
    _write(folder / "README.md", _readme(plan))


def _write(path: Path, text: str) -> None:
    path.write_text(f"{text}\n", encoding="utf-8")


def _created(plan: Plan) -> dict[str, object]:
    return {
        "schema": "advisor.run/1",
        "run_id": plan.run_id,
        "state": "created",
        "step": 0,
        "max_steps": plan.stages[0].steps,
    }


def _requirements() -> list[str]:
    pinned = []
    for name in RUNTIME:
        try:
            pinned.append(f"{name}=={version(name).partition('+')[0]}")
        except PackageNotFoundError:
            continue
    return pinned


def _accelerate(plan: Plan) -> str:
    several = plan.gpus > 1
    lines = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "MULTI_GPU" if several else "'NO'",
        "num_machines": 1,
        "num_processes": plan.gpus,
        "mixed_precision": "'no'",
    }
    return "\n".join(f"{key}: {value}" for key, value in lines.items())


def _readme(plan: Plan) -> str:
    start = "python -m job"
    if plan.gpus > 1:
        start = "accelerate launch --config_file accelerate.yaml -m job"
    return f"""# Run {plan.run_id}

{_told(plan)}

- start: `{start}`, in this folder, with what `requirements.txt` names installed
- go on after a stop: `{start} --resume`, or `advisor resume` with this folder
- several processes on one machine's CPUs: `torchrun --standalone --nproc-per-node 2 -m job`
- ask the model: `advisor try` with this folder and a prompt
- move: copy the folder, and the data and base model that `plan.json` names, to the same paths

`plan.json` holds every setting with its source and what was predicted; `recommendation.json` says
why; `result.json` comes at the end, with what was measured beside it."""


def _told(plan: Plan) -> str:
    """Return what the run does, stage by stage."""
    where = f"on {plan.gpus} × {plan.gpu}"
    if plan.approach == "no_training":
        return f"{plan.base_model} is measured {where}, with and without examples: no training."
    if not plan.earlier:
        base = plan.base_model or "a model of its own"
        return f"{plan.approach} ({plan.method}) of {base} {where}, {plan.steps} steps."
    lines = [
        f"{number}. {stage.approach} ({stage.method}) of"
        f" {stage.settings['base_model'] or 'a model of its own'}, {stage.steps} steps"
        for number, stage in enumerate(plan.stages, start=1)
    ]
    head = f"{len(lines)} stages {where}; each starts from the model of the one before,"
    return "\n".join([f"{head} `stages/` holds all but the last:", "", *lines])
