"""The training loop by itself: order, exactness, early stopping."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import job_runs
import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
VOCAB = 61


class Rows(list[Any]):
    """Rows in memory, as those on disk are asked for."""

    @property
    def lengths(self) -> Any:
        return np.array([len(row.ids) for row in self])

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch


class NoTokenizer:
    def save_pretrained(self, folder: str) -> None:
        (Path(folder) / "tokenizer.json").write_text("{}")


def rows(count: int, seed: int = 0) -> Rows:
    from advisor.job.batches.packing import Block

    chance = np.random.default_rng(seed)
    made = Rows()
    for _ in range(count):
        ids = chance.integers(1, VOCAB, int(chance.integers(5, 25))).astype(np.int32)
        ids[::2] = 7
        labels = np.where(np.arange(len(ids)) < 3, -100, ids).astype(np.int32)
        made.append(Block(ids=ids, labels=labels))
    return made


def model(*, dropout: float = 0.1) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        attention_dropout=dropout,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config)


def task_in(folder: Path, *, dropout: float = 0.1, count: int = 44, **changes: Any) -> Any:
    from advisor.job.batches.collating import Collator
    from advisor.job.checkpoints import Identity
    from advisor.job.models.hardware import Hardware
    from advisor.job.settings import Settings
    from advisor.job.signals import Stop
    from advisor.job.state import RunState
    from advisor.job.training.loop import Task

    folder.mkdir(exist_ok=True)
    quick = {"packing": False, "save_every_steps": 100, "log_every_steps": 1, "max_steps": 8}
    settings = Settings.from_dict(job_runs.settings(**{**quick, **changes}))
    return Task(
        folder=folder,
        settings=settings,
        hardware=Hardware(device="cpu", mixed=None),
        identity=Identity(run_id="r", settings=settings.to_dict(), data_sha256="d", versions={}),
        state=RunState.begin(folder, writes=True, earlier={}),
        stop=Stop(),
        model=model(dropout=dropout),
        tokenizer=NoTokenizer(),
        train=rows(count),
        validation=rows(6, seed=1),
        collate=Collator(objective="clm", pad_id=0),
        resume=None,
    )


@contextmanager
def stopping_at(task: Any, step: int) -> Iterator[None]:
    """Ask the run to stop at a step, and expect that it does."""
    from advisor.job.faults import Stopped

    class Stop:
        @property
        def number(self) -> int:
            return 15 if task.state.step >= step - 1 else 0

        def check(self) -> None:
            raise Stopped(15)

    object.__setattr__(task, "stop", Stop())
    with pytest.raises(Stopped):
        yield


def resumed(task: Any) -> Any:
    from advisor.job import checkpoints

    found = checkpoints.newest(task.folder / "checkpoints", task.identity)
    return replace(task_anew(task), resume=found)


def task_anew(task: Any) -> Any:
    from advisor.job.signals import Stop

    fresh = model(dropout=task.model.config.attention_dropout)
    return replace(task, model=fresh, stop=Stop(), resume=None)


def hashes(folder: Path, step: int) -> dict[str, str]:
    kept = folder / "checkpoints" / f"step-{step}"
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in kept.iterdir()
        if path.suffix in {".safetensors", ".pt", ".pth"}
    }


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in job_runs.metrics(folder)]


def cuts() -> list[Any]:
    from advisor.job.training.order import Cut

    return [
        Cut(rows=8, times=1),
        Cut(rows=2, times=4),
        Cut(rows=1, times=8),
        Cut(rows=2, times=2, world=2),
        Cut(rows=1, times=2, world=4),
    ]


@pytest.mark.parametrize("count", [3, 8, 40, 41, 47])
def test_an_update_has_the_same_rows_however_it_is_cut(count: int) -> None:
    from advisor.job.training.order import Cut, Updates

    def order(epoch: int) -> Any:
        return np.random.default_rng(epoch).permutation(count)

    def updates(cut: Cut) -> list[list[int]]:
        found: list[list[int]] = []
        lengths = []
        for rank in range(cut.world):
            batches = Updates(rows(count), replace(cut, rank=rank), order)
            batches.set_epoch(1)
            mine = list(batches)
            lengths.append((len(mine), len(batches)))
            for number, batch in enumerate(mine):
                update = number // cut.times
                found += [[] for _ in range(update + 1 - len(found))]
                found[update] += [row for row in batch if row >= 0]
        assert len({number for pair in lengths for number in pair}) == 1
        return [sorted(update) for update in found]

    expected = updates(cuts()[0])
    assert sorted(row for update in expected for row in update) == list(range(count))
    for cut in cuts()[1:]:
        assert updates(cut) == expected


def test_a_row_that_fills_up_teaches_nothing() -> None:
    from advisor.job.training.order import Numbered

    numbered = Numbered(rows(4))
    assert (numbered[~2].ids == numbered[2].ids).all()
    assert (numbered[~2].labels == -100).all()
    assert (numbered[2].labels != -100).any()


def test_the_micro_batch_changes_neither_losses_nor_tokens(tmp_path: Path) -> None:
    from advisor.job.training.session import train

    found = []
    for micro_batch, times in ((8, 1), (2, 4), (1, 8)):
        task = task_in(
            tmp_path / str(micro_batch),
            dropout=0.0,
            micro_batch=micro_batch,
            gradient_accumulation=times,
        )
        train(task)
        lines = job_runs.metrics(task.folder)
        found.append(([line["tokens"] for line in lines], [line["loss"] for line in lines]))
    tokens, curve = found[0]
    for other_tokens, other_curve in found[1:]:
        assert other_tokens == tokens
        assert other_curve == pytest.approx(curve, rel=1e-4)


@pytest.mark.parametrize("stop", [3, 6, 7])
def test_a_stopped_run_goes_on_to_the_very_same_end(tmp_path: Path, stop: int) -> None:
    """With dropout; 44 rows in updates of 8 make epochs of six steps."""
    from advisor.job.training.session import train

    straight = task_in(tmp_path / "straight")
    train(straight)
    halted = task_in(tmp_path / "halted")
    with stopping_at(halted, stop):
        train(halted)
    train(resumed(halted))
    assert hashes(halted.folder, 8) == hashes(straight.folder, 8)
    assert losses(halted.folder) == losses(straight.folder)


def test_the_longest_rows_come_first(tmp_path: Path) -> None:
    from advisor.job.training.session import train

    task = task_in(tmp_path, max_steps=1)
    loop = train(task)
    first = next(iter(loop.get_train_dataloader()))
    assert first["input_ids"].shape[1] == task.train.lengths.max()


def getting_worse(task: Any, good: int) -> Callable[..., Any]:
    """Return a validation that gains up to a step, and never again."""

    def loss(_self: Any, _rows: Any) -> float:
        return float(abs(good - task.state.step))

    return loss


def test_without_gain_the_run_ends_early_with_its_best_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file

    from advisor.job.measuring.evaluation import Evaluator
    from advisor.job.training.session import train

    changes = {"patience": 3, "eval_every_steps": 1, "max_steps": 20, "save_every_steps": 1}
    task = task_in(tmp_path / "early", **changes)
    monkeypatch.setattr(Evaluator, "loss", getting_worse(task, 4))
    loop = train(task)
    progress = loop.progress
    assert (progress.step, progress.best_step) == (7, 4)
    why = "stopped at step 7: no gain over step 4 in 3 evaluations"
    assert why in capfd.readouterr().err
    assert task.state.note == why
    kept = {path.name for path in (task.folder / "checkpoints").iterdir()}
    assert kept == {"step-4", "step-6", "step-7"}
    best = load_file(task.folder / "checkpoints" / "step-4" / "model.safetensors")
    state = loop.model.state_dict()
    assert all(best[name].equal(state[name]) for name in best)


def test_early_stopping_counts_on_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from advisor.job.measuring.evaluation import Evaluator
    from advisor.job.training.session import train

    changes = {"patience": 3, "eval_every_steps": 1, "max_steps": 20}
    task = task_in(tmp_path / "early", **changes)
    monkeypatch.setattr(Evaluator, "loss", getting_worse(task, 4))
    with stopping_at(task, 6):
        train(task)
    loop = train(resumed(task))
    assert (loop.progress.step, loop.progress.best_step) == (7, 4)
    again = train(resumed(task))
    assert again.progress.step == 7
    assert again.progress.ended_early


def test_without_patience_every_step_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from advisor.job.measuring.evaluation import Evaluator
    from advisor.job.training.session import train

    task = task_in(tmp_path / "all", eval_every_steps=1)
    monkeypatch.setattr(Evaluator, "loss", getting_worse(task, 2))
    assert train(task).progress.step == 8


def test_the_profile_tells_where_the_time_went(tmp_path: Path) -> None:
    from advisor.job.training.accounts import write_profile
    from advisor.job.training.session import train

    loop = train(task_in(tmp_path / "run"))
    write_profile(loop)
    found = json.loads((tmp_path / "run" / "profile" / "phases.json").read_text())
    assert all(found["seconds"][name] > 0 for name in ("data", "forward", "backward", "optimizer"))
    assert sum(found["seconds"].values()) == pytest.approx(loop.progress.seconds, rel=0.01)
    assert 0 < found["padding_share"] < 0.5
    assert found["sentence"].startswith("bound by")
    assert set(found["memory_gb_after"]) == {"forward", "backward", "optimizer"}
    assert 0 < found["mfu"] < 1
    trained = sum(p.numel() for p in loop.model.parameters())
    # Six operations for each weight of a product and token; embeddings are looked up, attention
    # and the positions that do not count move it a little.
    assert 2 * trained < found["flops_per_token"] < 12 * trained


def test_memory_that_becomes_short_later_costs_no_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from advisor.job.training.ladder import OutOfRoom
    from advisor.job.training.losses import Loss
    from advisor.job.training.session import train

    changes = {"save_every_steps": 2, "micro_batch": 8, "gradient_accumulation": 1}
    straight = task_in(tmp_path / "straight", dropout=0.0, **changes)
    train(straight)
    task = task_in(tmp_path / "short", dropout=0.0, **changes)
    stock = Loss.__call__

    def short_at_step_4(self: Any, model: Any, batch: Any) -> Any:
        if task.state.step == 3 and len(batch["labels"]) == 8:
            raise MemoryError("8 rows are too many")
        return stock(self, model, batch)

    monkeypatch.setattr(Loss, "__call__", short_at_step_4)
    with pytest.raises(OutOfRoom):
        train(task)
    loop = train(resumed(task))
    assert loop.task.settings.micro_batch == 4
    assert [rung["after_step"] for rung in loop.ladder.rungs] == [3]
    lines, expected = (job_runs.metrics(one.folder) for one in (task, straight))
    assert [line["tokens"] for line in lines] == [line["tokens"] for line in expected]
    found = [line["loss"] for line in lines]
    assert found == pytest.approx([line["loss"] for line in expected], rel=1e-4)


def test_operations_that_checkpointing_repeats_count_once(tmp_path: Path) -> None:
    from advisor.job.models.checkpointing import use_checkpointing
    from advisor.job.training.session import train

    counted = []
    for choice in ("no", "selective", "yes"):
        task = task_in(tmp_path / choice, max_steps=1, gradient_checkpointing=choice)
        use_checkpointing(task.model, choice)
        counted.append(train(task).progress.flops_per_token)
    assert len(set(counted)) == 1
    assert counted[0] > 0
