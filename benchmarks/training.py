"""Training speed beside the stock Trainer and a bare PyTorch loop, on the same work.

All three train the same model on the same batches in the same order. Each runs in a thread of its
own and they take turns step by step, so that a busy machine slows all alike; a step's time holds
everything from one turn to the next: reading, both passes, update, accounts, logging. Ratios are
medians over the steps with a bootstrap interval.

The first comparison is text: each token counts, rows are full. The second is questions with
answers of many lengths: ours are packed, the stock Trainer's padded as its collator does, and
speed is counted in tokens that are no padding.
"""

import argparse
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from ratios import told
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

from advisor.job.batches.collating import Collator
from advisor.job.batches.packing import Block
from advisor.job.checkpoints import Identity
from advisor.job.models.hardware import hardware_for
from advisor.job.settings import Settings, Shape
from advisor.job.signals import Stop
from advisor.job.state import RunState
from advisor.job.training.loop import Task
from advisor.job.training.session import train

SHAPE = Shape(n_layers=6, hidden=256, n_heads=8, n_kv_heads=8, intermediate=688, vocab=4096)
SEQ_LEN = 256
ROWS, TIMES = 12, 1
WARM = 3


class Turns:
    """Lets contestants step one after the other, and keeps the seconds of each step."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._may_step = {name: threading.Semaphore(0) for name in names}
        self._began = 0.0
        self.seconds: dict[str, list[float]] = {name: [] for name in names}
        self._may_step[names[0]].release()

    def wait(self, name: str) -> None:
        """Wait for the contestant's first turn."""
        self._may_step[name].acquire()
        self._began = perf_counter()

    def stepped(self, name: str) -> None:
        """End the contestant's turn, and wait for its next one."""
        self.seconds[name].append(perf_counter() - self._began)
        self.left(name)
        self.wait(name)

    def left(self, name: str) -> None:
        """Give the turn to the next contestant."""
        after = self._names[(self._names.index(name) + 1) % len(self._names)]
        self._may_step[after].release()


class Counting(TrainerCallback):
    """Hands the turn on after each step of a Trainer."""

    def __init__(self, turns: Turns, name: str) -> None:
        self.turns = turns
        self.name = name

    def on_train_begin(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Wait for the first turn, with everything set up."""
        self.turns.wait(self.name)

    def on_step_end(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Hand on."""
        self.turns.stepped(self.name)

    def on_train_end(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Let the others end."""
        self.turns.left(self.name)


def model_of() -> LlamaForCausalLM:
    """Return the model that all train, with the same weights."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=SHAPE.vocab,
        hidden_size=SHAPE.hidden,
        intermediate_size=SHAPE.intermediate,
        num_hidden_layers=SHAPE.n_layers,
        num_attention_heads=SHAPE.n_heads,
        num_key_value_heads=SHAPE.n_kv_heads,
        max_position_embeddings=SEQ_LEN,
        tie_word_embeddings=True,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config)


class InOrder(list[Block]):
    """Rows that each contestant sees in the same order: the one that the job's seed gives."""

    @property
    def lengths(self) -> np.ndarray:
        """Return the tokens of each row."""
        return np.array([len(row.ids) for row in self])

    def set_epoch(self, epoch: int) -> None:
        """Stay as it is."""


def ours(turns: Turns, rows: InOrder, steps: int) -> None:
    """Train as a run does: its loop, accounts, clocks and log."""
    settings = Settings(
        approach="pretrain",
        method="full",
        shape=SHAPE,
        seq_len=SEQ_LEN,
        micro_batch=ROWS,
        gradient_accumulation=TIMES,
        packing=True,
        max_steps=steps,
        learning_rate=1e-3,
        schedule="linear",
        warmup_share=0.0,
        weight_decay=0.0,
        max_grad_norm=1.0,
        optimizer="adamw",
        validation_share=0.0,
        seed=0,
        log_every_steps=5,
        save_every_steps=10**6,
    )
    with tempfile.TemporaryDirectory() as scratch, handing_on(turns, "ours"):
        folder = Path(scratch)
        task = Task(
            folder=folder,
            settings=settings,
            hardware=hardware_for(settings),
            identity=Identity(run_id="benchmark", settings={}, data_sha256="", versions={}),
            state=RunState(path=folder / "run.json"),
            stop=Stop(),
            model=model_of().train(),
            tokenizer=Unsaved(),
            train=rows,
            validation=InOrder(),
            collate=Collator("clm", 0),
            resume=None,
        )
        train(task)


class Unsaved:
    """A tokenizer that the loop has nothing to do with but to save it."""

    def save_pretrained(self, _folder: str) -> None:
        """Save nothing."""


@contextmanager
def handing_on(turns: Turns, name: str) -> Iterator[None]:
    """Have each Trainer made in the body, in this thread, hand the turn on after its steps."""
    made = Trainer.__init__
    thread = threading.get_ident()

    def counted(self: Trainer, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        made(self, *arguments, **options)
        if threading.get_ident() == thread:
            self.add_callback(Counting(turns, name))

    Trainer.__init__ = counted
    try:
        yield
    finally:
        Trainer.__init__ = made


def stock(turns: Turns, rows: list[dict[str, Any]], collate: Any, steps: int) -> None:  # noqa: ANN401
    """Train with the stock Trainer."""
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            output_dir=scratch,
            per_device_train_batch_size=ROWS,
            gradient_accumulation_steps=TIMES,
            max_steps=steps,
            learning_rate=1e-3,
            optim="adamw_torch_fused",
            train_sampling_strategy="sequential",
            remove_unused_columns=False,
            use_cpu=True,
            save_strategy="no",
            logging_steps=5,
            report_to=[],
            disable_tqdm=True,
            log_level="error",
        )
        trainer = Trainer(
            model=model_of(), args=arguments, train_dataset=rows, data_collator=collate
        )
        trainer.add_callback(Counting(turns, "stock"))
        trainer.train()


def bare(turns: Turns, batches: list[dict[str, torch.Tensor]], steps: int) -> None:
    """Train with nothing but PyTorch."""
    model = model_of().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    turns.wait("bare")
    for batch in batches[:steps]:
        loss = model(**batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        loss.item()
        turns.stepped("bare")
    turns.left("bare")


def race(contestants: dict[str, Callable[[Turns], None]]) -> Turns:
    """Run all contestants, each in a thread, and return their times."""
    turns = Turns(list(contestants))
    threads = [threading.Thread(target=run, args=(turns,)) for run in contestants.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return turns


def block_of(ids: Sequence[int], labels: Sequence[int], positions: Sequence[int]) -> Block:
    """Return a row."""
    return Block(
        ids=np.array(ids, np.int32),
        labels=np.array(labels, np.int32),
        positions=np.array(positions, np.int32),
    )


def text_rows(count: int) -> InOrder:
    """Return full rows in which each token counts."""
    rng = np.random.default_rng(0)
    rows = rng.integers(1, SHAPE.vocab, (count, SEQ_LEN))
    return InOrder(block_of(row, row, range(SEQ_LEN)) for row in rows)


def in_run_order(rows: InOrder) -> InOrder:
    """Return the rows in the order that a run of seed 0 takes them in its first epoch."""
    order = np.random.default_rng((0, 0)).permutation(len(rows))
    return InOrder(rows[place] for place in order)


def compare_text(steps: int) -> None:
    """Print ours against the stock Trainer and the bare loop on full rows of text."""
    rows = text_rows(ROWS * TIMES * steps)
    ordered = in_run_order(rows)
    collate = Collator("clm", 0)
    batches = [plain(collate(ordered[at : at + ROWS])) for at in range(0, len(ordered), ROWS)]
    indexed: list[dict[str, Any]] = [{"row": row} for row in ordered]
    turns = race(
        {
            "ours": lambda turns: ours(turns, rows, steps),
            "stock": lambda turns: stock(
                turns, indexed, lambda some: plain(collate([one["row"] for one in some])), steps
            ),
            "bare": lambda turns: bare(turns, batches, steps),
        }
    )
    tokens = ROWS * TIMES * SEQ_LEN
    speed = {name: [tokens / s for s in times[WARM:]] for name, times in turns.seconds.items()}
    for other, limit in (("stock", 0.97), ("bare", 0.95)):
        pairs = list(zip(speed["ours"], speed[other], strict=False))
        print(told(f"text: ours / {other}", pairs, limit=limit, unit="tokens/s", least=True))
    middle = sorted(turns.seconds["bare"])[steps // 2]
    print(f"a step of the bare loop takes {middle:.2f} s (the limit is meant from 0.5 s)")


def plain(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a batch without what only the job counts."""
    return {name: value for name, value in batch.items() if name != "tokens"}


def compare_packed(steps: int) -> None:
    """Print ours, packed, against the stock Trainer, padded, in useful tokens a second."""
    rng = np.random.default_rng(1)
    lengths = np.clip(rng.lognormal(4.0, 0.7, ROWS * TIMES * steps * 4), 8, SEQ_LEN).astype(int)
    pairs = [rng.integers(1, SHAPE.vocab, length) for length in lengths]
    packed = InOrder(in_packs(pairs)[: ROWS * TIMES * steps])
    padded = [{"ids": pair} for pair in pairs[: ROWS * TIMES * steps]]

    def collate(some: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        longest = max(len(one["ids"]) for one in some)
        ids = torch.zeros((len(some), longest), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, one in enumerate(some):
            ids[row, : len(one["ids"])] = torch.from_numpy(one["ids"])
            mask[row, : len(one["ids"])] = 1
        labels = ids.masked_fill(mask == 0, -100)
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    turns = race(
        {
            "ours": lambda turns: ours(turns, packed, steps),
            "stock": lambda turns: stock(turns, padded, collate, steps),
        }
    )
    ordered = in_run_order(packed)
    useful = {
        "ours": [sum(ordered.lengths[at : at + ROWS]) for at in range(0, len(ordered), ROWS)],
        "stock": [
            sum(len(one["ids"]) for one in padded[at : at + ROWS])
            for at in range(0, len(padded), ROWS)
        ],
    }
    speed = {
        name: [float(t / s) for t, s in zip(useful[name], times, strict=False)][WARM:]
        for name, times in turns.seconds.items()
    }
    both = list(zip(speed["ours"], speed["stock"], strict=False))
    print(told("pairs: packed / padded", both, limit=1.5, unit="useful/s", least=True))


def in_packs(pairs: Sequence[np.ndarray]) -> InOrder:
    """Return rows that hold several pairs each, one after the other, as long as there is room."""
    rows, row = InOrder(), []
    for pair in pairs:
        if sum(map(len, row)) + len(pair) > SEQ_LEN:
            rows.append(joined(row))
            row = []
        row.append(pair)
    return rows


def joined(pairs: Sequence[np.ndarray]) -> Block:
    """Return one row of several pairs that do not see each other."""
    labels = np.concatenate([[-100, *pair[1:]] for pair in pairs])
    positions = np.concatenate([np.arange(len(pair)) for pair in pairs])
    return block_of(np.concatenate(pairs), labels, positions)


def main() -> None:
    """Print each comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    steps = parser.parse_args().steps
    compare_text(steps)
    compare_packed(steps)


if __name__ == "__main__":
    main()
