"""What happens after each step: accounts, metrics, validation, when to save and to stop."""

from time import monotonic
from typing import Any

from transformers import TrainerCallback

from ..files import say
from ..measuring.evaluation import Evaluator
from .energy import EnergyMeter
from .loop import Loop
from .profiling import Memory, StepProfile
from .progress import Metrics


class Watch(TrainerCallback):
    """After each step: accounts, metrics, validation; decides when to save and when to stop."""

    def __init__(self, loop: Loop, evaluator: Evaluator, metrics: Metrics | None) -> None:
        device = loop.task.hardware.device
        self.loop = loop
        self.task = loop.task
        self.evaluator = evaluator
        self.metrics = metrics
        self.memory = Memory(device)
        self.energy = EnergyMeter(device)
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
        self.loop.clock.stop("optimizer")
        seconds = monotonic() - self.loop.step_began
        steady = not self._profiled()
        began = monotonic()
        asked = self._book(seconds, steady=steady)
        self.loop.progress.bookkeeping += monotonic() - began
        settings, step = self.task.settings, state.global_step
        last = step >= args.max_steps
        evaluates = last or bool(
            settings.eval_every_steps and step % settings.eval_every_steps == 0
        )
        best = False
        if step == 1 or evaluates or step % settings.log_every_steps == 0:
            best = self._log(evaluates=evaluates)
        ended = bool(self.loop.progress.ended_early)
        control.should_training_stop |= asked or ended
        if asked or last or ended or best or step % settings.save_every_steps == 0:
            control.should_save = True
            self._account()

    def on_train_end(self, *_args: Any, **_: Any) -> None:  # noqa: ANN401
        """Bring the accounts up to the end, the last save included."""
        self._account()
        self.loop.progress.seconds = monotonic() - self.began

    def _profiled(self) -> bool:
        """End the profile if it runs; return whether it ran in this step."""
        with self.loop.clock.phase("profile"):
            profiled = self.profile.end_step()
        if profiled:
            self.loop.progress.operators = self.profile.kinds
        return profiled

    def _book(self, seconds: float, *, steady: bool) -> bool:
        """Add the step to the accounts of all processes; return whether any was asked to stop."""
        loop, progress = self.loop, self.loop.progress
        loop.memory.note("optimizer", progress.step + 1)
        share = loop.step_loss / loop.args.world_size
        asked = bool(self.task.stop.number)
        tokens, slots, loss, stops = loop.total([loop.step_tokens, loop.step_slots, share, asked])
        steady &= progress.step + 1 != self.first_step
        progress.add_step(tokens=int(tokens), loss=loss, seconds=seconds, steady=steady)
        progress.slots += int(slots)
        progress.seconds = monotonic() - self.began
        self.task.state.step = progress.step
        loop.step_tokens, loop.step_slots, loop.step_loss = 0, 0, 0.0
        return stops > 0

    def _account(self) -> None:
        """Bring what is measured seldom up to date: phases, memory, energy."""
        progress, clock = self.loop.progress, self.loop.clock
        clock.settle()
        progress.spans, clock.spans = progress.spans + clock.spans, 0
        progress.memory_gb = max(progress.memory_gb, self.memory.peak_gb())
        spent = self.energy.joules()
        if spent is not None:
            progress.joules = (progress.joules or 0.0) + spent

    def _log(self, *, evaluates: bool) -> bool:
        """Log the steps since the last line; return whether this is a best step to be kept."""
        progress, best = self.loop.progress, False
        self._account()
        line = progress.close_window(self.rate)
        if evaluates and len(self.task.validation):
            with self.loop.clock.phase("evaluate"):
                loss = self.evaluator.loss(self.task.validation)
            line["validation_loss"] = loss
            best = loss is not None and self._judge(loss)
        if self.metrics:
            self.metrics.append(line)
        self.task.state.beat()
        say(_narrated(line, self.loop.args.max_steps))
        if progress.ended_early:
            say(f"stopped at step {progress.step}: {progress.ended_early}")
        return best

    def _judge(self, loss: float) -> bool:
        """Note the validation loss; return whether this step is to be kept as the best."""
        progress, patience = self.loop.progress, self.task.settings.patience
        better = progress.note_validation(loss)
        if patience and progress.without_gain >= patience:
            progress.ended_early = (
                f"no gain over step {progress.best_step} in {progress.without_gain} evaluations"
            )
        return better and patience is not None


def _narrated(line: dict[str, Any], max_steps: int) -> str:
    text = f"step {line['step']}/{max_steps}  loss {line['loss']:.4f}"
    if line.get("validation_loss") is not None:
        text += f"  validation {line['validation_loss']:.4f}"
    return f"{text}  {line['tokens_per_second']:.0f} tokens/s  {line['memory_gb']:.2f} GB"
