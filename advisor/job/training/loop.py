"""The training loop: the stock Trainer under our loss, order, checkpoints, clocks and stop rule."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Final

import torch
from transformers import PrinterCallback, Trainer, TrainingArguments

from .. import checkpoints
from ..batches.order import order_of
from ..checkpoints import Checkpoint, Identity
from ..faults import JobError
from ..models.hardware import Hardware
from ..models.saving import load_network, save_model, save_network
from ..settings import Settings
from ..signals import Stop
from ..state import RunState
from .ladder import Ladder
from .losses import Batch, Loss, with_targets
from .order import Cut, Loader, Numbered, Order, Updates
from .profiling import MemoryCourse, PhaseClock
from .progress import Progress

OPTIMIZERS: Final = {
    "adamw": "adamw_torch_fused",
    "adamw_8bit": "adamw_8bit",
    "adafactor": "adafactor",
}
SCHEDULES: Final = {
    "cosine": "cosine",
    "linear": "linear",
    "constant": "constant_with_warmup",
}
# The loss scaler of fp16 finds its scale by overflowing now and then; more than this is no search.
MOST_OVERFLOWS: Final = 20
WORKERS_FOR_GPU: Final = 2
# Rows that fill this share of the longest one waste nothing worth grouping them for.
ALIKE: Final = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """All that one training needs."""

    folder: Path
    settings: Settings
    hardware: Hardware
    identity: Identity
    state: RunState
    stop: Stop
    model: Any
    tokenizer: Any
    train: Any
    validation: Any
    collate: Callable[[Sequence[Any]], Batch]
    resume: Checkpoint | None


class Loop(Trainer):
    """Trains `task`. Before each optimizer step loss and gradient must be finite."""

    def __init__(self, task: Task, progress: Progress, loss: Loss, ladder: Ladder) -> None:
        self.task = task
        self.progress = progress
        self.loss = loss
        self.ladder = ladder
        self.clock = PhaseClock(progress.phases, device=task.hardware.device)
        self.memory = MemoryCourse(
            progress.memory_after, device=task.hardware.device, first_step=progress.step + 1
        )
        self.step_loss: Any = 0.0
        self.step_tokens = 0
        self.step_slots = 0
        self.step_began = monotonic()
        self._overflows = 0
        super().__init__(model=task.model, args=_arguments(task), train_dataset=task.train)
        self.remove_callback(PrinterCallback)
        # The loss comes divided by all labels of the update: nothing is left to scale.
        self.model_accepts_loss_kwargs = True

    def total(self, values: list[float]) -> list[float]:
        """Return each value summed over all processes."""
        if self.args.world_size == 1:
            return values
        shared = torch.tensor(values, dtype=torch.float64, device=self.args.device)
        return self.accelerator.reduce(shared, reduction="sum").tolist()

    def batch(self, rows: Sequence[Any]) -> Batch:
        """Return a batch of these rows as the loss wants it."""
        return with_targets(self.task.collate(rows), self.task.settings.objective)

    def let_go(self) -> None:
        """Free what only training needs: gradients, and the states of the optimizer."""
        self.model.zero_grad(set_to_none=True)
        self.model_wrapped = self.model
        self.optimizer = self.lr_scheduler = None
        self.accelerator.free_memory()

    def on_device(self, batch: Batch) -> Batch:
        """Return the batch where the model is; pinned memory is not waited for."""
        return {
            name: value.to(self.args.device, non_blocking=True) if torch.is_tensor(value) else value
            for name, value in batch.items()
        }

    def get_train_dataloader(self) -> Loader:
        """Return the micro-batches of this process: each epoch's follow from seed and epoch."""
        cut = Cut(
            rows=self.args.per_device_train_batch_size,
            times=self.args.gradient_accumulation_steps,
            world=self.args.world_size,
            rank=self.args.process_index,
        )
        on_gpu = self.task.hardware.device == "cuda"
        return Loader(
            Numbered(self.task.train),
            batch_sampler=Updates(self.task.train, cut, _order(self.task, cut)),
            collate_fn=partial(_batch, self.task.collate, self.task.settings.objective),
            num_workers=WORKERS_FOR_GPU if on_gpu else 0,
            pin_memory=on_gpu,
            generator=torch.Generator(),  # the workers' seeds; the data needs no random numbers
        )

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Time the reading of the next step's batches."""
        self.step_began = monotonic()
        with self.clock.phase("data"):
            return super().get_batch_samples(*args, **kwargs)

    def _get_num_items_in_batch(self, batches: list[Batch], _device: torch.device) -> float:
        """Return the labels that count in the update, over all processes."""
        counted = sum(len(batch["targets"]) for batch in batches)
        return max(1.0, self.total([counted])[0])

    def training_step(
        self,
        model: Any,  # noqa: ANN401
        inputs: Batch,
        num_items_in_batch: float,
    ) -> torch.Tensor:
        """Do, count and time one micro-step."""
        step = self.state.global_step + 1
        if len(inputs["targets"]):  # else a row that only keeps processes in step
            self.step_tokens += int(inputs["tokens"])
            self.step_slots += inputs["slots"]
        with self.clock.phase("forward"):
            # The gradients of several processes are averaged: each has its share of the sum.
            share = self.args.world_size / num_items_in_batch
            loss = self.loss(model, self.on_device(inputs)) * share
        self.memory.note("forward", step)
        with self.clock.phase("backward"):
            self.accelerator.backward(loss)
        self.memory.note("backward", step)
        loss = loss.detach()
        self.step_loss = self.step_loss + loss
        if self.accelerator.sync_gradients:
            self.clock.start("optimizer")
        return loss

    def floating_point_ops(self, _inputs: Batch) -> int:
        """Return 0: operations are counted once, on the first batch."""
        return 0

    def _get_grad_norm(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Stop the run, before the weights change, where loss or gradient is not finite."""
        norm = super()._get_grad_norm(*args, **kwargs)
        self.step_loss = float(self.step_loss)
        finite = math.isfinite(float(norm))
        if not math.isfinite(self.step_loss):
            raise self._diverged("the loss", self.step_loss)
        self._overflows = 0 if finite else self._overflows + 1
        searching = self.accelerator.scaler is not None and self._overflows <= MOST_OVERFLOWS
        if not finite and not searching:
            raise self._diverged("the gradient norm", float(norm))
        return norm

    def _diverged(self, what: str, value: float) -> JobError:
        return JobError(
            "diverged",
            f"{what} is {value} at step {self.state.global_step + 1}",
            where=f"checkpoints up to step {self.state.global_step} are good",
            hint=f"plan again with a learning rate below {self.task.settings.learning_rate:g}",
        )

    def _save_checkpoint(self, *_args: Any) -> None:  # noqa: ANN401
        """Save everything that the next step depends on; whole or not at all."""
        task, step = self.task, self.state.global_step
        folder = task.folder / "checkpoints"
        self.clock.settle()
        with self.clock.phase("save"), ExitStack() as stack:
            target = checkpoints.unfinished(folder, step)
            if self.args.should_save:
                stack.enter_context(checkpoints.writing(folder, step, task.identity))
            self.accelerator.wait_for_everyone()
            self._fill(target)
            self.accelerator.wait_for_everyone()
        if self.args.should_save:
            checkpoints.rotate(
                folder,
                keep=task.settings.keep_checkpoints,
                run_id=task.identity.run_id,
                best=self.progress.best_step if task.settings.patience else None,
            )

    def _fill(self, target: Path) -> None:
        self.save_model(str(target), _internal_call=True)
        if self.args.should_save:
            save_network(self.accelerator.unwrap_model(self.model), target)
        self._save_optimizer_and_scheduler(str(target))
        self._save_scaler(str(target))
        self._save_rng_state(str(target))
        if self.args.should_save:
            self.state.save_to_json(str(target / "trainer_state.json"))
            self.progress.write(target / "progress.json")

    def _load_from_checkpoint(self, folder: str, model: Any = None) -> None:  # noqa: ANN401
        """Put the weights of a checkpoint back, and what only training them further needs."""
        super()._load_from_checkpoint(folder, model)
        load_network(self.accelerator.unwrap_model(model or self.model), Path(folder))

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ANN401
        """Save weights and tokenizer; never the arguments, which would be a pickle."""
        if self.args.should_save and output_dir:
            save_model(self.accelerator.unwrap_model(self.model), Path(output_dir), state_dict)
            self.task.tokenizer.save_pretrained(output_dir)


def _batch(collate: Callable[[Sequence[Any]], Batch], objective: str, rows: Sequence[Any]) -> Batch:
    return with_targets(collate(rows), objective)


def _order(task: Task, cut: Cut) -> Order:
    """Return the order of the rows by epoch, grouped by length where the lengths differ."""
    lengths, seed = task.train.lengths, task.settings.seed
    grouped = bool(lengths.mean() < ALIKE * lengths.max())
    return lambda epoch: order_of(lengths, cut.update, seed=seed, epoch=epoch, grouped=grouped)


def _arguments(task: Task) -> TrainingArguments:
    settings, hardware = task.settings, task.hardware
    args = TrainingArguments(
        output_dir=str(task.folder / "checkpoints"),
        per_device_train_batch_size=settings.micro_batch,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=SCHEDULES[settings.schedule],
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim=OPTIMIZERS[settings.optimizer],
        seed=settings.seed,
        data_seed=settings.seed,
        bf16=hardware.mixed is torch.bfloat16,
        fp16=hardware.mixed is torch.float16,
        use_cpu=hardware.device == "cpu",
        torch_compile=settings.compiled,
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
        log_level="error",
        log_level_replica="error",
    )
    update = settings.micro_batch * settings.gradient_accumulation * args.world_size
    steps_an_epoch = math.ceil(len(task.train) / update)
    args.max_steps = settings.max_steps or math.ceil((settings.epochs or 0) * steps_an_epoch)
    args.warmup_steps = math.ceil(settings.warmup_share * args.max_steps)
    return args
