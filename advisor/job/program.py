"""One stage of a run from plan to result: load, lay out, train, measure, export."""

import logging
import os
import warnings
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import set_seed

from . import checkpoints
from .batches.packing import keeps_examples_apart
from .batches.rows import lay_out
from .checkpoints import Identity
from .files import say
from .measuring.evaluation import Evaluator, Question, question_of
from .models.assembling import assemble
from .models.hardware import hardware_for
from .outcome.results import export, verdict_of, write_profile, write_result
from .plan import Plan, Stage
from .reading.corpus import Corpus
from .signals import Stop
from .state import RunState
from .training.loop import Loop, Task
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
    prompts = islice(job.corpus.part(held=bool(job.corpus.held)), settings.samples)
    questions = [question_of(record, task.tokenizer) for record in prompts]
    loop, evaluator = train(task, partial(_base_answers, settings=settings, questions=questions))
    _finish(job, loop, evaluator, questions)


def _task(job: Job) -> Task:
    """Load the model and lay out the data."""
    settings, corpus = job.stage.settings, job.corpus
    hardware = hardware_for(settings)
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
    packing = settings.packing and keeps_examples_apart(model, len(tokenizer))
    if packing != settings.packing:
        say("this model does not keep packed examples apart: rows are padded instead")
    rows, validation = lay_out(corpus, tokenizer, packing=packing)
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
        resume=resume,
    )


def _finish(job: Job, loop: Loop, evaluator: Evaluator, questions: list[Question]) -> None:
    """Ask the trained model, then write everything that a finished run leaves."""
    job.state.enter("evaluating")
    tuned = evaluator.answers(questions)
    job.stop.check()
    job.state.enter("saving")
    devices = loop.args.world_size
    if loop.is_world_process_zero():
        export(loop, job.plan, verdict_of(loop.progress))
        write_profile(loop)
        write_result(
            loop.task, job.plan, loop.progress, questions=questions, tuned=tuned, devices=devices
        )
        say(verdict_of(loop.progress))
    loop.accelerator.wait_for_everyone()


def _base_answers(evaluator: Evaluator, *, settings: Any, questions: list[Question]) -> list[str]:  # noqa: ANN401
    """Return the base's answers; a model from scratch has no base."""
    return evaluator.answers(questions) if settings.base_model else []


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
