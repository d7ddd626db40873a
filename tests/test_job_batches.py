"""From records to batches: what is learned, how rows are filled, what a batch holds."""

import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import job_runs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from transformers import BloomConfig, BloomForCausalLM, LlamaConfig, LlamaForCausalLM

from advisor.job.batches import filling, storage
from advisor.job.batches import packing as packing_module
from advisor.job.batches.collating import Collator
from advisor.job.batches.encoding import Encoder
from advisor.job.batches.noise import Masks, Spans
from advisor.job.batches.order import order_of
from advisor.job.batches.packing import (
    MUTE,
    NOTHING,
    Block,
    Layout,
    Page,
    keeps_examples_apart,
    unmarked,
)
from advisor.job.batches.rendering import IGNORED, dialogue_pieces
from advisor.job.batches.replay import held_general
from advisor.job.batches.rows import Rows, lay_out, rows_of
from advisor.job.faults import DataError, JobError
from advisor.job.models.tokenizing import train_tokenizer
from advisor.job.plan import DataFile, Stage
from advisor.job.reading.corpus import Corpus
from advisor.job.records import Record, file_sha256
from advisor.job.settings import Settings
from advisor.job.signals import Stop

pytestmark = pytest.mark.slow
SENTENCES = ["Where is the red house?", "It is by the river.", "And the green one?", "By the sea."]
# An im_start template as many instruct models have it, here without their system prompts.
CHATML = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# Hides what the assistant thought in all turns but the last, as reasoning models' templates do.
HIDING = (
    "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' and not loop.last %}"
    "{{ m.content.split('|')[-1] }}{% else %}{{ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
REFUSING = "{{ raise_exception('roles must alternate') }}"
LABELS = {"objective": "classification", "labels": ["calm", "urgent"], "packing": False}
TAGS = {"objective": "extraction", "labels": ["O", "PLACE"], "packing": False}
SEQ2SEQ = {"objective": "seq2seq", "packing": False}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(SENTENCES * 3, 300)


@pytest.fixture(scope="module")
def masking() -> Any:
    return train_tokenizer(SENTENCES * 3, 300, objective="mlm")


@pytest.fixture(scope="module")
def spanning() -> Any:
    return train_tokenizer(SENTENCES * 3, 400, objective="seq2seq")


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return LlamaForCausalLM(config).eval()


def settings(**changes: Any) -> Settings:
    return Settings.from_dict(job_runs.settings(**changes))


def text(content: str, line: int = 1) -> Record:
    return Record("data.jsonl", line, "text", text=content)


def pair(prompt: str, completion: str, line: int = 1) -> Record:
    return Record("data.jsonl", line, "prompt_completion", prompt=prompt, completion=completion)


def dialogue(*contents: str, first: str = "user") -> Record:
    roles = ("user", "assistant") if first == "user" else ("assistant", "user")
    turns = tuple({"role": roles[n % 2], "content": c} for n, c in enumerate(contents))
    return Record("data.jsonl", 1, "messages", messages=turns)


def labelled(content: str, label: str, line: int = 1) -> Record:
    return Record("data.jsonl", line, "label", text=content, label=label)


def tagged(tokens: str, tags: str) -> Record:
    words, named = tuple(tokens.split()), tuple(tags.split())
    return Record("data.jsonl", 1, "tags", tokens=words, tags=named)


@pytest.fixture
def rows(tmp_path: Path) -> Any:
    def made(records: list[Record], tokenizer: Any, **changes: Any) -> Rows:
        chosen = settings(**changes)
        return rows_of(records, tokenizer, chosen, tmp_path / "rows", chosen.packing)

    return made


def learned(block: Block, tokenizer: Any) -> str:
    return tokenizer.decode(block.ids[block.labels != IGNORED])


# What the loss counts on.


def test_the_loss_counts_on_the_completion_and_its_end_only(tokenizer: Any, rows: Any) -> None:
    (row,) = rows([pair(SENTENCES[0], SENTENCES[1])], tokenizer, seq_len=256)
    assert learned(row, tokenizer).strip() == SENTENCES[1] + tokenizer.eos_token
    assert tokenizer.decode(row.ids).startswith(f"### user\n{SENTENCES[0]}\n\n### assistant\n")
    counts = row.labels != IGNORED
    assert (row.labels[counts] == row.ids[counts]).all()


def test_the_loss_counts_on_all_where_the_settings_say_so(tokenizer: Any, rows: Any) -> None:
    for packing in (True, False):
        (row,) = rows(
            [pair(*SENTENCES[:2])], tokenizer, seq_len=256, loss_on="all", packing=packing
        )
        assert (row.labels[1:] == row.ids[1:]).all()


@pytest.mark.parametrize("template", [None, CHATML], ids=["plain", "own"])
def test_the_loss_counts_on_every_assistant_turn(
    tokenizer: Any, rows: Any, monkeypatch: pytest.MonkeyPatch, template: str | None
) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", template)
    record = dialogue(*SENTENCES)
    pieces = dialogue_pieces(list(record.messages), tokenizer)
    answers = [content for content, counts in pieces if counts]
    assert [s in a for s, a in zip(SENTENCES[1::2], answers, strict=True)] == [True, True]
    (row,) = rows([record], tokenizer, seq_len=512)
    assert not any(s in learned(row, tokenizer) for s in SENTENCES[0::2])
    assert all(s in learned(row, tokenizer) for s in SENTENCES[1::2])
    assert "".join(content for content, _ in pieces) == tokenizer.decode(row.ids)


def test_a_turn_that_the_template_shows_otherwise_later_is_not_learned(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", HIDING)
    turns = dialogue("a", "thought|first", "b", "thought|second").messages
    pieces = dialogue_pieces(list(turns), tokenizer)
    assert [content for content, counts in pieces if counts] == ["thought|second"]


def test_a_dialogue_may_begin_with_the_assistant(tokenizer: Any, rows: Any) -> None:
    record = dialogue("Hello!", *SENTENCES[:2], first="assistant")
    (row,) = rows([record], tokenizer, seq_len=512)
    assert SENTENCES[1] in learned(row, tokenizer)
    assert SENTENCES[0] not in learned(row, tokenizer)


def test_a_labelled_text_asks_for_its_label(tokenizer: Any, rows: Any) -> None:
    (row,) = rows([labelled(SENTENCES[0], "calm")], tokenizer, seq_len=256)
    assert learned(row, tokenizer).strip() == "calm" + tokenizer.eos_token


def test_texts_end_with_the_end_of_text_token_and_are_learned_whole(
    tokenizer: Any, rows: Any
) -> None:
    row = rows([text(SENTENCES[0])], tokenizer)[0]
    assert row.ids[-1] == tokenizer.eos_token_id
    assert (row.labels == row.ids).all()


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (text("no label here", 7), LABELS),
        (labelled("some text", "merry", 7), LABELS),
        (labelled("some text", "calm", 7), TAGS),
        (Record("data.jsonl", 7, "tags", tokens=("a",), tags=("B-X",)), TAGS),
        (Record("data.jsonl", 7, "tags", tokens=("a",), tags=("O",)), {}),
        (pair("a question", "", 7), SEQ2SEQ),
    ],
    ids=["no label", "unknown label", "no tags", "unknown tag", "tags to write", "empty answer"],
)
def test_what_an_objective_cannot_learn_from_is_told_by_file_and_line_or_skipped(
    record: Record, changes: dict[str, Any], spanning: Any, rows: Any
) -> None:
    with pytest.raises(DataError) as caught:
        rows([record], spanning, **changes)
    assert [fault.where for fault in caught.value.faults] == ["data.jsonl:7"]
    assert len(rows([record], spanning, bad_records="skip", **changes)) == 0


def test_a_dialogue_that_the_template_refuses_is_told_by_file_and_line(
    tokenizer: Any, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", REFUSING)
    with pytest.raises(DataError) as caught:
        rows([pair("a", "b", 3), pair("a", "c", 4)], tokenizer)
    assert [fault.line for fault in caught.value.faults] == [3, 4]
    assert "roles must alternate" in caught.value.faults[0].reason


@pytest.mark.parametrize("changes", [{"objective": "mlm"}, SEQ2SEQ], ids=["mlm", "seq2seq"])
def test_a_tokenizer_that_cannot_hide_anything_is_refused(
    tokenizer: Any, rows: Any, changes: dict[str, Any]
) -> None:
    with pytest.raises(JobError, match="its tokenizer has no"):
        rows([text(SENTENCES[0])], tokenizer, **changes)


# Masked tokens.


def long_text(words: int = 400) -> str:
    chance = np.random.default_rng(5)
    return " ".join(job_runs.WORDS[n] for n in chance.integers(0, 16, words))


def test_masked_rows_are_full_and_stand_between_the_tokens_of_the_family(
    masking: Any, rows: Any
) -> None:
    records = [text(sentence) for sentence in SENTENCES * 12]
    made = rows(records, masking, objective="mlm", seq_len=32)
    whole = [block.ids.copy() for block in made]
    for ids, block in zip(whole, made, strict=True):
        hidden = block.labels != IGNORED
        ids[hidden] = block.labels[hidden]
    assert {len(ids) for ids in whole[:-1]} == {32}
    assert all(ids[0] == masking.cls_token_id and ids[-1] == masking.sep_token_id for ids in whole)
    inner = masking.decode(np.concatenate([ids[1:-1] for ids in whole]))
    assert inner.replace("[SEP]", "\n").split("\n") == [*SENTENCES * 12, ""]


def test_of_the_tokens_15_percent_are_hidden_and_of_these_80_10_10() -> None:
    special = np.array([0, 1], dtype=np.int32)
    masks = Masks(mask=2, vocabulary=100_000, special=special)
    ids = np.concatenate([[0], np.arange(3, 20_003), [1]]).astype(np.int32)
    read, labels = masks.hidden(ids, np.random.default_rng(0))
    hidden = labels != IGNORED
    assert hidden.sum() == 3000
    assert not hidden[[0, -1]].any()
    assert (labels[hidden] == ids[hidden]).all()
    assert (read[~hidden] == ids[~hidden]).all()
    assert (read[hidden] == 2).mean() == pytest.approx(0.8, abs=0.03)
    assert (read[hidden] == ids[hidden]).mean() == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (pair("one two", "three"), "one two\nthree"),
        (dialogue("one", "two"), "one\ntwo"),
        (labelled("one two", "calm"), "one two"),
        (tagged("one two", "O O"), "one two"),
    ],
    ids=["pair", "dialogue", "label", "tags"],
)
def test_mlm_reads_the_text_of_any_record(
    masking: Any, rows: Any, record: Record, said: str
) -> None:
    (row,) = rows([record], masking, objective="mlm", packing=False)
    ids = np.where(row.labels == IGNORED, row.ids, row.labels)
    assert masking.decode(ids[1:-1]) == said


@pytest.mark.parametrize("objective", ["mlm", "seq2seq"])
def test_what_is_hidden_follows_from_seed_epoch_and_row_alone(
    objective: str, masking: Any, spanning: Any, tmp_path: Path
) -> None:
    tokenizer = masking if objective == "mlm" else spanning
    records = [text(long_text(), n) for n in range(3)]

    def made(seed: int, place: str) -> Rows:
        chosen = settings(objective=objective, packing=objective == "mlm", seed=seed)
        return rows_of(records, tokenizer, chosen, tmp_path / place, chosen.packing)

    def seen(rows: Rows, epoch: int, order: Any) -> dict[int, list[int]]:
        rows.set_epoch(epoch)
        return {n: [*rows[n].ids, *rows[n].labels] for n in order}

    one, again, other = made(1, "a"), made(1, "b"), made(2, "c")
    forwards, backwards = range(len(one)), reversed(range(len(one)))
    first = seen(one, 0, forwards)
    second = seen(one, 1, forwards)
    assert seen(again, 1, backwards) == second
    assert seen(one, 0, forwards) == first
    assert all(first[n] != second[n] for n in first)
    assert seen(other, 0, forwards) != first


# Spans.


def restored(read: Any, answer: Any, spans: Spans) -> list[int]:
    """Put each span of the answer where its sentinel stands in the input."""
    told: dict[int, list[int]] = {}
    for token in answer[:-1].tolist():
        if token in spans.sentinels:
            current = told.setdefault(token, [])
        else:
            current.append(token)
    body = read[len(spans.opening) : len(read) - len(spans.closing)].tolist()
    return [one for token in body for one in told.get(token, [token])]


@given(length=st.integers(2, 700), seed=st.integers(0, 2**32), sentinels=st.integers(1, 100))
@example_settings(deadline=None)
def test_no_token_is_lost_or_moved_by_hiding_spans(length: int, seed: int, sentinels: int) -> None:
    closing = np.array([1], dtype=np.int32)
    spans = Spans(np.arange(5000, 5000 + sentinels, dtype=np.int32), NOTHING, closing, 1)
    ids = np.arange(10, 10 + length, dtype=np.int32)
    read, answer = spans.hidden(ids, np.random.default_rng(seed))
    assert read[-1] == answer[-1] == 1
    assert restored(read, answer, spans) == ids.tolist()
    hidden = len(set(answer.tolist()) & set(ids.tolist()))
    assert hidden == min(max(1, round(0.15 * length)), length - 1)


def test_hidden_spans_have_3_tokens_on_average() -> None:
    spans = Spans(np.arange(5000, 5100, dtype=np.int32), NOTHING, NOTHING, 1)
    _, answer = spans.hidden(np.arange(10, 1010, dtype=np.int32), np.random.default_rng(1))
    assert (answer >= 5000).sum() == 50
    assert ((answer >= 10) & (answer < 5000)).sum() == 150


@given(seq_len=st.integers(8, 600))
@example_settings(deadline=None)
def test_text_is_as_long_as_fills_the_input_once_its_spans_are_hidden(seq_len: int) -> None:
    closing = np.array([1], dtype=np.int32)
    spans = Spans(np.arange(5000, 5100, dtype=np.int32), NOTHING, closing, 1)

    def shown(width: int) -> int:
        return len(spans.hidden(np.arange(width, dtype=np.int32), np.random.default_rng(0))[0])

    width = spans.width(seq_len)
    assert shown(width) <= seq_len < shown(width + 1)


def test_texts_fill_the_inputs_of_an_encoder_decoder(spanning: Any, rows: Any) -> None:
    made = rows([text(long_text(60), n) for n in range(20)], spanning, **SEQ2SEQ)
    assert {len(block.ids) for block in made[:-1]} == {64}
    assert all(block.labels[-1] == spanning.eos_token_id for block in made)


def test_an_encoder_decoder_reads_the_question_and_writes_the_answer(
    spanning: Any, rows: Any
) -> None:
    records = [pair(*SENTENCES[:2]), dialogue(*SENTENCES[:2]), dialogue(*SENTENCES)]
    made = rows(records, spanning, seq_len=256, **SEQ2SEQ)
    end = spanning.eos_token
    asked = [spanning.decode(block.ids) for block in made]
    told = [spanning.decode(block.labels) for block in made]
    assert made.lengths.tolist() == [len(block.ids) + len(block.labels) for block in made]
    assert asked[:2] == [SENTENCES[0] + end] * 2
    assert all(sentence in asked[2] for sentence in SENTENCES[:3])
    assert told == [SENTENCES[1] + end, SENTENCES[1] + end, SENTENCES[3] + end]


# Labels and tags.


def test_a_text_has_the_number_of_its_label(masking: Any, rows: Any) -> None:
    records = [labelled("by the sea", "calm"), labelled("a red house " * 50, "urgent")]
    made = rows(records, masking, **LABELS)
    assert [block.labels.tolist() for block in made] == [[0], [1]]
    assert made.lengths.tolist() == [len(block.ids) for block in made]
    assert masking.decode(made[0].ids) == "[CLS]by the sea[SEP]"
    assert len(made[1].ids) == 64
    assert made[1].ids[-1] == masking.sep_token_id


def test_the_first_piece_of_each_word_has_its_tag(masking: Any, rows: Any) -> None:
    record = tagged("Uppsala lies by Stockholm", "PLACE O O PLACE")
    (row,) = rows([record], masking, **TAGS)
    tagged_pieces = [int(n) for n in row.labels if n != IGNORED]
    assert tagged_pieces == [1, 0, 0, 1]
    firsts = np.flatnonzero(row.labels != IGNORED)
    words = [masking.decode(part) for part in np.split(row.ids, firsts)[1:]]
    assert words == ["Uppsala", " lies", " by", " Stockholm[SEP]"]


def test_words_beyond_the_row_are_cut_with_their_tags(masking: Any, rows: Any) -> None:
    (row,) = rows([tagged("house " * 100, "O " * 100)], masking, **TAGS)
    assert len(row.ids) == len(row.labels) == 64
    assert row.ids[-1] == masking.sep_token_id
    assert row.labels[-1] == row.labels[0] == IGNORED


# Filling rows.


class Kept(list[Any]):
    """The rows that a layout emits, kept in memory."""

    def add(self, ids: Any, labels: Any) -> None:
        assert not len(labels)
        self.append(unmarked(ids))


def marked(ids: Any, prompt: int = 0) -> Any:
    ids = np.array(ids, dtype=np.int32)
    ids[:prompt] |= MUTE
    return ids


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=20),
    seq_len=st.integers(8, 32),
    packing=st.booleans(),
)
@example_settings(deadline=None)
def test_no_token_of_a_text_is_lost_or_doubled(
    lengths: list[int], seq_len: int, packing: bool
) -> None:
    kept = Kept()
    layout = Layout(kept.add, seq_len=seq_len, page=Page(seq_len, joined=packing))
    for n, length in enumerate(lengths):
        layout.text(marked(np.arange(length) + 1000 * n))
    layout.finish()
    assert all(1 < len(block.ids) <= seq_len for block in kept)
    if packing:
        laid = np.concatenate([block.ids for block in kept]) if kept else np.array([])
        given_ids = np.concatenate([np.arange(n) + 1000 * i for i, n in enumerate(lengths)])
        # One token alone predicts nothing, so such a rest has no row.
        assert laid.tolist() == given_ids[: len(laid)].tolist()
        assert len(given_ids) - len(laid) <= 1


@given(lengths=st.lists(st.integers(4, 40), min_size=1, max_size=60), seq_len=st.integers(8, 32))
@example_settings(deadline=None)
def test_packed_examples_stay_whole_or_are_counted_as_cut(lengths: list[int], seq_len: int) -> None:
    kept = Kept()
    layout = Layout(kept.add, seq_len=seq_len, page=Page(seq_len, joined=True), packing=True)
    layout.examples([marked(np.arange(n) + 100 * i, prompt=3) for i, n in enumerate(lengths)])
    layout.finish()
    assert layout.cut == sum(length > seq_len for length in lengths)
    starts = sorted(int(block.ids[i]) for block in kept for i in starts_of(block))
    assert starts == [100 * n for n in range(len(lengths))]
    laid = sum(len(block.ids) for block in kept)
    assert laid == sum(min(length, seq_len) for length in lengths)
    assert all(len(block.ids) <= seq_len for block in kept)


def starts_of(block: Block) -> Any:
    return [0] if block.positions is None else np.flatnonzero(block.positions == 0)


def test_an_example_whose_answer_lies_beyond_the_cut_is_dropped_and_counted() -> None:
    kept = Kept()
    layout = Layout(kept.add, seq_len=8, page=Page(8, joined=False))
    layout.examples([marked(range(20), prompt=10)])
    layout.finish()
    assert (kept, layout.cut, layout.dropped) == ([], 1, 1)


@pytest.mark.parametrize("at_once", [20, 1000])
def test_packed_rows_are_nearly_full(at_once: int) -> None:
    """Lengths as in instruction data: log-normal, the middle at 180 tokens."""
    lengths = np.random.default_rng(3).lognormal(5.2, 0.9, 20_000).clip(10, 2048).astype(int)
    kept = Kept()
    layout = Layout(kept.add, seq_len=2048, page=Page(2048, joined=True), packing=True)
    for start in range(0, len(lengths), at_once):
        layout.examples([marked(np.ones(n), 3) for n in lengths[start : start + at_once]])
    layout.finish()
    filled = sum(len(block.ids) for block in kept) / (2048 * len(kept))
    assert filled > 0.99


def examples() -> list[Any]:
    chance = np.random.default_rng(1)
    return [
        marked(chance.integers(3, 300, int(length)), prompt=int(length) // 3)
        for length in chance.integers(6, 20, 40)
    ]


def blocks_of(*, packing: bool) -> list[Block]:
    kept = Kept()
    layout = Layout(kept.add, seq_len=64, page=Page(64, joined=packing), packing=packing)
    layout.examples(examples())
    layout.finish()
    return kept


def loss_of(model: Any, blocks: list[Block]) -> float:
    summed, counted = 0.0, 0
    for start in range(0, len(blocks), 4):
        batch = Collator("clm", 0)(blocks[start : start + 4])
        batch.pop("tokens")
        count = int((batch["labels"][:, 1:] != IGNORED).sum())
        with torch.no_grad():
            summed += float(model(**batch, use_cache=False).loss) * count
        counted += count
    return summed / counted


def test_packed_loss_equals_unpacked_loss(model: Any) -> None:
    packed, padded = (blocks_of(packing=packing) for packing in (True, False))
    assert len(packed) < len(padded) / 2
    assert loss_of(model, packed) == pytest.approx(loss_of(model, padded), rel=1e-5)


def test_the_equality_would_not_hold_if_examples_saw_each_other(model: Any) -> None:
    packed = blocks_of(packing=True)
    run_on = [replace(block, positions=None) for block in packed]
    assert loss_of(model, packed) != pytest.approx(loss_of(model, run_on), rel=1e-5)


def test_packed_gradients_equal_unpacked_gradients(model: Any) -> None:
    def gradient(blocks: list[Block]) -> torch.Tensor:
        model.zero_grad()
        batch = Collator("clm", 0)(blocks)
        count = (batch["labels"][:, 1:] != IGNORED).sum()
        batch.pop("tokens")
        model(**batch, num_items_in_batch=count, use_cache=False).loss.backward()
        return model.model.embed_tokens.weight.grad.clone()

    packed, padded = (gradient(blocks_of(packing=packing)) for packing in (True, False))
    torch.testing.assert_close(packed, padded, rtol=1e-4, atol=1e-6)


def test_models_that_mix_packed_examples_are_found_out(model: Any) -> None:
    assert keeps_examples_apart(model, 300)
    bloom = BloomForCausalLM(BloomConfig(vocab_size=300, hidden_size=32, n_layer=2, n_head=4))
    assert not keeps_examples_apart(bloom, 300)


@pytest.mark.filterwarnings("ignore:Position ids are not supported")
@pytest.mark.parametrize(
    ("method", "apart"),
    [("lora", True), ("dora", True), ("ia3", True), ("prefix", False), ("prompt", False)],
)
def test_a_method_keeps_examples_apart_unless_its_tokens_precede_them(
    method: str, apart: bool
) -> None:
    assert keeps_examples_apart(with_method(method), 300) == apart


def with_method(method: str) -> Any:
    import peft

    torch.manual_seed(0)
    base = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=300,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
        )
    )
    kind = {"task_type": "CAUSAL_LM"}
    modules = ["q_proj", "v_proj"]
    config = {
        "lora": lambda: peft.LoraConfig(**kind, target_modules=modules),
        "dora": lambda: peft.LoraConfig(**kind, target_modules=modules, use_dora=True),
        "ia3": lambda: peft.IA3Config(**kind, target_modules=modules, feedforward_modules=[]),
        "prefix": lambda: peft.PrefixTuningConfig(**kind, num_virtual_tokens=5),
        "prompt": lambda: peft.PromptTuningConfig(**kind, num_virtual_tokens=5),
    }
    return peft.get_peft_model(base, config[method]()).eval()


# Batches.


def test_padding_is_neither_seen_nor_counted(model: Any) -> None:
    blocks = blocks_of(packing=False)[:4]
    batch = Collator("clm", 0)(blocks)
    total = sum(len(block.ids) for block in blocks)
    assert int(batch["tokens"]) == total < batch["input_ids"].numel()
    assert_unseen(model, blocks, virtual=0)


@pytest.mark.parametrize(("method", "virtual"), [("prefix", 0), ("prompt", 5)])
def test_padding_behind_virtual_tokens_is_not_seen(method: str, virtual: int) -> None:
    assert_unseen(with_method(method), blocks_of(packing=False)[:4], virtual=virtual)


def assert_unseen(model: Any, blocks: list[Block], *, virtual: int) -> None:
    """Assert that the logits of each row are those of the row alone, whatever it is padded with."""

    def logits(blocks: list[Block], pad_id: int) -> Any:
        batch = Collator("clm", pad_id)(blocks)
        batch.pop("tokens")
        with torch.no_grad():
            return model(**batch, use_cache=False).logits[:, virtual:]

    one, other = logits(blocks, 0), logits(blocks, 17)
    for row, block in enumerate(blocks):
        length = len(block.ids)
        assert torch.equal(one[row, :length], other[row, :length])
        torch.testing.assert_close(one[row, :length], logits([block], 0)[0])


def block(ids: list[int], labels: list[int]) -> Block:
    return Block(ids=np.array(ids, dtype=np.int32), labels=np.array(labels, dtype=np.int32))


@pytest.mark.parametrize(
    ("objective", "labels", "expected", "tokens"),
    [
        ("mlm", ([IGNORED, 6, IGNORED], [7]), [[IGNORED, 6, IGNORED], [7, IGNORED, IGNORED]], 4),
        ("extraction", ([0, 1, 1], [0]), [[0, 1, 1], [0, IGNORED, IGNORED]], 4),
        ("seq2seq", ([8, 1], [9, 8, 7, 1]), [[8, 1, IGNORED, IGNORED], [9, 8, 7, 1]], 10),
        ("classification", ([1], [0]), [1, 0], 4),
    ],
)
def test_a_batch_is_padded_as_its_objective_needs_it(
    objective: str, labels: Any, expected: Any, tokens: int
) -> None:
    blocks = [block([5, 6, 7], labels[0]), block([7], labels[1])]
    batch = Collator(objective, 0)(blocks)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [7, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == expected
    assert int(batch["tokens"]) == tokens
    assert set(batch) == {"input_ids", "attention_mask", "labels", "tokens"}


def test_positions_are_given_only_where_examples_share_a_row() -> None:
    packed, padded = (blocks_of(packing=packing) for packing in (True, False))
    assert "position_ids" not in Collator("clm", 0)(padded)
    batch = Collator("clm", 0)(packed)
    assert batch["position_ids"].shape == batch["input_ids"].shape
    assert int(batch["position_ids"].max()) < 64


# Order.


@given(
    rows=st.integers(1, 300),
    batch=st.integers(1, 16),
    seed=st.integers(0, 9),
    grouped=st.booleans(),
)
@example_settings(deadline=None)
def test_an_epoch_reads_every_row_once_in_an_order_of_its_own(
    rows: int, batch: int, seed: int, grouped: bool
) -> None:
    lengths = np.random.default_rng(rows).integers(1, 500, rows).astype(np.int32)

    def order(epoch: int) -> list[int]:
        return order_of(lengths, batch, seed=seed, epoch=epoch, grouped=grouped).tolist()

    assert sorted(order(3)) == list(range(rows))
    assert order(3) == order(3)
    if rows > 20:
        assert order(3) != order(4)
    if grouped and rows >= batch:
        assert lengths[order(0)[:batch]].max() == lengths.max()


def test_rows_of_like_length_share_a_batch() -> None:
    lengths = np.random.default_rng(2).lognormal(5, 0.8, 5000).astype(np.int32)

    def padding(grouped: bool) -> int:
        order = order_of(lengths, 8, seed=1, epoch=1, grouped=grouped).reshape(-1, 8)
        return int((lengths[order].max(axis=1, keepdims=True) - lengths[order]).sum())

    assert padding(grouped=True) < padding(grouped=False) / 10


# Rows on disk.


def files_of(tmp_path: Path, **records: list[Any]) -> tuple[DataFile, ...]:
    found = []
    for role, entries in records.items():
        path = job_runs.write_rows(tmp_path / f"{role}.jsonl", entries)
        size = path.stat().st_size
        found.append(
            DataFile(path=str(path), bytes=size, records=0, sha256=file_sha256(path), role=role)
        )
    return tuple(found)


def corpus_of(tmp_path: Path, chosen: Settings, **records: list[Any]) -> Corpus:
    tmp_path.mkdir(exist_ok=True)
    return Corpus.check(Stage(settings=chosen, files=files_of(tmp_path, **records)), Stop())


def listed(rows: Rows) -> list[tuple[list[int], ...]]:
    return [
        (
            block.ids.tolist(),
            block.labels.tolist(),
            [] if block.positions is None else block.positions.tolist(),
        )
        for block in rows
    ]


def test_rows_on_disk_are_the_rows_that_were_laid_out(tokenizer: Any, tmp_path: Path) -> None:
    kept = Kept()
    layout = Layout(kept.add, seq_len=64, page=Page(64, joined=True), packing=True)
    pieces = [dialogue_pieces(dialogue(*SENTENCES[:n]).messages, tokenizer) for n in (2, 4)] * 20
    encoder = Encoder(tokenizer)
    layout.examples(
        [
            np.concatenate(
                [marked(ids := encoder.each([s])[0], 0 if yes else len(ids)) for s, yes in one]
            )
            for one in pieces
        ]
    )
    layout.finish()
    records = [dialogue(*SENTENCES[:n]) for n in (2, 4)] * 20
    rows = rows_of(records, tokenizer, settings(), tmp_path / "rows", packing=True)
    assert listed(rows) == listed(kept)
    assert rows.lengths.tolist() == [len(block.ids) for block in kept]
    assert listed(rows[1:3]) == listed(rows)[1:3]
    assert rows[-1].ids.tolist() == kept[-1].ids.tolist()
    with pytest.raises(IndexError):
        rows[len(rows)]


def test_training_and_validation_share_no_record(tokenizer: Any, tmp_path: Path) -> None:
    chosen = settings(packing=False, validation_share=0.2)
    corpus = corpus_of(tmp_path, chosen, train=job_runs.pairs(50))
    train, validation = lay_out(corpus, tokenizer, folder=tmp_path, packing=False)
    assert (len(train), len(validation)) == (40, 10)
    assert not {*map(str, listed(train))} & {*map(str, listed(validation))}


def test_rows_are_used_again_for_the_same_data_tokenizer_and_settings_only(
    tokenizer: Any, tmp_path: Path
) -> None:
    def laid(chosen: Settings, tokenizer: Any, count: int, *, packing: bool = True) -> bool:
        corpus = corpus_of(tmp_path, chosen, train=job_runs.pairs(count))
        before = age.stat().st_ino if age.exists() else None
        lay_out(corpus, tokenizer, folder=tmp_path / "run", packing=packing)
        return age.stat().st_ino != before

    age = tmp_path / "run" / "data" / "rows" / "train.tokens"
    assert laid(settings(), tokenizer, 50)
    assert not laid(settings(), tokenizer, 50)
    assert not laid(settings(learning_rate=1e-4, epochs=9), tokenizer, 50)
    assert laid(settings(), tokenizer, 60)
    assert laid(settings(seq_len=128), tokenizer, 60)
    assert laid(settings(loss_on="all"), tokenizer, 60)
    assert laid(settings(loss_on="all"), tokenizer, 60, packing=False)
    assert laid(settings(loss_on="all"), train_tokenizer(SENTENCES, 290), 60, packing=False)


def test_rows_that_were_not_finished_leave_nothing_behind(tokenizer: Any, tmp_path: Path) -> None:
    def failing() -> Iterator[Record]:
        yield pair("a", "b")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rows_of(failing(), tokenizer, settings(), tmp_path / "rows", packing=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("packing", [True, False])
def test_memory_does_not_grow_with_the_number_of_rows(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packing: bool
) -> None:
    # What is held at once, made small so that few records show it.
    monkeypatch.setattr(filling, "PLACED_CHARACTERS", 20_000)
    monkeypatch.setattr(packing_module, "OPEN_TOKENS", 4096)
    monkeypatch.setattr(storage, "BUFFERED_TOKENS", 4096)

    def peak(count: int) -> tuple[int, int]:
        records = (pair(f"{n} {SENTENCES[n % 4] * 8}", SENTENCES[1]) for n in range(count))
        tracemalloc.start()
        rows = rows_of(records, tokenizer, settings(seq_len=128), tmp_path / "rows", packing)
        for n in range(0, len(rows), 10):
            rows[n]
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top, int(sum(rows.lengths))

    peak(100)  # what is loaded once
    (few, tokens), (many, more_tokens) = peak(500), peak(2000)
    assert more_tokens > 3.9 * tokens
    assert many < 1.2 * few


WAITING = """
import sys
from pathlib import Path
from advisor.job.batches.laying import laid
path = Path(sys.argv[1])
def write(folder):
    raise SystemExit("only the main process writes")
print(laid(path, "key", write, lambda: None), (path / "train.tokens").read_text())
"""


def test_other_processes_wait_for_the_rows_of_the_main_one(tmp_path: Path) -> None:
    path = tmp_path / "data" / "rows"
    path.mkdir(parents=True)
    (path / "key.json").write_text(json.dumps({"format": 1, "key": "of other data"}))
    command = [sys.executable, "-c", WAITING, str(path)]
    environment = {**os.environ, "RANK": "1", "WORLD_SIZE": "2"}
    other = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    time.sleep(1.5)
    assert other.poll() is None
    from advisor.job.batches.laying import laid

    assert laid(
        path, "key", lambda folder: (folder / "train.tokens").write_text("made"), lambda: None
    )
    said, _ = other.communicate(timeout=60)
    assert said == "False made\n"


# Replay.


def replaying(tmp_path: Path, share: float, general: int) -> Corpus:
    own = [{"text": f"own {n} " + "the red house by the river " * 20} for n in range(200)]
    others = [
        {"text": f"general {n} " + "and a green one by the sea " * 20} for n in range(general)
    ]
    chosen = settings(
        approach="continued_pretrain", packing=True, replay_share=share, validation_share=0.1
    )
    return corpus_of(tmp_path, chosen, train=own, general=others)


def texts_of(rows: Rows, tokenizer: Any) -> list[str]:
    return [tokenizer.decode(block.ids) for block in rows]


@pytest.mark.parametrize("share", [0.05, 0.25, 0.6])
def test_general_text_has_its_share_of_the_rows(
    share: float, tokenizer: Any, tmp_path: Path
) -> None:
    corpus = replaying(tmp_path, share, general=2000)
    train, validation = lay_out(corpus, tokenizer, folder=tmp_path, packing=True)
    bird = sum("green" in one or "sea" in one for one in texts_of(train, tokenizer))
    assert bird / len(train) == pytest.approx(share, abs=0.02)
    assert not any("green" in one for one in texts_of(validation, tokenizer))


def test_general_text_that_measures_forgetting_is_never_trained_on(
    tokenizer: Any, tmp_path: Path
) -> None:
    corpus = replaying(tmp_path, 0.9, general=400)
    train, _ = lay_out(corpus, tokenizer, folder=tmp_path, packing=True)
    held = [record.text.split(" and ")[0] for record in held_general(corpus)]
    trained = "".join(texts_of(train, tokenizer))
    assert 20 < len(held) < 70
    assert not [start for start in held if f"{start} and" in trained]
    assert sum(f"general {n} and" in trained for n in range(400)) == 400 - len(held)


def test_what_is_validated_on_is_not_replayed_either(tokenizer: Any, tmp_path: Path) -> None:
    entries = [{"text": f"own {n} {SENTENCES[0]}"} for n in range(100)]
    chosen = settings(
        approach="continued_pretrain", packing=False, replay_share=0.5, validation_share=0.5
    )
    corpus = corpus_of(tmp_path, chosen, train=entries, general=entries)
    train, validation = lay_out(corpus, tokenizer, folder=tmp_path, packing=False)
    held = {*texts_of(validation, tokenizer)}
    assert len(held) == 50
    assert not held & {*texts_of(train, tokenizer)}


def test_replayed_text_is_from_everywhere_in_the_general_files(
    tokenizer: Any, tmp_path: Path
) -> None:
    corpus = replaying(tmp_path, 0.1, general=2000)
    train, _ = lay_out(corpus, tokenizer, folder=tmp_path, packing=True)
    trained = "".join(texts_of(train, tokenizer))
    numbers = [n for n in range(2000) if f"general {n} and" in trained]
    assert len(numbers) < 100
    assert min(numbers) < 400
    assert max(numbers) > 1500


def test_too_little_general_text_is_said(
    tokenizer: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lay_out(replaying(tmp_path, 0.5, general=5), tokenizer, folder=tmp_path, packing=True)
    assert "the general files hold no more" in capfd.readouterr().err
