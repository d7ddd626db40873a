"""What happens after each step: accounts, metrics, validation, when to save and to stop."""

from time import monotonic
from typing import Any

from transformers import TrainerCallback

from ..files import say
from ..measuring.evaluation import Evaluator
from .loop import Loop
from .profiling import Memory, StepProfile
from .progress import Metrics


class Watch(TrainerCallback):
    """After each step: accounts, metrics, validation; decides when to save and when to stop."""

    def __init__(self, loop: Loop, evaluator: Evaluator, metrics: Metrics | None) -> None:
        self.loop = loop
        self.task = loop.task
        self.evaluator = evaluator
        self.metrics = metrics
        self.memory = Memory(loop.task.hardware.device)
        self.profile = StepProfile(
            loop.task.folder / "profile",
            max_steps=loop.args.max_steps,
            wanted=metrics is not None and loop.task.resume is None,
        )
        self.began = monotonic() - loop.progress.seconds
        self.first_step = loop.progress.step + 1
        self.rate = 0.0

    def on_step_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:  # noqa: ANN401
        """Start the profiler where it is due."""
        self.profile.begin(state.global_step + 1)

    def on_substep_end(self, *_args: Any, **_: Any) -> None:  # noqa: ANN401
        """Tell the profiler that a micro-step is over."""
        self.profile.micro_step()

    def on_optimizer_step(self, *_args: Any, optimizer: Any, **_: Any) -> None:  # noqa: ANN401
        """Note the learning rate that the step used."""
        self.rate = float(optimizer.param_groups[0]["lr"])

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
        """Book the step; log, evaluate, save and stop as it is due."""
        asked = self._book()
        settings, step = self.task.settings, state.global_step
        last = step >= args.max_steps
        evaluates = last or bool(
            settings.eval_every_steps and step % settings.eval_every_steps == 0
        )
        if step == 1 or evaluates or step % settings.log_every_steps == 0:
            self._log(evaluates=evaluates)
        control.should_training_stop |= asked
        if asked or last or step % settings.save_every_steps == 0:
            control.should_save = True

    def _book(self) -> bool:
        """Add the step to the accounts of all processes; return whether any was asked to stop."""
        loop, progress = self.loop, self.loop.progress
        loop.clock.stop("optimizer")
        loop.clock.settle()
        seconds = monotonic() - loop.step_began
        profiled = self.profile.end_step()
        tokens, loss, asked = loop.total(
            [loop.step_tokens, loop.step_loss / loop.args.world_size, bool(self.task.stop.number)]
        )
        steady = not profiled and progress.step + 1 != self.first_step
        progress.add_step(tokens=int(tokens), loss=loss, seconds=seconds, steady=steady)
        progress.seconds = monotonic() - self.began
        self.task.state.step = progress.step
        progress.memory_gb = max(progress.memory_gb, self.memory.peak_gb())
        loop.step_tokens, loop.step_loss = 0, 0.0
        return asked > 0

    def _log(self, *, evaluates: bool) -> None:
        progress = self.loop.progress
        line = progress.close_window(self.rate)
        if evaluates and self.task.validation:
            with self.loop.clock.phase("evaluate"):
                progress.validation = self.evaluator.loss(self.task.validation)
            line["validation_loss"] = progress.validation
        if self.metrics:
            self.metrics.append(line)
        self.task.state.beat()
        say(_narrated(line, self.loop.args.max_steps))


def _narrated(line: dict[str, Any], max_steps: int) -> str:
    text = f"step {line['step']}/{max_steps}  loss {line['loss']:.4f}"
    if "validation_loss" in line:
        text += f"  validation {line['validation_loss']:.4f}"
    return f"{text}  {line['tokens_per_second']:.0f} tokens/s  {line['memory_gb']:.2f} GB"
