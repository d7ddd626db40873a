"""Starts the job of this run folder: `python -m job`, or `python -m job --resume`."""

import argparse
import gc
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import checkpoints
from .faults import DataError, Fault, JobError, Stopped, explained, shown
from .files import MAIN_PROCESS, free_space, private, say, tell
from .models.bases import checked_base
from .plan import Plan
from .reading.corpus import Corpus
from .records import file_sha256
from .settings import Settings
from .signals import Stop, die_with_parent
from .state import Lock, RunState, read_run


def main() -> int:
    """Run the job in the current folder; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m job", description=__doc__)
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    resume = parser.parse_args().resume
    folder = Path.cwd()
    die_with_parent()
    stop = Stop()
    stop.listen()
    try:
        lock = Lock(folder) if MAIN_PROCESS else None
    except (JobError, OSError) as error:
        return _told(_known(error, folder))
    code = _owned(folder, stop, resume=resume)
    if lock:
        lock.release()
    return code


def _owned(folder: Path, stop: Stop, *, resume: bool) -> int:
    """Do the job of a folder that is ours, unless it is done or holds another run."""
    try:
        earlier = read_run(folder)
        if earlier.get("state") == "done" and resume:
            say("this run is done")
            return 0
        if MAIN_PROCESS:
            for place in _places(folder):
                checkpoints.clean(place)
        if not resume:
            _refuse_restart(folder, earlier)
        elif not _has_checkpoint(folder):
            say("no checkpoint yet: starting from the beginning")
            resume = False
        state = RunState.begin(folder, writes=MAIN_PROCESS, earlier=earlier)
    except (JobError, OSError) as error:
        return _told(_known(error, folder))
    stop.at_once = lambda: state.write("interrupted", exit_code=130)
    return _guarded(folder, state, stop, resume=resume)


def _refuse_restart(folder: Path, earlier: dict[str, object]) -> None:
    if earlier.get("state") == "done" or _has_checkpoint(folder):
        hint = "go on with it: python -m job --resume, or make a new run folder"
        what = "this folder already holds a run"
        raise JobError("run_unusable", what, where=str(folder), hint=hint)


def _places(folder: Path) -> list[Path]:
    """Return where the run and its stages keep their checkpoints."""
    return [folder / "checkpoints", *folder.glob("stages/*/checkpoints")]


def _has_checkpoint(folder: Path) -> bool:
    return any(map(checkpoints.exist, _places(folder)))


def _guarded(folder: Path, state: RunState, stop: Stop, *, resume: bool) -> int:
    """Do the job; say in one line and in run.json how it ended."""
    try:
        _work(folder, state, stop, resume=resume)
    except Stopped as stopped:
        state.write("interrupted", exit_code=stopped.exit_code)
        again = f"python -m job{' --resume' if _has_checkpoint(folder) else ''}"
        say(f"stopped at step {state.step}; go on with: {again}")
        return stopped.exit_code
    except Exception as error:  # noqa: BLE001 - each end of a job is told in one line
        told = _known(error, folder, state)
        _try_write(state, told)
        return _told(told)
    state.write("done", exit_code=0)
    return 0


def _work(folder: Path, state: RunState, stop: Stop, *, resume: bool) -> None:
    """Do each stage that is not done yet; all data is checked before anything heavy is loaded."""
    plan = Plan.read(folder)
    state.run_id = plan.run_id
    state.smaller = _smaller(plan.last.settings)
    state.enter("loading")
    _environment(plan)
    verify_data(plan)
    first = plan.stages[0].settings.base_model
    if first:
        checked_base(first)
    corpora = [Corpus.check(stage, stop) for stage in plan.stages]
    stop.check()
    with _importing():
        from .program import Job, run  # noqa: PLC0415 - after the environment and the data

    for number, (stage, corpus) in enumerate(zip(plan.stages, corpora, strict=True), start=1):
        last = number == len(plan.stages)
        place = folder if last else folder / "stages" / str(number)
        if not last and (place / "result.json").is_file():
            continue
        place.mkdir(parents=True, exist_ok=True)
        state.stage = f"{number}/{len(plan.stages)}"
        state.folder = str(place.relative_to(folder))
        base = stage.settings.base_model
        run(
            Job(
                folder=place,
                plan=plan,
                stage=stage,
                corpus=corpus,
                state=state,
                stop=stop,
                base=checked_base(base) if base else None,
                resume=resume and checkpoints.exist(place / "checkpoints"),
            )
        )


@contextmanager
def _importing() -> Iterator[None]:
    """Import the frameworks in two thirds of the time: no garbage is looked for meanwhile.

    `datasets` is an extra of the stock Trainer that the job has no use for; where it is installed
    it would come with pandas.
    """
    gc.disable()
    sys.modules.setdefault("datasets", None)  # type: ignore[arg-type] - importing it fails then
    yield
    gc.freeze()
    gc.enable()


def verify_data(plan: Plan) -> None:
    """Raise JobError unless every input is byte for byte the one that the plan was made for."""
    files = [file for stage in plan.stages for file in stage.files]
    missing = [
        Fault(path=file.path, reason="no such file", hint="put it back, or plan again")
        for file in files
        if not Path(file.path).is_file()
    ]
    if missing:
        raise DataError(missing)
    changed = [file.path for file in files if file_sha256(file.path) != file.sha256]
    if changed:
        what = "the plan no longer matches: the data changed"
        where = ", ".join(map(shown, changed))
        raise JobError("plan_stale", what, where=where, hint="restore the data, or plan again")


def _environment(plan: Plan) -> None:
    """Set what the libraries read when they are imported: offline, quiet, one GPU a process."""
    if os.environ.get("ADVISOR_ALLOW_DOWNLOAD") != "1":
        os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    os.environ |= {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "true",
        "KINETO_LOG_LEVEL": "99",
    }
    # Threads that wait without spinning: beside other work on the same cores spinning ones slow a
    # run more than tenfold, and on idle cores they gain nothing that could be measured.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if threads := plan.last.settings.threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    if "WORLD_SIZE" not in os.environ:
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[
            0
        ]


def _smaller(settings: Settings) -> str:
    """Return a setting that needs less memory and trains the same."""
    batch, times = settings.micro_batch, settings.gradient_accumulation
    if batch > 1 and batch % 2 == 0:
        return f"plan with micro_batch {batch // 2}, gradient_accumulation {times * 2}: same result"
    return f"plan with seq_len {settings.seq_len // 2}, or a smaller model"


def _known(error: Exception, folder: Path, state: RunState | None = None) -> JobError:
    """Return what to tell the user of `error`; a bug leaves its traceback in crash.txt."""
    smaller = state.smaller if state else ""
    if known := explained(error, smaller=smaller, free=free_space(folder)):
        return known
    last = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}"
    report = folder / "crash.txt"
    try:
        with private(report) as file:
            file.writelines(traceback.format_exception(error))
    except OSError:
        return JobError("bug", what, hint="please report it")
    return JobError("bug", what, where=str(report), hint="please report it with this file")


def _try_write(state: RunState, told: JobError) -> None:
    error = {"code": told.name, "message": told.what, "hint": told.hint}
    try:
        state.write("failed", exit_code=told.exit_code, error=error)
    except OSError as problem:
        say(f"run.json could not be written: {problem.strerror}")


def _told(error: JobError) -> int:
    for line in error.lines():
        tell(line)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
