"""One job from plan to result: check, load, tokenise, train, export."""

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

from . import checkpoints, models
from .checkpoints import Checkpoint, Identity
from .corpus import Corpus, lay_out
from .data import keeps_examples_apart
from .evaluation import Evaluator, Question, question_of
from .files import say
from .loop import Loop, Task
from .plan import Plan
from .results import export, verdict_of, write_profile, write_result
from .settings import Shape
from .signals import Stop
from .state import RunState
from .training import train


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What is known of the run before anything heavy is loaded."""

    folder: Path
    plan: Plan
    state: RunState
    stop: Stop
    base: Path | None
    held: frozenset[bytes]
    resume: bool


def run(job: Job) -> None:
    """Do the whole job; raise JobError or Stopped where it ends early."""
    _quiet()
    settings = job.plan.settings
    if settings.threads:
        torch.set_num_threads(settings.threads)
    paths = tuple(Path(file.path) for file in job.plan.files)
    corpus = Corpus(paths=paths, held=job.held, seed=settings.seed, stop=job.stop)
    task = _task(job, corpus)
    prompts = islice(corpus.part(held=bool(corpus.held)), settings.samples)
    questions = [question_of(record, task.tokenizer) for record in prompts]
    loop, evaluator = train(task, partial(_base_answers, settings=settings, questions=questions))
    _finish(job, loop, evaluator, questions)


def _task(job: Job, corpus: Corpus) -> Task:
    """Load the model and lay out the data."""
    settings = job.plan.settings
    hardware = models.hardware_for(settings)
    identity = _identity(job.plan)
    resume = checkpoints.newest(job.folder / "checkpoints", identity) if job.resume else None
    if resume:
        say(f"going on from {resume.path.name}")
    set_seed(settings.seed)
    tokenizer, model = _model(job, corpus, hardware, resume)
    job.stop.check()
    job.state.enter("tokenising")
    packing = settings.packing and keeps_examples_apart(model, len(tokenizer))
    if packing != settings.packing:
        say("this model does not keep packed examples apart: rows are padded instead")
    blocks, validation = lay_out(corpus, tokenizer, seq_len=settings.seq_len, packing=packing)
    return Task(
        folder=job.folder,
        settings=settings,
        hardware=hardware,
        identity=identity,
        state=job.state,
        stop=job.stop,
        model=model,
        tokenizer=tokenizer,
        train=blocks,
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


def _identity(plan: Plan) -> Identity:
    return Identity(
        run_id=plan.run_id,
        settings=plan.settings.to_dict(),
        data_sha256=plan.data_sha256,
        versions={
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "peft": version("peft"),
            "threads": str(torch.get_num_threads()),
            "processes": os.environ.get("WORLD_SIZE", "1"),
        },
    )


def _model(
    job: Job, corpus: Corpus, hardware: models.Hardware, resume: Checkpoint | None
) -> tuple[Any, Any]:
    """Return tokenizer and model, in training mode, before any checkpoint is read into it."""
    settings = job.plan.settings
    if job.base:
        say(f"loading the base model {settings.base_model}")
        tokenizer = models.load_tokenizer(job.base)
        model = models.load_base(job.base, settings, hardware)
        model = models.with_adapter(model, settings) if settings.lora else model
    else:
        tokenizer = _own_tokenizer(corpus, settings.shape, resume)
        model = models.from_scratch(
            settings.shape,
            vocabulary=len(tokenizer),
            seq_len=settings.seq_len,
            end=tokenizer.eos_token_id,
        )
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=models.CHECKPOINTING)
    if not settings.quantization:
        model.to(hardware.device)
    model.train()
    return tokenizer, model


def _own_tokenizer(corpus: Corpus, shape: Shape, resume: Checkpoint | None) -> Any:  # noqa: ANN401
    if resume:
        return models.load_tokenizer(resume.path)
    say("learning a tokenizer from the data")
    texts = (part for record in corpus.part(held=False) for part in record.content[1:])
    return models.train_tokenizer(texts, shape.vocab)


def _quiet() -> None:
    """Keep the libraries' bars, notices and warnings off the log."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
