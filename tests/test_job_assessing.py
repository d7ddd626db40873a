"""Tiny models put to an exam: what they are asked, what they read and what they answer."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import job_runs as runs
import numpy as np
import pytest
import torch

from advisor.job.batches.collating import Collator
from advisor.job.batches.rows import lay_out, rows_of
from advisor.job.measuring.assessing import Exam, ExamRows, assess, majority, samples_of
from advisor.job.measuring.evaluation import Evaluator, perplexity
from advisor.job.measuring.questions import Writer, demonstrations, question_of
from advisor.job.measuring.speaking import Speaker, budget_of, ends_of
from advisor.job.models.scratch import from_scratch
from advisor.job.models.tokenizing import train_tokenizer
from advisor.job.plan import DataFile, Stage
from advisor.job.reading.corpus import Corpus
from advisor.job.records import survey
from advisor.job.settings import Settings, Shape
from advisor.job.signals import Stop

SHAPE = Shape(n_layers=2, hidden=32, n_heads=4, n_kv_heads=4, intermediate=64, vocab=420)
COLOURS = ("blue", "green", "red")
TAGS = ("B-COLOUR", "B-THING", "O")
HEADS = {
    "classification": {"labels": list(COLOURS)},
    "extraction": {"labels": list(TAGS)},
}
OBJECTIVES = ("clm", "mlm", "seq2seq", "classification", "extraction")


def rows_for(objective: str, count: int = 60) -> list[dict[str, Any]]:
    """Return records that the objective learns from, of many lengths."""
    if objective == "classification":
        return [
            {"text": f"{n}: {'a ' * (n % 9)}{COLOURS[n % 3]} thing", "label": COLOURS[n % 3]}
            for n in range(count)
        ]
    if objective == "extraction":
        return [
            {
                "tokens": [str(n), "the", COLOURS[n % 3], runs.WORDS[n % 7 + 8]],
                "tags": ["O", "O", *TAGS[:2]],
            }
            for n in range(count)
        ]
    if objective == "mlm":
        return [{"text": f"{one} {runs.WORDS[n % 16]}"} for n, one in enumerate(lines(count))]
    return runs.pairs(count)


def lines(count: int) -> list[str]:
    return [line for line in runs.text(count * 2).splitlines() if line][:count]


def settings_for(objective: str, **changes: Any) -> Settings:
    head = HEADS.get(objective, {})
    raw = runs.settings(
        **{
            "objective": objective,
            "packing": False,
            "seq_len": 48,
            "micro_batch": 5,
            "validation_share": 0.3,
            "eval_examples": 8,
            "samples": 2,
            **head,
            **changes,
        }
    )
    return Settings.from_dict(raw)


def corpus_of(folder: Path, rows: list[dict[str, Any]], settings: Settings) -> Corpus:
    data = runs.write_rows(folder / "data.jsonl", rows)
    (found,) = survey([data]).files
    file = DataFile(path=str(data), bytes=found.bytes, records=found.records, sha256=found.sha256)
    return Corpus.check(Stage(settings=settings, files=(file,)), Stop())


def tokenizer_for(objective: str) -> Any:
    kind = "mlm" if objective in HEADS else objective
    told = [json.dumps(row) for name in OBJECTIVES for row in rows_for(name)]
    return train_tokenizer([*told, runs.text()], SHAPE.vocab, objective=kind)


def model_for(objective: str, tokenizer: Any) -> Any:
    """Return a random model; of a head, one whose encoder is random too."""
    import transformers

    torch.manual_seed(3)
    if objective not in HEADS:
        model = from_scratch(SHAPE, tokenizer, seq_len=96, objective=objective)
    else:
        base = from_scratch(SHAPE, tokenizer, seq_len=96, objective="mlm").config
        base.num_labels = len(HEADS[objective]["labels"])
        kind = {
            "classification": transformers.BertForSequenceClassification,
            "extraction": transformers.BertForTokenClassification,
        }[objective]
        model = kind(base)
    for parameter in model.parameters():  # far from uniform, so that answers differ
        if parameter.dim() > 1:
            parameter.data.normal_(std=0.3)
    return model.eval()


def exam_of(folder: Path, objective: str, **changes: Any) -> tuple[Any, Exam, Corpus]:
    settings = settings_for(objective, **changes)
    tokenizer = tokenizer_for(objective)
    corpus = corpus_of(folder, rows_for(objective), settings)
    train, validation = lay_out(corpus, tokenizer, folder=folder, packing=False)
    collate = Collator(objective, tokenizer.pad_token_id)
    general = rows_of(
        corpus.part(held=True), tokenizer, settings, folder / "general", packing=False
    )
    exam = Exam.of(corpus, tokenizer, ExamRows(train, validation, general), collate)
    return model_for(objective, tokenizer), exam, corpus


def evaluator(model: Any, exam: Exam, **changes: Any) -> Evaluator:
    options = {"objective": exam.settings.objective, "collate": exam.collate, "batch": 4}
    return Evaluator(model=model, **(options | changes))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_loss_is_the_models_own_over_all_that_counts(tmp_path: Path, objective: str) -> None:
    model, exam, _ = exam_of(tmp_path, objective)
    rows = exam.rows.validation
    batch = exam.collate([rows[n] for n in range(len(rows))])
    batch.pop("tokens")
    with torch.no_grad():
        own = float(model(**batch).loss)
    found = evaluator(model, exam)
    assert found.loss(rows) == pytest.approx(own, rel=1e-5)
    readings = found.read(rows, exam.tokenizer)
    nats, tokens = (sum(one) for one in zip(*(r[:2] for r in readings), strict=True))
    assert nats / tokens == pytest.approx(own, rel=1e-5)
    assert len(readings) == len(rows)


def test_rows_that_are_read_by_two_processes_make_the_same_loss(tmp_path: Path) -> None:
    model, exam, _ = exam_of(tmp_path, "clm")
    rows, parts = exam.rows.validation, []

    def total(values: list[float]) -> list[float]:
        parts.append(values)
        return values

    for rank in (0, 1):
        evaluator(model, exam, rank=rank, world=2, total=total).loss(rows)
    nats, tokens = (sum(one) for one in zip(*parts, strict=True))
    assert nats / tokens == pytest.approx(evaluator(model, exam).loss(rows), rel=1e-5)


@pytest.mark.parametrize("objective", ["clm", "mlm"])
def test_looking_changes_nothing(tmp_path: Path, objective: str) -> None:
    model, exam, _ = exam_of(tmp_path, objective)
    model.train()
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002 - the one shared
    first = evaluator(model, exam).loss(exam.rows.validation)
    assert evaluator(model, exam).loss(exam.rows.validation) == first
    assert model.training
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002


def test_no_rows_have_no_loss(tmp_path: Path) -> None:
    model, exam, _ = exam_of(tmp_path, "clm", validation_share=0)
    assert evaluator(model, exam).loss(exam.rows.validation) is None
    assert perplexity(None) is None
    assert perplexity(1000) is None


def test_bits_per_byte_are_nats_over_the_bytes_of_the_text_that_counts(tmp_path: Path) -> None:
    model, exam, corpus = exam_of(tmp_path, "clm")
    found = assess(model, exam).losses["validation"].to_dict()
    held = list(corpus.part(held=True))
    # Of a pair the completion counts, the token that ends it, and the blank line of the template.
    size = sum(len(record.completion.encode()) + 2 for record in held)
    told = [f"{record.completion}{exam.tokenizer.eos_token}\n\n" for record in held]
    tokens = sum(len(exam.tokenizer(text)["input_ids"]) for text in told)
    assert found["bits_per_byte"] == pytest.approx(found["loss"] * tokens / size / np.log(2))
    assert found["perplexity_per_byte"] == pytest.approx(2 ** found["bits_per_byte"])
    assert found["perplexity"] == pytest.approx(np.exp(found["loss"]))


def gpt2(tokenizer: Any) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(1)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=96,
            eos_token_id=tokenizer.eos_token_id, bos_token_id=None, initializer_range=0.3,
        )
    ).eval()  # fmt: skip


def with_prefix(tokenizer: Any) -> Any:
    from peft import PrefixTuningConfig, get_peft_model

    config = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    return get_peft_model(model_for("clm", tokenizer), config).eval()


def with_prompt(tokenizer: Any) -> Any:
    from peft import PromptTuningConfig, get_peft_model

    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    return get_peft_model(model_for("clm", tokenizer), config).eval()


SPEAKERS: dict[str, Callable[[Any], Any]] = {
    "llama": lambda tokenizer: model_for("clm", tokenizer),
    "gpt2": gpt2,
    "t5": lambda tokenizer: model_for("seq2seq", tokenizer),
    "prefix": with_prefix,
    "prompt": with_prompt,
}


@pytest.mark.filterwarnings("ignore")  # peft and transformers on each other's old names
@pytest.mark.parametrize("kind", SPEAKERS)
def test_answers_in_a_batch_are_those_of_each_alone(kind: str) -> None:
    tokenizer = tokenizer_for("seq2seq" if kind == "t5" else "clm")
    model = SPEAKERS[kind](tokenizer)
    texts = [f"{'the red ' * (n * 3 % 5)}house {n}" for n in range(6)]
    prompts = [tokenizer(text)["input_ids"] for text in texts]
    options = {"model": model, "tokenizer": tokenizer, "new": 8, "seq_len": 64}
    alone = Speaker(**options, at_once=1).answers(prompts)
    together = Speaker(**options, at_once=10_000).answers(prompts)
    assert together == alone
    assert len(set(alone)) > 1


def test_a_base_that_brings_its_own_way_of_decoding_is_asked_greedily() -> None:
    tokenizer = tokenizer_for("clm")
    model = model_for("clm", tokenizer)
    options = {"model": model, "tokenizer": tokenizer, "new": 8, "seq_len": 64, "at_once": 500}
    prompts = [tokenizer("the red house")["input_ids"]]
    plain = Speaker(**options).answers(prompts)
    model.generation_config.update(do_sample=True, temperature=3.0, repetition_penalty=5.0)
    assert Speaker(**options).answers(prompts) == plain


def test_an_answer_ends_within_its_budget_and_where_a_turn_ends() -> None:
    assert budget_of(20, 512) == 36
    assert budget_of(4000, 512) == 256
    tokenizer = tokenizer_for("clm")
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|end|>"]})
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role + ':' + m.content + '<|end|>' }}{% endfor %}"
    )
    model = model_for("clm", tokenizer)
    assert tokenizer.convert_tokens_to_ids("<|end|>") in ends_of(model, tokenizer)
    prompts = [tokenizer("the red house")["input_ids"]]
    beats = []
    options = {"model": model, "tokenizer": tokenizer, "new": 5, "seq_len": 64, "at_once": 500}
    Speaker(**options, beat=lambda: beats.append(1)).answers(prompts)
    assert 1 <= len(beats) <= 5


def test_examples_come_from_the_training_records_and_fit(tmp_path: Path) -> None:
    _, exam, corpus = exam_of(tmp_path, "clm", shots=3, seq_len=96)
    held = {record.prompt for record in corpus.part(held=True)}
    assert len(exam.shown) == 3
    assert not held & {one.prompt for one in exam.shown}
    again = demonstrations(corpus.part(held=False), 3, exam.settings.seed)
    assert again == exam.shown
    writer = Writer(exam.tokenizer, seq2seq=False)
    question = exam.questions[0]
    bare, whole = (len(writer.tokens(question, shown)) for shown in ((), exam.shown))
    assert writer.fitting(question, exam.shown, whole)[1] == 3
    assert 0 < writer.fitting(question, exam.shown, whole - 1)[1] < 3
    assert writer.fitting(question, exam.shown, bare)[1] == 0
    text = exam.tokenizer.decode(writer.tokens(question, exam.shown))
    assert text.endswith(exam.tokenizer.decode(writer.tokens(question)))
    assert all(one.reference in text for one in exam.shown)


def test_where_no_example_fits_nothing_is_asked(tmp_path: Path) -> None:
    model, exam, _ = exam_of(tmp_path, "clm", shots=2, seq_len=48)
    long = tuple(one._replace(prompt="why " * 200) for one in exam.shown)
    found = assess(model, replace(exam, shown=long), 2)
    assert (found.shots, found.answers, found.tallies) == (0, (), {})


def test_the_system_turn_stays_before_the_examples() -> None:
    turns = ({"role": "system", "content": "Be terse."}, {"role": "user", "content": "Why?"})
    record = runs_record([*turns, {"role": "assistant", "content": "So."}])
    question = question_of(record)
    assert (question.prompt, question.reference) == ("Why?", "So.")
    tokenizer = tokenizer_for("clm")
    writer = Writer(tokenizer, seq2seq=False)
    text = tokenizer.decode(writer.tokens(question, [question]))
    assert text.count("Be terse.") == 1
    assert text.count("Why?") == 2
    assert text.index("Be terse.") < text.index("So.")


def runs_record(turns: list[dict[str, str]]) -> Any:
    from advisor.job.reading.rows import record_of

    return record_of({"messages": turns}, path="x", line=1)


@pytest.mark.parametrize("objective", ["clm", "seq2seq"])
def test_a_generative_model_is_scored_on_its_answers(tmp_path: Path, objective: str) -> None:
    model, exam, _ = exam_of(tmp_path, objective, shots=2, seq_len=96)
    found, prompted = assess(model, exam), assess(model, exam, 2)
    assert {"exact_match", "token_f1", "bleu", "rouge_l", "loss"} <= set(found.tallies)
    assert {"chrf", "diversity"} <= set(found.details)
    assert found.tallies["exact_match"].examples == len(exam.questions) == 8
    assert len(found.answers) == len(samples_of(exam)) == 2
    assert set(found.losses) == {"validation", "general"}
    assert 0 < prompted.shots <= 2
    assert not prompted.losses
    assert exam.headline in found.tallies
    json.dumps(found.scores(), allow_nan=False)


def test_text_that_goes_on_is_not_scored_but_told_for_its_variety(tmp_path: Path) -> None:
    settings = settings_for("clm", eval_examples=4)
    tokenizer = tokenizer_for("clm")
    rows = [{"text": line} for line in lines(40)]
    corpus = corpus_of(tmp_path, rows, settings)
    laid = lay_out(corpus, tokenizer, folder=tmp_path, packing=False)
    exam = Exam.of(corpus, tokenizer, ExamRows(*laid), Collator("clm", tokenizer.pad_token_id))
    found = assess(model_for("clm", tokenizer), exam)
    assert set(found.tallies) == {"loss", "bits_per_byte"}
    assert found.details["diversity"]["distinct_1"] is not None
    assert exam.headline == "loss"


def test_where_nothing_is_held_out_nothing_is_scored(tmp_path: Path) -> None:
    model, exam, _ = exam_of(tmp_path, "clm", validation_share=0)
    found = assess(model, exam)
    assert (exam.scored, len(exam.questions), len(found.answers)) == (0, 2, 2)
    assert not found.tallies


@pytest.mark.parametrize("objective", ["classification", "extraction"])
def test_a_head_is_scored_beside_the_majority(tmp_path: Path, objective: str) -> None:
    model, exam, corpus = exam_of(tmp_path, objective)
    found, always = assess(model, exam), majority(exam)
    assert exam.headline in found.tallies
    assert exam.headline in always.tallies
    held = list(corpus.part(held=True))
    wanted = [label for record in held for label in record.labels]
    learned = [label for record in corpus.part(held=False) for label in record.labels]
    most = max(set(learned), key=learned.count)
    assert always.name == f"always {most}"
    assert always.tallies["accuracy"].value == pytest.approx(
        wanted.count(most) / len(wanted), abs=0.02
    )
    assert set(found.answers[0].split()) <= set(exam.settings.labels)
    assert [one.reference for one in samples_of(exam)]
    if objective == "classification":
        assert 0 <= found.details["calibration_error"] <= 1
        assert "brier" in found.tallies
        assert "brier" not in always.tallies
    json.dumps(found.scores(), allow_nan=False)


def test_a_masked_model_fills_in_and_its_samples_show_the_gaps(tmp_path: Path) -> None:
    model, exam, _ = exam_of(tmp_path, "mlm")
    found = assess(model, exam)
    assert exam.headline == "loss"
    assert found.losses["validation"].bits is None
    assert 0 <= found.tallies["accuracy"].value <= 1
    (first, _) = samples_of(exam)
    assert first.reference
    assert "[CLS]" not in first.prompt


def task_of(folder: Path, settings: Settings, base: Path | None) -> tuple[Any, Corpus]:
    """Return what training leaves to be compared, with weights that learned nothing yet."""
    from advisor.job.models.assembling import assemble
    from advisor.job.models.hardware import hardware_for
    from advisor.job.state import RunState
    from advisor.job.training.loop import Task

    corpus = corpus_of(folder, rows_for(settings.objective), settings)
    hardware = hardware_for(settings)
    torch.manual_seed(settings.seed)
    tokenizer, model = assemble(
        settings,
        base=base,
        earlier=None,
        texts=lambda: [json.dumps(row) for row in rows_for(settings.objective)],
        hardware=hardware,
    )
    rows = lay_out(corpus, tokenizer, folder=folder, packing=False)
    state = RunState(path=folder / "run.json", writes=False)
    task = Task(
        folder=folder, settings=settings, hardware=hardware, identity=None, state=state,
        stop=Stop(), model=model, tokenizer=tokenizer, train=rows[0], validation=rows[1],
        collate=Collator(settings.objective, tokenizer.pad_token_id), resume=None,
    )  # fmt: skip
    return task, corpus


def shaken(model: Any) -> None:
    """Change what trains, as a training would."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.3 * torch.randn_like(parameter)


LORA = {
    "approach": "lora",
    "method": "lora",
    "lora": {"rank": 4, "alpha": 8, "dropout": 0.0, "targets": "all-linear"},
}
ZERO_SHOT = {"approach": "no_training", "method": "few_shot", "shots": 1, "max_steps": None}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tokenizer = tokenizer_for("clm")
    tokenizer.save_pretrained(folder)
    model_for("clm", tokenizer).save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks transformers for an old name
@pytest.mark.parametrize("changes", [LORA, {}, ZERO_SHOT])
def test_the_base_is_measured_as_it_was_and_the_tuned_model_stays_as_it_is(
    tmp_path: Path, base: Path, changes: dict[str, Any]
) -> None:
    from contextlib import nullcontext

    from advisor.job.measuring.comparing import compare

    options = {"base_model": str(base), "shots": 1, "seq_len": 96, **changes}
    task, corpus = task_of(tmp_path, settings_for("clm", **options), base)
    untouched = evaluator_for(task).loss(task.validation)
    if task.settings.trains:
        shaken(task.model)
    tuned = evaluator_for(task).loss(task.validation)
    found = compare(task, corpus, base=base, autocast=nullcontext)
    assert found.paired
    assert found.base.losses["validation"].loss.value == pytest.approx(untouched)
    assert found.prompted is not None
    assert found.prompted.shots == 1
    assert evaluator_for(task).loss(task.validation) == tuned
    if not task.settings.trains:
        assert found.tuned is None
        return
    assert found.tuned is not None
    assert found.tuned.losses["validation"].loss.value == pytest.approx(tuned)
    assert tuned != pytest.approx(untouched)


def test_a_model_from_scratch_is_compared_with_its_random_weights_by_losses_alone(
    tmp_path: Path,
) -> None:
    from contextlib import nullcontext

    from advisor.job.measuring.comparing import compare

    shape = {
        "n_layers": 2, "hidden": 32, "n_heads": 4, "n_kv_heads": 4, "intermediate": 64,
        "vocab": 420,
    }  # fmt: skip
    options = {"approach": "pretrain", "base_model": None, "shape": shape}
    task, corpus = task_of(tmp_path, settings_for("clm", **options), None)
    before = evaluator_for(task).loss(task.validation)
    shaken(task.model)
    found = compare(task, corpus, base=None, autocast=nullcontext)
    assert found.base.losses["validation"].loss.value == pytest.approx(before, rel=1e-6)
    assert found.base.answers == ()
    assert found.prompted is None


def evaluator_for(task: Any) -> Evaluator:
    return Evaluator(
        model=task.model, objective=task.settings.objective, collate=task.collate, batch=5
    )
