"""The loss at the counted positions alone is the model's own, and so are its gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
VOCAB = 97
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": VOCAB,
}


def llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**SMALL, num_key_value_heads=2, pad_token_id=0))


def soft_capping() -> Any:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        **SMALL,
        num_key_value_heads=2,
        head_dim=8,
        final_logit_softcapping=0.05,
        attn_implementation="eager",
    )
    return Gemma2ForCausalLM(config)


def bert() -> Any:
    from transformers import BertConfig, BertForMaskedLM

    return BertForMaskedLM(BertConfig(**SMALL))


def modern_bert() -> Any:
    from transformers import ModernBertConfig, ModernBertForMaskedLM

    special = dict.fromkeys(("pad", "bos", "eos", "cls", "sep"), 0)
    ids = {f"{name}_token_id": number for name, number in special.items()}
    return ModernBertForMaskedLM(ModernBertConfig(**SMALL, **ids))


def t5() -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=VOCAB,
        d_model=32,
        d_ff=48,
        d_kv=8,
        num_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        decoder_start_token_id=0,
    )
    return T5ForConditionalGeneration(config)


def classifier() -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(BertConfig(**SMALL, num_labels=3))


def extractor() -> Any:
    from transformers import BertConfig, BertForTokenClassification

    return BertForTokenClassification(BertConfig(**SMALL, num_labels=5))


def with_lora(model: Any, task: str) -> Any:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(model, LoraConfig(task_type=task, target_modules="all-linear", r=2))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.1)
    return model


def with_lora_on_the_head(model: Any, task: str) -> Any:
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(task_type=task, target_modules=["lm_head"], r=2))


def with_prompt(model: Any, task: str) -> Any:
    from peft import PromptTuningConfig, get_peft_model

    return get_peft_model(model, PromptTuningConfig(task_type=task, num_virtual_tokens=3))


def with_p_tuning(model: Any, task: str) -> Any:
    from peft import PromptEncoderConfig, get_peft_model

    config = PromptEncoderConfig(
        task_type=task, num_virtual_tokens=3, encoder_hidden_size=16, encoder_dropout=0.0
    )
    return get_peft_model(model, config)


def with_prefix(model: Any, task: str) -> Any:
    from peft import PrefixTuningConfig, get_peft_model

    return get_peft_model(model, PrefixTuningConfig(task_type=task, num_virtual_tokens=3))


def batch_of(objective: str, rows: int = 5, seed: int = 0) -> dict[str, Any]:
    from advisor.job.batches.collating import Collator
    from advisor.job.batches.packing import Block

    chance = np.random.default_rng(seed)
    blocks = []
    for row in range(rows):
        length = int(chance.integers(6, 20))
        ids = chance.integers(1, VOCAB, length).astype(np.int32)
        labels = np.where(chance.random(length) < 0.4, ids, -100).astype(np.int32)
        labels[2] = ids[2]
        if objective == "seq2seq":
            labels = chance.integers(1, VOCAB, length // 2 + 1).astype(np.int32)
        if objective == "classification":
            labels = np.array([row % 3], dtype=np.int32)
        if objective == "extraction":
            labels = np.where(labels < 0, labels, labels % 5)
        blocks.append(Block(ids=ids, labels=labels))
    return Collator(objective=objective, pad_id=0)(blocks)


CASES = [
    ("clm", llama, None),
    ("clm", soft_capping, None),
    ("mlm", bert, None),
    ("mlm", modern_bert, None),
    ("seq2seq", t5, None),
    ("classification", classifier, None),
    ("extraction", extractor, None),
    ("clm", llama, with_lora),
    ("clm", llama, with_lora_on_the_head),
    ("clm", llama, with_prompt),
    ("clm", llama, with_p_tuning),
    ("clm", llama, with_prefix),
    ("clm", soft_capping, with_lora),
    ("mlm", bert, with_lora),
    ("mlm", bert, with_prefix),
    ("seq2seq", t5, with_lora),
    ("seq2seq", t5, with_prompt),
    ("seq2seq", t5, with_prefix),
    ("classification", classifier, with_lora),
    ("classification", classifier, with_prompt),
    ("extraction", extractor, with_prefix),
]
PEFT_TASKS = {
    "clm": "CAUSAL_LM",
    "mlm": "FEATURE_EXTRACTION",
    "seq2seq": "SEQ_2_SEQ_LM",
    "classification": "SEQ_CLS",
    "extraction": "TOKEN_CLS",
}


def made(
    build: Callable[[], Any], method: Callable[[Any, str], Any] | None, objective: str
) -> tuple[Any, Any]:
    """Return a model in training mode without dropout, and its loss."""
    import torch

    from advisor.job.training.losses import Loss

    torch.manual_seed(0)
    model = build()
    model = method(model, PEFT_TASKS[objective]) if method else model
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.config.use_cache = False
    model.train()
    return model, Loss(model, objective=objective, device="cpu")


def gradients(model: Any, loss: Any) -> dict[str, Any]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    ("objective", "build", "method"),
    CASES,
    ids=[f"{build.__name__}-{method.__name__ if method else 'full'}" for _, build, method in CASES],
)
def test_loss_and_gradients_are_the_models_own(
    objective: str, build: Callable[[], Any], method: Callable[[Any, str], Any] | None
) -> None:
    import torch

    from advisor.job.training.losses import with_targets

    model, loss = made(build, method, objective)
    batch = batch_of(objective)
    loss.settle(batch)
    assert loss.ours
    asked = with_targets(batch, objective)
    counted = len(asked["targets"])
    assert 0 < counted <= batch["labels"].numel()
    ours = loss(model, asked) / counted
    mine = gradients(model, ours)
    inputs = {name: value for name, value in batch.items() if name != "tokens"}
    own = model(**inputs).loss
    theirs = gradients(model, own)
    assert float(ours) == pytest.approx(float(own), rel=1e-5)
    assert mine.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(mine[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize(("objective", "build"), [("clm", llama), ("seq2seq", t5)])
def test_large_logits_in_pieces_give_the_same(objective: str, build: Callable[[], Any]) -> None:
    import torch

    from advisor.job.training.losses import with_targets

    model, loss = made(build, None, objective)
    batch = batch_of(objective)
    loss.settle(batch)
    assert loss.pieces
    asked = with_targets(batch, objective)
    whole = gradients(model, loss(model, asked))
    loss.largest = 3 * VOCAB
    assert len(asked["targets"]) > 3
    shapes = []
    hook = model.get_output_embeddings().register_forward_hook(
        lambda _module, _args, out: shapes.append(tuple(out.shape))
    )
    pieces = gradients(model, loss(model, asked))
    hook.remove()
    assert shapes == [(1, VOCAB)]
    for name, gradient in whole.items():
        torch.testing.assert_close(pieces[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_a_head_whose_output_is_changed_afterwards_is_not_cut_into_pieces() -> None:
    _, loss = made(soft_capping, None, "clm")
    loss.settle(batch_of("clm"))
    assert loss.ours
    assert not loss.pieces


def test_the_head_sees_the_counted_positions_alone() -> None:
    from advisor.job.training.losses import with_targets

    model, loss = made(bert, None, "mlm")
    seen = []
    model.get_output_embeddings().register_forward_hook(
        lambda _module, _args, out: seen.append(tuple(out.shape))
    )
    asked = with_targets(batch_of("mlm"), "mlm")
    loss(model, asked)
    assert seen == [(len(asked["targets"]), VOCAB)]


def test_a_model_with_a_loss_of_its_own_keeps_it(capfd: pytest.CaptureFixture[str]) -> None:
    import torch

    from advisor.job.training.losses import with_targets

    model, loss = made(llama, None, "clm")
    stock = model.forward

    def forward(**inputs: Any) -> Any:
        output = stock(**inputs)
        if output.loss is not None:
            output.loss = output.loss + 0.5
        return output

    model.forward = forward
    batch = batch_of("clm")
    loss.settle(batch)
    assert not loss.ours
    assert "the loss is the model's own" in capfd.readouterr().err
    asked = with_targets(batch, "clm")
    inputs = {name: value for name, value in batch.items() if name != "tokens"}
    own = model(**inputs).loss * len(asked["targets"])
    assert torch.equal(loss(model, asked), own)


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize(("objective", "build"), [("clm", llama), ("mlm", bert), ("seq2seq", t5)])
def test_a_batch_in_parts_gives_the_gradients_of_the_whole(
    objective: str, build: Callable[[], Any], *, ours: bool
) -> None:
    """The parts count differently many labels, and one of them none at all."""
    import torch

    from advisor.job.batches.rendering import IGNORED
    from advisor.job.training.losses import with_targets

    model, loss = made(build, None, objective)
    loss.ours = ours
    whole = batch_of(objective, rows=7)
    asked = with_targets(whole, objective)
    counted = len(asked["targets"])
    expected = gradients(model, loss(model, asked) / counted)
    model.zero_grad()
    silent = {**whole, "labels": torch.full_like(whole["labels"], IGNORED)}
    for part in (slice(0, 1), slice(1, 5), slice(5, 7)):
        rows = {name: value[part] for name, value in whole.items() if value.dim()}
        (loss(model, with_targets(rows, objective)) / counted).backward()
    (loss(model, with_targets(silent, objective)) / counted).backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-6)


def test_a_long_batch_is_cut_for_the_comparison_alone() -> None:
    import torch

    model, loss = made(llama, None, "clm")
    ids = torch.randint(1, VOCAB, (2, 300))
    labels = torch.full_like(ids, -100)
    labels[:, 250:] = ids[:, 250:]
    seen = []
    model.register_forward_pre_hook(
        lambda _module, _args, inputs: seen.append(inputs["input_ids"].shape), with_kwargs=True
    )
    loss.settle({"input_ids": ids, "labels": labels})
    assert loss.ours
    assert set(seen) == {(2, 128)}
