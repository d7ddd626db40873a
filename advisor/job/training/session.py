"""Trains from the first step, or from a checkpoint, to the end or to a stop."""

from collections.abc import Callable

from transformers import set_seed

from ..measuring.evaluation import Evaluator
from .loop import Loop, Task
from .progress import Metrics, Progress
from .watch import Watch


def train(task: Task, answers: Callable[[Evaluator], list[str]]) -> tuple[Loop, Evaluator]:
    """Train to the end, or to the step at which a stop was asked for; then raise Stopped.

    `answers` gives the untrained model's answers to the sample prompts.
    """
    path = task.resume.path if task.resume else None
    progress = Progress.read(path / "progress.json") if path else Progress()
    loop = Loop(task, progress)
    evaluator = _evaluator(loop)
    metrics = None
    if loop.is_world_process_zero():
        metrics = Metrics(task.folder / "metrics.jsonl", after_step=progress.step)
    if path is None:
        _before(loop, evaluator, answers, metrics)
    task.state.max_steps, task.state.step = loop.args.max_steps, progress.step
    task.state.enter("training")
    watch = Watch(loop, evaluator, metrics)
    loop.add_callback(watch)
    set_seed(task.settings.seed)
    try:
        if path and progress.step >= loop.args.max_steps:
            loop._load_from_checkpoint(str(path))  # noqa: SLF001 - nothing is left to train
        else:
            loop.train(resume_from_checkpoint=str(path) if path else None)
    finally:
        watch.profile.end_step()  # a profiler that still runs would crash the process at its end
    loop.clock.settle()
    task.stop.check()
    return loop, evaluator


def _before(
    loop: Loop,
    evaluator: Evaluator,
    answers: Callable[[Evaluator], list[str]],
    metrics: Metrics | None,
) -> None:
    """Measure the model before the first step."""
    progress = loop.progress
    progress.validation_before = evaluator.loss(loop.task.validation)
    progress.base_answers = answers(evaluator)
    if progress.validation_before is not None and metrics:
        metrics.append({"step": 0, "validation_loss": progress.validation_before})


def _evaluator(loop: Loop) -> Evaluator:
    task = loop.task
    return Evaluator(
        model=loop.model,
        tokenizer=task.tokenizer,
        pad_id=task.pad_id,
        batch=task.settings.micro_batch,
        seq_len=task.settings.seq_len,
        autocast=loop.accelerator.autocast,
        total=loop.total,
        rank=loop.args.process_index,
        world=loop.args.world_size,
    )
