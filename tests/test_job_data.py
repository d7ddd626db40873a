from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BloomConfig, BloomForCausalLM, LlamaConfig, LlamaForCausalLM

from advisor.job.batches.packing import Block, Layout, collate, keeps_examples_apart
from advisor.job.batches.rendering import IGNORED, Example, dialogue_pieces, encode
from advisor.job.measuring.evaluation import Evaluator, perplexity
from advisor.job.models.scratch import train_tokenizer
from advisor.job.records import Record

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


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(SENTENCES * 3, 300)


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


def record(**parts: Any) -> Record:
    return Record(path="a", line=1, **parts)


def example_of(record: Record, tokenizer: Any) -> Example:
    ((_, example),) = encode([record], tokenizer)
    return example


def learned(example: Example, tokenizer: Any) -> str:
    return tokenizer.decode(example.ids[example.labels != IGNORED])


def test_the_loss_counts_on_the_completion_and_its_end_only(tokenizer: Any) -> None:
    pair = record(kind="prompt_completion", prompt=SENTENCES[0], completion=SENTENCES[1])
    example = example_of(pair, tokenizer)
    assert learned(example, tokenizer).strip() == SENTENCES[1] + tokenizer.eos_token
    assert tokenizer.decode(example.ids).startswith(f"### user\n{SENTENCES[0]}\n\n### assistant\n")
    counts = example.labels != IGNORED
    assert (example.labels[counts] == example.ids[counts]).all()


@pytest.mark.parametrize("template", [None, CHATML], ids=["plain", "own"])
def test_the_loss_counts_on_every_assistant_turn(tokenizer: Any, template: str | None) -> None:
    roles = ("user", "assistant", "user", "assistant")
    turns = [{"role": r, "content": s} for r, s in zip(roles, SENTENCES, strict=True)]
    plain = tokenizer.chat_template
    tokenizer.chat_template = template or plain
    try:
        pieces = dialogue_pieces(turns, tokenizer)
        whole = tokenizer.apply_chat_template(turns, tokenize=False)
        example = example_of(record(kind="messages", messages=tuple(turns)), tokenizer)
    finally:
        tokenizer.chat_template = plain
    assert "".join(text for text, _ in pieces) == whole
    answers = [text for text, counts in pieces if counts]
    assert [s in a for s, a in zip(SENTENCES[1::2], answers, strict=True)] == [True, True]
    assert not any(s in learned(example, tokenizer) for s in SENTENCES[0::2])


def test_a_turn_that_the_template_shows_otherwise_later_is_not_learned(tokenizer: Any) -> None:
    contents = ("a", "thought|first", "b", "thought|second")
    roles = ("user", "assistant", "user", "assistant")
    turns = [{"role": r, "content": c} for r, c in zip(roles, contents, strict=True)]
    plain = tokenizer.chat_template
    tokenizer.chat_template = HIDING
    try:
        pieces = dialogue_pieces(turns, tokenizer)
    finally:
        tokenizer.chat_template = plain
    assert [text for text, counts in pieces if counts] == ["thought|second"]


def test_texts_end_with_the_end_of_text_token_and_are_learned_whole(tokenizer: Any) -> None:
    example = example_of(record(kind="text", text=SENTENCES[0]), tokenizer)
    assert example.ids[-1] == tokenizer.eos_token_id
    assert (example.labels == example.ids).all()


def text_example(ids: Any) -> Example:
    ids = np.array(ids, dtype=np.int32)
    return Example(kind="text", ids=ids, labels=ids)


def dialogue_example(ids: Any, prompt: int) -> Example:
    ids = np.array(ids, dtype=np.int32)
    labels = ids.copy()
    labels[:prompt] = IGNORED
    return Example(kind="messages", ids=ids, labels=labels)


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=20),
    seq_len=st.integers(8, 32),
    packing=st.booleans(),
)
@settings(deadline=None)
def test_no_token_of_a_text_is_lost_or_doubled(
    lengths: list[int], seq_len: int, packing: bool
) -> None:
    layout = Layout(seq_len=seq_len, packing=packing)
    for n, length in enumerate(lengths):
        layout.add(text_example(np.arange(length) + 1000 * n))
    blocks = layout.finish()
    assert all(1 < len(block.ids) <= seq_len for block in blocks)
    if packing:
        laid = np.concatenate([block.ids for block in blocks]) if blocks else np.array([])
        given_ids = np.concatenate([np.arange(n) + 1000 * i for i, n in enumerate(lengths)])
        # One token alone predicts nothing, so such a rest has no block.
        assert laid.tolist() == given_ids[: len(laid)].tolist()
        assert len(given_ids) - len(laid) <= 1


@given(lengths=st.lists(st.integers(4, 40), min_size=1, max_size=60), seq_len=st.integers(8, 32))
@settings(deadline=None)
def test_packed_examples_stay_whole_or_are_counted_as_cut(lengths: list[int], seq_len: int) -> None:
    layout = Layout(seq_len=seq_len, packing=True)
    for n, length in enumerate(lengths):
        layout.add(dialogue_example(np.arange(length) + 100 * n, prompt=3))
    blocks = layout.finish()
    assert layout.cut == sum(length > seq_len for length in lengths)
    starts = sorted(
        int(block.ids[i]) for block in blocks for i in np.flatnonzero(block.positions == 0)
    )
    assert starts == [100 * n for n in range(len(lengths))]
    laid = sum(len(block.ids) for block in blocks)
    assert laid == sum(min(length, seq_len) for length in lengths)
    assert all(len(block.ids) <= seq_len for block in blocks)


def test_an_example_whose_answer_lies_beyond_the_cut_is_dropped_and_counted() -> None:
    layout = Layout(seq_len=8, packing=False)
    layout.add(dialogue_example(range(20), prompt=10))
    assert (layout.finish(), layout.cut, layout.dropped) == ([], 1, 1)


def examples() -> list[Example]:
    generator = np.random.default_rng(1)
    return [
        dialogue_example(generator.integers(3, 300, int(length)), prompt=int(length) // 3)
        for length in generator.integers(6, 20, 40)
    ]


def blocks_of(*, packing: bool) -> list[Block]:
    layout = Layout(seq_len=64, packing=packing)
    for example in examples():
        layout.add(example)
    return layout.finish()


def evaluator(model: Any) -> Evaluator:
    return Evaluator(
        model=model,
        tokenizer=None,
        pad_id=0,
        batch=4,
        seq_len=64,
        autocast=torch.no_grad,
        total=lambda values: values,
    )


def test_packed_loss_equals_unpacked_loss(model: Any) -> None:
    packed, padded = (blocks_of(packing=packing) for packing in (True, False))
    assert len(packed) < len(padded) / 2
    first, second = (evaluator(model).loss(blocks) for blocks in (packed, padded))
    assert first == pytest.approx(second, rel=1e-5)


def test_the_equality_would_not_hold_if_examples_saw_each_other(model: Any) -> None:
    packed = blocks_of(packing=True)
    run_on = [
        type(b)(ids=b.ids, labels=b.labels, positions=np.arange(len(b.ids), dtype=np.int32))
        for b in packed
    ]
    first, second = (evaluator(model).loss(blocks) for blocks in (packed, run_on))
    assert first != pytest.approx(second, rel=1e-5)


def test_packed_gradients_equal_unpacked_gradients(model: Any) -> None:
    def gradient(blocks: list[Block]) -> torch.Tensor:
        model.zero_grad()
        batch = collate(blocks, 0)
        count = (batch["labels"][:, 1:] != IGNORED).sum()
        batch.pop("tokens")
        model(**batch, num_items_in_batch=count, use_cache=False).loss.backward()
        return model.model.embed_tokens.weight.grad.clone()

    packed, padded = (gradient(blocks_of(packing=packing)) for packing in (True, False))
    torch.testing.assert_close(packed, padded, rtol=1e-4, atol=1e-6)


def test_padding_is_neither_seen_nor_counted(model: Any) -> None:
    blocks = blocks_of(packing=False)[:4]
    batch = collate(blocks, 0)
    assert (
        int(batch["tokens"]) == sum(len(block.ids) for block in blocks) < batch["input_ids"].numel()
    )
    other = collate(blocks, 17)
    logits = []
    for inputs in (batch, other):
        inputs.pop("tokens")
        with torch.no_grad():
            logits.append(model(**inputs).logits)
    for row, block in enumerate(blocks):
        assert torch.equal(logits[0][row, : len(block.ids)], logits[1][row, : len(block.ids)])


def test_models_that_mix_packed_examples_are_found_out(model: Any) -> None:
    assert keeps_examples_apart(model, 300)
    bloom = BloomForCausalLM(BloomConfig(vocab_size=300, hidden_size=32, n_layer=2, n_head=4))
    assert not keeps_examples_apart(bloom, 300)


def test_the_loss_is_the_mean_over_tokens_not_over_batches(model: Any) -> None:
    blocks = blocks_of(packing=False)[:9]
    one_by_one = Evaluator(
        **{n: getattr(evaluator(model), n) for n in Evaluator.__slots__} | {"batch": 1}
    )
    assert evaluator(model).loss(blocks) == pytest.approx(one_by_one.loss(blocks), rel=1e-6)


@pytest.mark.parametrize(("loss", "expected"), [(None, None), (0.0, 1.0), (1e6, None)])
def test_perplexity_is_e_to_the_loss_where_that_is_a_number(
    loss: float | None, expected: float | None
) -> None:
    assert perplexity(loss) == expected
