"""An exam, and what a model makes of it: losses, scores, answers."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from math import log
from typing import Any, Final, NamedTuple, Self

import numpy as np

from ..batches.packing import Block
from ..batches.rendering import IGNORED
from ..files import say
from ..reading.corpus import Corpus
from ..settings import HEADS, Settings
from . import labels, texts
from .evaluation import SAID_BY_ITSELF, Autocast, Collate, Evaluator, Reading, column, perplexity
from .headline import headline
from .questions import Question, Writer, chosen, demonstrations, question_of
from .sharing import place
from .speaking import Speaker, budget_of
from .tallies import Tally, ratio_of

TEXT_TOKENS: Final = 64
COUNTED_AT_ONCE: Final = 256
ROLES: Final = ("validation", "general", "out_of_domain")


class ExamRows(NamedTuple):
    """The rows of a stage, as they were laid out for its model."""

    train: Sequence[Block]
    validation: Sequence[Block] = ()
    general: Sequence[Block] = ()
    out_of_domain: Sequence[Block] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Exam:
    """What a model is asked: rows to read, held-out questions to answer.

    The first `scored` questions are scored, the first `settings.samples` are shown. `shown` are
    examples from the training records for a prompt; `majority` is the most frequent label there.
    """

    tokenizer: Any
    settings: Settings
    collate: Collate
    rows: ExamRows
    questions: tuple[Question, ...] = ()
    scored: int = 0
    shown: tuple[Question, ...] = ()
    autocast: Autocast = nullcontext
    beat: Callable[[], None] = lambda: None

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        tokenizer: Any,  # noqa: ANN401
        rows: ExamRows,
        collate: Collate,
        autocast: Autocast = nullcontext,
        beat: Callable[[], None] = lambda: None,
    ) -> Self:
        """Return the exam of a stage; `beat` is called again and again while it is taken.

        Questions are held-out records. Where none is held out, training records are shown as
        samples and nothing is scored.
        """
        settings = corpus.stage.settings
        asked, scored = _asked(corpus, settings)
        shown: tuple[Question, ...] = ()
        if asked and settings.shots:
            shown = demonstrations(corpus.part(held=False), settings.shots, settings.seed)
        return cls(
            tokenizer=tokenizer,
            settings=settings,
            collate=collate,
            rows=rows,
            questions=asked,
            scored=scored,
            shown=shown,
            autocast=autocast,
            beat=beat,
        )

    @property
    def scores_text(self) -> bool:
        """Return whether the questions have answers to compare with, and not just go on a text."""
        return bool(self.scored) and self.questions[0].turns is not None

    @property
    def headline(self) -> str:
        """Return the name of the score to judge by."""
        settings = self.settings
        if self.scores_text:
            form = texts.form_of([one.reference for one in self.questions[: self.scored]])
            return headline(settings.objective, settings.task, form)
        learns_language = settings.approach in ("pretrain", "continued_pretrain")
        return headline(
            settings.objective, "foundation" if learns_language else settings.task, "none"
        )


def _asked(corpus: Corpus, settings: Settings) -> tuple[tuple[Question, ...], int]:
    """Return the questions, all with an answer or all texts to go on with, and how many score."""
    if settings.objective in SAID_BY_ITSELF:
        return (), 0
    count, seed = max(settings.eval_examples, settings.samples), settings.seed
    held = chosen(corpus.part(held=True), count, seed) if count else []
    records = held or chosen(corpus.part(held=False), settings.samples, seed)
    questions = [question_of(record) for record in records]
    answered = tuple(one for one in questions if one.turns is not None)
    texts_go_on = settings.objective == "clm"
    asked = answered or (tuple(questions) if texts_go_on else ())
    return asked, min(len(asked), settings.eval_examples) if held else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Assessment:
    """What a model made of an exam.

    `losses` are those of validation, general and out-of-domain rows, `tallies` the scores with
    their examples, `details` what has none; `answers` are to the exam's samples. `shots` is how
    many examples a prompt showed, on average.
    """

    name: str
    losses: Mapping[str, "Losses"] = field(default_factory=dict)
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[str, ...] = ()
    shots: float = 0.0

    def scores(self) -> dict[str, Any]:
        """Return every score by its name."""
        return {name: tally.value for name, tally in self.tallies.items()} | dict(self.details)


class Losses(NamedTuple):
    """Nats per token and, where the labels are text, bits per byte of that text."""

    loss: Tally
    bits: Tally | None

    def to_dict(self) -> dict[str, float | None]:
        """Return loss, perplexity per token, bits and perplexity per byte."""
        bits = self.bits.value if self.bits else None
        return {
            "loss": self.loss.value,
            "perplexity": perplexity(self.loss.value),
            "bits_per_byte": bits,
            "perplexity_per_byte": None if bits is None else 2**bits,
        }


def assess(model: Any, exam: Exam, shots: int = 0, *, name: str = "") -> Assessment:  # noqa: ANN401
    """Return what a model makes of an exam; with `shots`, answers to prompts that show examples.

    Losses are mean nats per token that counts. Bits per byte (clm) are the nats of all these
    tokens, over ln 2 and the bytes of their text in UTF-8, special tokens left out. For masked
    language modelling the tokens are the masked ones: the perplexity is a pseudo-perplexity.
    """
    if shots:
        answers, shown = _answers(model, exam, shots)
        prompted = Assessment(name=name, shots=shown)
        return _with_answers(prompted, exam, answers) if answers else prompted
    rank, world = place()
    evaluator = Evaluator(
        model=model,
        objective=exam.settings.objective,
        collate=exam.collate,
        batch=exam.settings.micro_batch,
        autocast=exam.autocast,
        rank=rank,
        world=world,
        beat=exam.beat,
    )
    read = {
        role: evaluator.read(rows, exam.tokenizer)
        for role in ROLES
        if len(rows := getattr(exam.rows, role))
    }
    found = Assessment(name=name, losses={role: _losses(one) for role, one in read.items()})
    if exam.settings.objective in SAID_BY_ITSELF:
        return _with_labels(found, exam, read.get("validation", []))
    return _with_answers(found, exam, _answers(model, exam, 0)[0])


def majority(exam: Exam) -> Assessment:
    """Return what always saying the most frequent label of the training rows would reach."""
    counts: Counter[int] = Counter()
    for start in range(0, len(exam.rows.train), COUNTED_AT_ONCE):
        stop = min(start + COUNTED_AT_ONCE, len(exam.rows.train))
        found = exam.collate([exam.rows.train[number] for number in range(start, stop)])["labels"]
        counts.update(found[found != IGNORED].tolist())
    said = counts.most_common(1)[0][0]
    rows = [exam.collate([row])["labels"].reshape(-1) for row in exam.rows.validation]
    wanted = [row[row != IGNORED].tolist() for row in rows]
    readings = [Reading(0.0, len(one), 0, tuple(one), (said,) * len(one)) for one in wanted]
    return _with_labels(Assessment(name=f"always {_told(said, exam)}"), exam, readings)


def _losses(readings: Sequence[Reading]) -> Losses:
    nats, sizes = column(readings, "nats"), column(readings, "bytes")
    bits = ratio_of(nats / log(2), sizes) if sizes.any() else None
    return Losses(ratio_of(nats, column(readings, "tokens")), bits)


def _answers(model: Any, exam: Exam, shots: int) -> tuple[list[str], float]:  # noqa: ANN401
    """Return the answers to all questions, and how many examples they were shown on average.

    Examples may make a prompt as many times longer than a row: to read takes less memory than to
    learn. There are no answers where examples were wanted and fewer than one fits on average.
    """
    settings, questions = exam.settings, exam.questions
    if not questions:
        return [], 0.0
    writer = Writer(exam.tokenizer, settings.objective == "seq2seq")
    asked = [one for one in questions if one.turns is not None]
    longest = max(map(writer.reference, asked)) if asked else TEXT_TOKENS
    new = budget_of(longest, settings.seq_len)
    context = getattr(model.config, "max_position_embeddings", None) or settings.seq_len
    room = min(context, settings.seq_len * (1 + shots))
    written = [writer.fitting(one, exam.shown[:shots], room - new) for one in questions]
    shown = sum(count for _, count in written) / len(written)
    if shots and shown < 1:
        say("no example fits into a prompt beside its question")
        return [], 0.0
    say(f"{len(questions)} questions, answers of at most {new} tokens")
    speaker = Speaker(
        model=model,
        tokenizer=exam.tokenizer,
        new=new,
        seq_len=room,
        at_once=settings.micro_batch * settings.seq_len,
        autocast=exam.autocast,
        beat=exam.beat,
    )
    return speaker.answers([tokens for tokens, _ in written]), shown


def _with_answers(found: Assessment, exam: Exam, answers: Sequence[str]) -> Assessment:
    scored = answers[: exam.scored]
    references = [one.reference for one in exam.questions[: exam.scored]]
    tallies: dict[str, Tally] = {}
    details: dict[str, Any] = {}
    if exam.scores_text:
        tallies = texts.text_tallies(scored, references)
        details["chrf"] = texts.chrf(scored, references)
    if scored:
        seed = exam.settings.seed
        details["diversity"] = texts.diversity(scored, seed=seed)
        details["diversity_of_references"] = texts.diversity(references, seed=seed)
    return _rebuilt(found, exam, tallies, details, answers)


def _with_labels(found: Assessment, exam: Exam, readings: Sequence[Reading]) -> Assessment:
    """Return the assessment with what the model's own labels are worth."""
    objective, names = exam.settings.objective, exam.settings.labels
    tallies: dict[str, Tally] = {}
    details: dict[str, Any] = {}
    if readings and objective == "classification":
        wanted, said = (np.array([one[0] for one in part]) for part in _parts(readings))
        tallies = labels.label_tallies(wanted, said, len(names))
        details = labels.label_report(wanted, said, names)
        if readings[0].shares:
            shares = np.array([one.shares for one in readings])
            tallies["brier"] = labels.brier(shares, wanted)
            details["calibration_error"] = labels.calibration_error(shares, wanted)
    elif readings and objective == "extraction":
        tags = ([[names[tag] for tag in one] for one in part] for part in _parts(readings))
        tallies = labels.tag_tallies(*tags)
    elif readings:
        right = [sum(a == b for a, b in zip(one.wanted, one.said, strict=True)) for one in readings]
        tallies = {"accuracy": ratio_of(right, column(readings, "tokens"))}
    shown = readings[: exam.settings.samples]
    answers = [_spoken(one.said, exam) for one in shown]
    return _rebuilt(found, exam, tallies, details, answers)


def _parts(readings: Sequence[Reading]) -> tuple[list[Any], list[Any]]:
    return [one.wanted for one in readings], [one.said for one in readings]


def _rebuilt(
    found: Assessment,
    exam: Exam,
    tallies: dict[str, Tally],
    details: Mapping[str, Any],
    answers: Sequence[str],
) -> Assessment:
    """Return the assessment with these scores, and with the losses among them."""
    validation = found.losses.get("validation")
    if validation:
        tallies["loss"] = validation.loss
        if validation.bits:
            tallies["bits_per_byte"] = validation.bits
    return Assessment(
        name=found.name,
        losses=found.losses,
        tallies=tallies,
        details=details,
        answers=tuple(answers[: exam.settings.samples]),
        shots=found.shots,
    )


def samples_of(exam: Exam) -> list[Question]:
    """Return the questions that are shown: those asked, or rows that the model labels."""
    settings = exam.settings
    if settings.objective not in SAID_BY_ITSELF:
        return list(exam.questions[: settings.samples])
    rows = exam.rows.validation
    shown = [exam.collate([rows[number]]) for number in range(min(settings.samples, len(rows)))]
    return [_question(one, exam) for one in shown]


def _question(batch: Mapping[str, Any], exam: Exam) -> Question:
    wanted = batch["labels"].reshape(-1)
    ends = {exam.tokenizer.cls_token_id, exam.tokenizer.sep_token_id, exam.tokenizer.pad_token_id}
    ids = [token for token in batch["input_ids"][0].tolist() if token not in ends]
    reference = _spoken(tuple(wanted[wanted != IGNORED].tolist()), exam)
    return Question(exam.tokenizer.decode(ids), reference)


def _spoken(said: Sequence[int], exam: Exam) -> str:
    if exam.settings.objective in HEADS:
        return " ".join(_told(one, exam) for one in said)
    return str(exam.tokenizer.decode(list(said)))


def _told(label: int, exam: Exam) -> str:
    return exam.settings.labels[label]
