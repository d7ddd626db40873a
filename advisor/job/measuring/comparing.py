"""The tuned model, the base and the base shown examples, all put to the same exam."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..batches.collating import Collator
from ..batches.packing import keeps_examples_apart
from ..batches.replay import held_general
from ..batches.rows import Rows, rows_of
from ..files import say
from ..models.comparing import untrained
from ..reading.corpus import Corpus
from ..records import Record
from ..settings import HEADS
from ..training.loop import Task
from .assessing import Assessment, Exam, ExamRows, assess, majority
from .evaluation import Autocast


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What all made of the exam; `paired` where they read the very same rows."""

    exam: Exam
    tuned: Assessment | None
    base: Assessment
    prompted: Assessment | None
    paired: bool


def compare(task: Task, corpus: Corpus, *, base: Path | None, autocast: Autocast) -> Comparison:
    """Return what the trained model of a task, and its base, make of the held-out records.

    The base of a head cannot be asked, for its head is new: what always saying the most frequent
    label reaches takes its place. A model from scratch is compared with its random weights, by
    losses alone. Where nothing was trained, there is the base alone.
    """
    settings = task.settings
    exam = _exam(task, corpus, task.tokenizer, autocast)
    tuned = None
    if settings.trains:
        say("measuring the tuned model")
        tuned = assess(task.model, exam, name="tuned")
    say(f"measuring {'the base' if settings.base_model else 'the model before training'}")
    if settings.objective in HEADS:
        return Comparison(exam=exam, tuned=tuned, base=majority(exam), prompted=None, paired=True)
    if not settings.trains:
        before, prompted = _base(task.model, exam)
        return Comparison(exam=exam, tuned=None, base=before, prompted=prompted, paired=True)
    with untrained(settings, task.tokenizer, task.model, base=base, hardware=task.hardware) as (
        tokenizer,
        model,
    ):
        paired = tokenizer is task.tokenizer
        asked = exam if paired else _exam(task, corpus, tokenizer, autocast)
        before, prompted = _base(model, asked)
    return Comparison(exam=exam, tuned=tuned, base=before, prompted=prompted, paired=paired)


def _base(model: Any, exam: Exam) -> tuple[Assessment, Assessment | None]:  # noqa: ANN401
    """Return what the base makes of the exam as it is, and shown examples."""
    if not exam.settings.base_model:
        return assess(model, replace(exam, questions=(), scored=0), name="random weights"), None
    plain = assess(model, exam, name="base")
    if not exam.shown:
        return plain, None
    prompted = assess(model, exam, exam.settings.shots, name="prompted base")
    return plain, prompted if prompted.shots >= 1 else None


def _exam(task: Task, corpus: Corpus, tokenizer: Any, autocast: Autocast) -> Exam:  # noqa: ANN401
    """Return the exam for a tokenizer: the rows of the task where it is the task's own."""
    settings = task.settings
    own = tokenizer is task.tokenizer
    packing = settings.packing and keeps_examples_apart(task.model, len(tokenizer))
    place = task.folder / "data" / ("measured" if own else "measured_by_base")
    place.mkdir(parents=True, exist_ok=True)

    def laid(role: str, records: Iterable[Record]) -> Rows:
        data = corpus.stage.data_sha256
        return rows_of(records, tokenizer, settings, place / role, packing, data)

    rows = ExamRows(
        train=task.train,
        validation=task.validation if own else laid("validation", corpus.part(held=True)),
        general=laid("general", held_general(corpus)) if _may_forget(task, corpus) else (),
        out_of_domain=laid("out_of_domain", corpus.records("out_of_domain"))
        if corpus.stage.paths("out_of_domain")
        else (),
    )
    collate = Collator(settings.objective, tokenizer.pad_token_id)
    exam = Exam.of(corpus, tokenizer, rows, collate, autocast, _beat(task))
    return replace(exam, settings=settings)  # as the memory ladder left them


def _may_forget(task: Task, corpus: Corpus) -> bool:
    """Return whether there is general text to ask for; a new head has nothing to forget."""
    return task.settings.objective not in HEADS and bool(corpus.stage.paths("general"))


def _beat(task: Task) -> Callable[[], None]:
    """Return what shows that the run lives, and ends it where a stop was asked for."""

    def beat() -> None:
        task.state.beat()
        task.stop.check()

    return beat
