"""The rows that a stage trains and validates on: laid out on disk from its corpus."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np

from ..faults import JobError
from ..files import say
from ..reading.corpus import Corpus
from ..reading.findings import Findings
from ..records import Record
from ..settings import Settings
from .filling import Filler, Pattern, tell
from .laying import laid, tokenizer_sha256
from .objectives import Objective, objective_of
from .packing import Block
from .rendering import Tokens
from .replay import replayed
from .storage import Store


class Rows(Sequence[Block]):
    """Rows on disk; each is read when asked for.

    What is hidden from the model (mlm, spans) is a function of seed, epoch and row alone.
    """

    def __init__(self, store: Store, objective: Objective, seed: int) -> None:
        self._store = store
        self._objective = objective
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        return len(self._store)

    @property
    def lengths(self) -> Tokens:
        """Return how many tokens each row has, answers of seq2seq included."""
        lengths = self._store.lengths()
        return lengths.sum(axis=1, dtype=np.int32) if self._objective.answers else lengths[:, 0]

    def set_epoch(self, epoch: int) -> None:
        """Hide from now on what is hidden in this epoch."""
        self._epoch = epoch

    @overload
    def __getitem__(self, number: int) -> Block: ...
    @overload
    def __getitem__(self, number: slice) -> list[Block]: ...
    def __getitem__(self, number: int | slice) -> Block | list[Block]:
        """Return a row, or several."""
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        at = range(len(self))[number]
        ids, labels = self._store.row(at)
        chance = partial(np.random.default_rng, (self._seed, self._epoch, at))
        return self._objective.block(ids, labels, chance)


def lay_out(
    corpus: Corpus,
    tokenizer: Any,  # noqa: ANN401
    *,
    folder: Path,
    packing: bool,
) -> tuple[Rows, Rows]:
    """Return the rows to train on and those to validate on, on disk in `folder`/data/rows.

    Rows laid out before from the same data, by the same tokenizer and settings, are used again.
    Of those to train on `replay_share` are general text, as far as there is enough.

    Raises:
        DataError: for records that the objective cannot learn from, each with its place.
        JobError: where nothing is left to learn.
    """
    pattern = _pattern(corpus.stage.settings, tokenizer, packing=packing)
    path = folder / "data" / "rows"
    key = pattern.key(corpus.stage.data_sha256)
    if not laid(path, key, partial(_write_stage, corpus, pattern), corpus.stop.check):
        say("the rows laid out before are used again")
    train, validation = _rows(pattern, path, "train"), _rows(pattern, path, "validation")
    say(f"{len(train)} rows to train on, {len(validation)} held out")
    return train, validation


def rows_of(
    records: Iterable[Record],
    tokenizer: Any,  # noqa: ANN401
    settings: Settings,
    path: Path,
    packing: bool,  # noqa: FBT001
    data: str = "",
) -> Rows:
    """Return the rows of any other records, on disk in the folder `path`.

    `data` is a hash of what the records come from: rows laid out before are used again where it is
    the same; without it, never. Raises DataError as `lay_out` does.
    """
    pattern = _pattern(settings, tokenizer, packing=packing)

    def write(target: Path) -> None:
        findings = _findings(settings)
        filler = Filler(pattern, target, path.name, findings)
        for record in records:
            filler.add(record)
        filler.settle()
        tell(findings, [filler.layout], settings.seq_len)
        filler.writer.flush()

    laid(path, pattern.key(data), write, lambda: None, anew=not data)
    return _rows(pattern, path, path.name)


def _write_stage(corpus: Corpus, pattern: Pattern, target: Path) -> None:
    settings = pattern.settings
    findings = _findings(settings)
    train, validation = (
        Filler(pattern, target, name, findings) for name in ("train", "validation")
    )
    for record, held in corpus.sides():
        (validation if held else train).add(record)
    train.settle()
    validation.settle()
    if settings.replay_share:
        _replay(corpus, train)
    tell(findings, [train.layout, validation.layout], settings.seq_len)
    if not train.writer.rows:
        hint = "raise seq_len, or shorten the prompts"
        raise JobError("data_unusable", "nothing to learn within seq_len tokens", hint=hint)
    train.writer.flush()
    validation.writer.flush()


def _replay(corpus: Corpus, train: Filler) -> None:
    """Add general rows up to their share; say where they are too few."""
    share = corpus.stage.settings.replay_share
    own = train.writer.rows
    train.writer.most = own + round(own * share / (1 - share))
    for record in replayed(corpus):
        train.add(record)
        if train.writer.rows >= train.writer.most:
            break
    train.settle()
    general = train.writer.rows - own
    say(f"{general} rows of general text are replayed among {own} of the run's own")
    if train.writer.rows < train.writer.most:
        wanted = train.writer.most - own
        say(f"the share asked for would take {wanted}: the general files hold no more")


def _pattern(settings: Settings, tokenizer: Any, *, packing: bool) -> Pattern:  # noqa: ANN401
    objective = objective_of(settings, tokenizer, packing=packing)
    return Pattern(settings, objective, packing, tokenizer_sha256(tokenizer))


def _findings(settings: Settings) -> Findings:
    return Findings(skip_bad=settings.bad_records == "skip")


def _rows(pattern: Pattern, folder: Path, name: str) -> Rows:
    return Rows(Store(folder, name), pattern.objective, pattern.settings.seed)
