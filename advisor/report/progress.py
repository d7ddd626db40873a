"""Live progress of a run on stderr: a bar with the time left, or plain lines without a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from advisor.report.terminal import narration_console
from advisor.runs.supervise import JobProcess
from advisor.runs.supervise import Progress as RunProgress
from advisor.units import show_gb, show_hours, show_number

PLAIN_EVERY_SECONDS = 10.0


def watch(job: JobProcess) -> None:
    """Show how the job goes until it has ended; Ctrl-C stops it with a checkpoint."""
    console = narration_console()
    follow = _follow_drawn if console.is_terminal else _follow_plain
    try:
        follow(job, console)
    except KeyboardInterrupt:
        with _second_interrupt_kills(job):
            console.print("stopping after this step, with a checkpoint; Ctrl-C again stops at once")
            job.stop()
            follow(job, console)


@contextmanager
def _second_interrupt_kills(job: JobProcess) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        job.stop()
        job.stop()


def _follow_drawn(job: JobProcess, console: Console) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("starting", total=None, told="")
        for now in job.follow():
            bar.update(
                task,
                description=now.doing,
                total=now.max_steps,
                completed=now.step,
                told=_told(now),
            )


def _follow_plain(job: JobProcess, console: Console) -> None:
    shown, doing = 0.0, ""
    for now in job.follow():
        due = time.monotonic() - shown > PLAIN_EVERY_SECONDS
        if now.doing != doing or (due and now.phase == "training"):
            steps = f"{now.step}/{now.max_steps} " if now.max_steps else ""
            console.print(f"{now.doing} {steps}{_told(now)}".rstrip())
            shown, doing = time.monotonic(), now.doing


def _told(now: RunProgress) -> str:
    told = []
    if now.loss is not None:
        told.append(f"loss {now.loss:.3f}")
    if now.tokens_per_second is not None:
        told.append(f"{show_number(now.tokens_per_second)} tok/s")
    if now.memory_gb is not None:
        told.append(show_gb(now.memory_gb))
    if now.seconds_left and now.phase == "training":
        told.append(f"{show_hours(now.seconds_left / 3600)} left")
    return " · ".join(told)
