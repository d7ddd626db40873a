"""The training loop: the stock Trainer under our checkpoints, clocks and stop rule."""

import math
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Final

import torch
from transformers import PrinterCallback, Trainer, TrainingArguments

from .. import checkpoints
from ..batches.packing import Block, collate
from ..checkpoints import Checkpoint, Identity
from ..faults import JobError
from ..models.hardware import Hardware
from ..settings import Settings
from ..signals import Stop
from ..state import RunState
from .profiling import PhaseClock
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
    train: list[Block]
    validation: list[Block]
    resume: Checkpoint | None

    @property
    def pad_id(self) -> int:
        """Return the token that fills rows up; it is never looked at."""
        found = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if found is None else found)


class Loop(Trainer):
    """Trains `task`. Before each optimizer step loss and gradient must be finite."""

    def __init__(self, task: Task, progress: Progress) -> None:
        self.task = task
        self.progress = progress
        self.clock = PhaseClock(progress.phases, device=task.hardware.device)
        self.step_loss = 0.0
        self.step_tokens = 0
        self.step_began = monotonic()
        self._overflows = 0
        super().__init__(
            model=task.model,
            args=_arguments(task),
            data_collator=partial(_batch, pad_id=task.pad_id),
            train_dataset=task.train,  # type: ignore[arg-type] - a list will do
        )
        self.remove_callback(PrinterCallback)

    def total(self, values: list[float]) -> list[float]:
        """Return each value summed over all processes."""
        if self.args.world_size == 1:
            return values
        shared = torch.tensor(values, dtype=torch.float64, device=self.args.device)
        return self.accelerator.reduce(shared, reduction="sum").tolist()

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Time the reading of the next step's batches."""
        self.step_began = monotonic()
        with self.clock.phase("data"):
            return super().get_batch_samples(*args, **kwargs)

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any) -> torch.Tensor:  # noqa: ANN401
        """Count and time one micro-step."""
        self.step_tokens += inputs.pop("tokens")
        with self.clock.phase("backward"):
            loss = super().training_step(model, inputs, *args)
        self.step_loss = self.step_loss + loss
        if self.accelerator.sync_gradients:
            self.clock.start("optimizer")
        return loss

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Time the forward pass."""
        with self.clock.phase("forward"):
            return super().compute_loss(*args, **kwargs)

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
            keep = task.settings.keep_checkpoints
            checkpoints.rotate(folder, keep=keep, run_id=task.identity.run_id)

    def _fill(self, target: Path) -> None:
        self.save_model(str(target), _internal_call=True)
        self._save_optimizer_and_scheduler(str(target))
        self._save_scaler(str(target))
        self._save_rng_state(str(target))
        if self.args.should_save:
            self.state.save_to_json(str(target / "trainer_state.json"))
            self.progress.write(target / "progress.json")

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ANN401
        """Save weights and tokenizer; never the arguments, which would be a pickle."""
        if self.args.should_save and output_dir:
            save_model(self.accelerator.unwrap_model(self.model), Path(output_dir), state_dict)
            self.task.tokenizer.save_pretrained(output_dir)


def save_model(model: Any, target: Path, state_dict: Any = None) -> None:  # noqa: ANN401
    """Save the weights as safetensors, the adapter's alone where there is one."""
    # The embeddings never change size; asking the hub about them is what `auto` would do.
    options = {"save_embedding_layers": False} if hasattr(model, "peft_config") else {}
    model.save_pretrained(str(target), state_dict=state_dict, **options)


def _batch(blocks: list[Block], *, pad_id: int) -> dict[str, Any]:
    batch: dict[str, Any] = collate(blocks, pad_id)
    # With a cache, models do not read the beginnings of packed examples off the positions.
    return {**batch, "tokens": int(batch["tokens"]), "use_cache": False}


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
        dataloader_pin_memory=hardware.device == "cuda",
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
    rows = math.ceil(len(task.train) / (settings.micro_batch * args.world_size))
    steps_an_epoch = math.ceil(rows / settings.gradient_accumulation)
    args.max_steps = settings.max_steps or math.ceil((settings.epochs or 0) * steps_an_epoch)
    args.warmup_steps = math.ceil(settings.warmup_share * args.max_steps)
    return args
