"""Trains from the first step, or from a checkpoint, to the end or to a stop."""

import gc
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from transformers import set_seed

from .. import checkpoints
from ..faults import JobError, is_memory
from ..files import say
from ..measuring.evaluation import Evaluator
from ..models.checkpointing import use_checkpointing
from .ladder import Ladder, OutOfRoom
from .loop import Loop, Task
from .losses import Loss
from .probe import Probe, longest
from .progress import Metrics, Progress
from .watch import Watch


def train(task: Task) -> Loop:
    """Train to the end, or to the step at which a stop was asked for; then raise Stopped.

    Raise OutOfRoom where memory became short while training: the ladder in the run folder is a
    rung lower then, and the job must be started again. Several processes end there.
    """
    path = task.resume.path if task.resume else None
    progress = Progress.read(path / "progress.json") if path else Progress()
    loop = _fitting(task, progress)
    metrics = None
    if loop.is_world_process_zero():
        metrics = Metrics(task.folder / "metrics.jsonl", after_step=progress.step)
    task.state.max_steps, task.state.step = loop.args.max_steps, progress.step
    task.state.enter("training")
    watch = Watch(loop, _evaluator(loop), metrics)
    loop.add_callback(watch)
    task.model.train()
    gc.freeze()  # libraries and model stay: no collection need look at them again
    set_seed(task.settings.seed)
    try:
        _run(loop)
    finally:
        watch.profile.end_step()  # a profiler that still runs would crash the process at its end
    task.stop.check()
    if progress.ended_early:
        task.state.note = f"stopped at step {progress.step}: {progress.ended_early}"
    _take_best(loop)
    return loop


def _run(loop: Loop) -> None:
    """Train what is left of the run."""
    progress, resume = loop.progress, loop.task.resume
    if resume and (progress.step >= loop.args.max_steps or progress.ended_early):
        loop._load_from_checkpoint(str(resume.path))  # noqa: SLF001 - nothing is left to train
        return
    try:
        loop.train(resume_from_checkpoint=str(resume.path) if resume else None)
    except Exception as error:
        if not is_memory(error):
            raise
        loop.ladder.step_down(error, step=progress.step, device=loop.task.hardware.device)
        if loop.args.world_size > 1:
            hint = "go on with less at once: start it again with --resume"
            what = f"out of memory at step {progress.step + 1}"
            raise JobError("out_of_memory", what, where="ladder.json", hint=hint) from error
        raise OutOfRoom from error


def _fitting(task: Task, progress: Progress) -> Loop:
    """Return a loop whose longest micro-batch fits; a run that goes on did so before."""
    ladder, device = Ladder(task.folder, task.settings), task.hardware.device
    loss = Loss(
        task.model, objective=task.settings.objective, mixed=task.hardware.mixed, device=device
    )
    if device == "cuda" and task.hardware.mixed is not torch.bfloat16:
        torch.set_float32_matmul_precision("high")
    settled = False
    while True:
        if ladder.settings.gradient_checkpointing != task.settings.gradient_checkpointing:
            use_checkpointing(task.model, ladder.settings.gradient_checkpointing)
        loop = Loop(replace(task, settings=ladder.settings), progress, loss, ladder)
        if not settled:
            (row,) = longest(task.train.lengths, 1)
            loss.settle(loop.on_device(task.collate([task.train[row]])))
            settled = True
        short = _probed(loop) if task.resume is None else None
        if short is None:
            return loop
        ladder.step_down(short, step=0, device=device)


def _probed(loop: Loop) -> BaseException | None:
    """Run the longest micro-batch; return an error where memory is short in any process."""
    task = loop.task
    probe = Probe(task.model, loop.loss, task.settings, processes=loop.args.world_size)
    rows = [task.train[n] for n in longest(task.train.lengths, task.settings.micro_batch)]
    short = probe.run(partial(_placed, loop, rows))
    loop.progress.flops_per_token = probe.flops_per_token
    if task.hardware.device == "cuda":
        torch.cuda.empty_cache()
    if loop.total([float(short is not None)])[0]:
        return short or MemoryError("in another process")
    return None


def _placed(loop: Loop, rows: list[Any]) -> dict[str, Any]:
    return loop.on_device(loop.batch(rows))


def _take_best(loop: Loop) -> None:
    """Put the weights of the best step back, where the run waited for gain."""
    task, progress = loop.task, loop.progress
    if not task.settings.patience or progress.best_step in (None, progress.step):
        return
    best = checkpoints.at(task.folder / "checkpoints", progress.best_step, task.identity)
    loop._load_from_checkpoint(str(best.path))  # noqa: SLF001 - the stock loop's own way
    say(f"the weights are those of step {best.step}: the lowest validation loss")


def _evaluator(loop: Loop) -> Evaluator:
    task = loop.task
    return Evaluator(
        model=loop.model,
        objective=task.settings.objective,
        collate=task.collate,
        batch=task.settings.micro_batch,
        autocast=loop.accelerator.autocast,
        total=loop.total,
        rank=loop.args.process_index,
        world=loop.args.world_size,
        beat=task.state.beat,
    )
