"""One stage of a run from plan to result: load, lay out, train, measure, export."""

import logging
import os
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import set_seed

from . import checkpoints
from .batches.collating import Collator
from .batches.packing import keeps_examples_apart
from .batches.rows import lay_out
from .checkpoints import Identity
from .files import say
from .measuring.comparing import compare
from .models.assembling import assemble
from .models.hardware import hardware_for
from .outcome.outcome import Outcome
from .outcome.results import export, export_merged, write_card, write_result
from .outcome.verdict import verdict_of
from .plan import Plan, Stage
from .reading.corpus import Corpus
from .signals import Stop
from .state import RunState
from .training.accounts import write_profile
from .training.ladder import OutOfRoom, start_again
from .training.loop import Loop, Task
from .training.memory_limit import limit_memory
from .training.session import train


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One stage, and what is known of it before anything heavy is loaded.

    `folder` is where the stage leaves what it makes: the run folder itself for the last one.
    """

    folder: Path
    plan: Plan
    stage: Stage
    corpus: Corpus
    state: RunState
    stop: Stop
    base: Path | None
    resume: bool


def run(job: Job) -> None:
    """Do the whole stage; raise JobError or Stopped where it ends early."""
    _quiet()
    settings = job.stage.settings
    if settings.threads:
        torch.set_num_threads(settings.threads)
    task = _task(job)
    if not settings.trains:
        _finish(job, task)
        return
    try:
        loop = train(task)
    except OutOfRoom:
        start_again()
    job.state.enter("saving")
    if loop.is_world_process_zero():
        export(loop.task)  # before measuring: nothing is lost where that fails
    loop.accelerator.wait_for_everyone()
    loop.let_go()
    _finish(job, loop.task, loop)
    loop.accelerator.wait_for_everyone()


def _task(job: Job) -> Task:
    """Load the model and lay out the data."""
    settings, corpus = job.stage.settings, job.corpus
    hardware = hardware_for(settings)
    limit_memory(settings, hardware.device)
    identity = _identity(job)
    resume = checkpoints.newest(job.folder / "checkpoints", identity) if job.resume else None
    if resume:
        say(f"going on from {resume.path.name}")
    set_seed(settings.seed)
    tokenizer, model = assemble(
        settings,
        base=job.base,
        earlier=resume.path if resume else None,
        texts=lambda: (part for one in corpus.part(held=False) for part in one.content[1:]),
        hardware=hardware,
    )
    job.stop.check()
    job.state.enter("tokenising")
    joins = settings.objective == "mlm" or keeps_examples_apart(model, len(tokenizer))
    packing = settings.packing and joins
    if packing != settings.packing:
        say("this model does not keep packed examples apart: rows are padded instead")
    rows, validation = lay_out(corpus, tokenizer, folder=job.folder, packing=packing)
    return Task(
        folder=job.folder,
        settings=settings,
        hardware=hardware,
        identity=identity,
        state=job.state,
        stop=job.stop,
        model=model,
        tokenizer=tokenizer,
        train=rows,
        validation=validation,
        collate=Collator(settings.objective, tokenizer.pad_token_id),
        resume=resume,
    )


def _finish(job: Job, task: Task, loop: Loop | None = None) -> None:
    """Measure the trained model beside its base, and write what is known at the end."""
    state = job.state
    trained = state.spent
    state.enter("evaluating")
    found = compare(task, job.corpus, base=job.base, autocast=task.hardware.autocast)
    if not state.writes:
        return
    if task.settings.merge and task.settings.adds:
        export_merged(task)
    outcome = Outcome(
        folder=job.folder,
        plan=job.plan,
        stage=job.stage,
        exam=found.exam,
        tuned=found.tuned,
        base=found.base,
        prompted=found.prompted,
        paired=found.paired,
        hours=trained / 3600,
        measuring_hours=(state.spent - trained) / 3600,
        device=task.hardware.device,
        skipped=job.corpus.skipped,
        **(_accounts(loop) if loop else {}),
    )
    write_card(outcome, job.base)
    write_result(outcome)
    say(verdict_of(outcome))


def _accounts(loop: Loop) -> dict[str, Any]:
    """Return what only a training has."""
    return {
        "progress": loop.progress,
        "devices": loop.args.world_size,
        "ladder": loop.ladder.rungs,
        "profile": write_profile(loop),
    }


def _identity(job: Job) -> Identity:
    return Identity(
        run_id=job.plan.run_id,
        settings=job.stage.settings.to_dict(),
        data_sha256=job.stage.data_sha256,
        versions={
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "peft": version("peft"),
            "threads": str(torch.get_num_threads()),
            "processes": os.environ.get("WORLD_SIZE", "1"),
        },
    )


def _quiet() -> None:
    """Keep the libraries' bars, notices and warnings off the log."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
