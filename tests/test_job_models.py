"""The model side of the job: each objective with each method, tokenizers, adapters, new tokens."""

import json
import shutil
import string
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import job_runs as runs
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import ModernBertConfig, ModernBertForMaskedLM, PreTrainedTokenizerFast

from advisor.job.faults import JobError
from advisor.job.models.assembling import assemble
from advisor.job.models.checkpointing import KEPT
from advisor.job.models.comparing import untrained
from advisor.job.models.hardware import Hardware
from advisor.job.models.loading import CLASSES, load_base, load_tokenizer, load_trained
from advisor.job.models.saving import load_network, merged, save_model, save_network
from advisor.job.models.scratch import from_scratch
from advisor.job.models.tokenizing import SENTINELS, train_tokenizer
from advisor.job.models.vocabulary import Extended, extend
from advisor.job.settings import Settings, SettingsError, Shape

CPU = Hardware(device="cpu", mixed=None)
SHAPE = {
    "n_layers": 2,
    "hidden": 32,
    "n_heads": 4,
    "n_kv_heads": 4,
    "intermediate": 64,
    "vocab": 400,
}
LABELS = ["no", "perhaps", "yes"]
LORA = {"lora": {"rank": 4, "alpha": 8, "dropout": 0.0, "targets": "all-linear"}}
ADDED: dict[str, dict[str, Any]] = {
    "lora": LORA,
    "rslora": LORA,
    "dora": LORA,
    "ia3": {"targets": ["k", "v", "down"]},
    "adapter": {"bottleneck": 8},
    "prefix": {"virtual_tokens": 3},
    "prompt": {"virtual_tokens": 3},
    "p_tuning": {"virtual_tokens": 3},
}
OBJECTIVE_OF = {"llama": "clm", "bert": "mlm", "modernbert": "mlm", "t5": "seq2seq"}


class Cell(NamedTuple):
    """A base, what is learned with it, and how."""

    base: str
    objective: str
    method: str


def fits(cell: Cell) -> bool:
    """Return whether peft and the base can do this at all."""
    prompts = cell.method in ("prompt", "p_tuning")
    if cell.method == "frozen":
        return cell.objective in ("classification", "extraction")
    if cell.method == "prefix":
        heads = cell.objective in ("classification", "extraction")
        return cell.base in ("llama", "bert") or (cell.base == "t5" and not heads)
    if prompts and cell.objective == "classification":
        return cell.base in ("bert", "modernbert")
    return not (prompts and cell.objective in ("mlm", "extraction"))


CELLS = [
    Cell(base, objective, method)
    for base, own in OBJECTIVE_OF.items()
    for objective in (own, "classification", "extraction")
    for method in (*ADDED, "full", "frozen")
    if method != "rslora" or base == "llama"
]
WORKING = [cell for cell in CELLS if fits(cell)]


def settings_of(cell: Cell, base: Path | None, **changes: Any) -> Settings:
    tuned = cell.objective in ("classification", "extraction")
    approach = "full_finetune" if cell.method in ("full", "frozen") else "lora"
    changes = {"seq_len": 32} | changes
    return Settings.from_dict(
        runs.settings(
            approach=approach,
            objective=cell.objective,
            method=cell.method,
            base_model=str(base),
            labels=LABELS if tuned else [],
            packing=False,
            **ADDED.get(cell.method, {}),
            **changes,
        )
    )


def put_together(settings: Settings, base: Path | None, **options: Any) -> tuple[Any, Any]:
    torch.manual_seed(settings.seed)
    given: dict[str, Any] = {"earlier": None, "texts": lambda: [runs.text()], "hardware": CPU}
    return assemble(settings, base=base, **given | options)


def batch_of(model: Any, objective: str) -> dict[str, Any]:
    """Return two rows of tokens, the second one padded; each ends as T5 wants it."""
    ids = torch.arange(260, 280).view(2, 10) % 300 + 40
    ids[0, -1] = ids[1, 6] = model.config.eos_token_id or 5
    ids[1, 7:] = model.config.pad_token_id
    batch = {"input_ids": ids, "attention_mask": (torch.arange(10) < torch.tensor([[10], [7]])) * 1}
    labels = {"classification": torch.tensor([0, 2]), "extraction": ids % 3}
    return {**batch, "labels": labels.get(objective, ids)}


def step(
    model: Any, batch: dict[str, Any], steps: int = 2, mixed: torch.dtype | None = None
) -> list[float]:
    trained = [one for one in model.parameters() if one.requires_grad]
    optimizer, losses = torch.optim.AdamW(trained, lr=1e-2), []
    for _ in range(steps):
        with torch.autocast("cpu", mixed, enabled=mixed is not None):
            loss = model(**batch).loss
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
        optimizer.zero_grad()
    return losses


@torch.no_grad()
def logits(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    model.eval()
    found = model(**batch).logits
    assert torch.isfinite(found).all()
    return found


def leave(folder: Path, settings: Settings, tokenizer: Any, model: Any) -> Path:
    """Leave what a finished run leaves."""
    target = folder / ("adapter" if settings.adds else "model")
    target.mkdir(parents=True)
    save_model(model, target)
    tokenizer.save_pretrained(target)
    plan = {
        "schema": "advisor.plan/1",
        "run_id": "r",
        "settings": settings.to_dict(),
        "data": {"files": []},
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a folder for each architecture: a model with random weights and its tokenizer."""
    folder = tmp_path_factory.mktemp("bases")
    for name, objective in OBJECTIVE_OF.items():
        torch.manual_seed(0)
        tokenizer = train_tokenizer([runs.text()], 400, objective=objective)
        model = from_scratch(Shape(**SHAPE), tokenizer, seq_len=64, objective=objective)
        if name == "modernbert":
            model = modern(tokenizer)
        with torch.no_grad():
            for parameter in model.parameters():  # larger than at the start of a training
                parameter.add_(torch.randn_like(parameter) * 0.1)
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return {name: folder / name for name in OBJECTIVE_OF}


def modern(tokenizer: Any) -> Any:
    return ModernBertForMaskedLM(
        ModernBertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=64,
            pad_token_id=tokenizer.pad_token_id,
            cls_token_id=tokenizer.cls_token_id,
            sep_token_id=tokenizer.sep_token_id,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


@pytest.mark.parametrize("cell", WORKING, ids="-".join)
def test_what_is_trained_and_saved_says_the_same_once_loaded(
    cell: Cell, bases: dict[str, Path], tmp_path: Path
) -> None:
    settings = settings_of(cell, bases[cell.base])
    tokenizer, model = put_together(settings, bases[cell.base])
    batch = batch_of(model, cell.objective)
    start = logits(model, batch)
    model.train()
    step(model, batch)
    said = logits(model, batch)
    assert not torch.allclose(said, start)
    _, loaded = load_trained(leave(tmp_path / "run", settings, tokenizer, model))
    assert torch.equal(logits(loaded, batch), said)


@pytest.mark.parametrize("cell", WORKING, ids="-".join)
def test_the_untrained_model_is_the_base_and_the_trained_one_comes_back(
    cell: Cell, bases: dict[str, Path]
) -> None:
    base = bases[cell.base]
    settings = settings_of(cell, base)
    tokenizer, model = put_together(settings, base)
    batch = batch_of(model, cell.objective)
    model.train()
    step(model, batch)
    said = logits(model, batch)
    torch.manual_seed(settings.seed)
    fresh = load_base(base, settings, CPU).model
    with untrained(settings, tokenizer, model, base=base, hardware=CPU) as (_, before):
        assert torch.equal(logits(before, batch), logits(fresh, batch))
    assert torch.equal(logits(model, batch), said)


@pytest.mark.parametrize("objective", ["clm", "mlm", "seq2seq"])
def test_without_a_base_the_untrained_model_has_the_same_random_weights(objective: str) -> None:
    settings = pretraining(objective)
    tokenizer, model = put_together(settings, None)
    batch = batch_of(model, objective)
    start = logits(model, batch)
    model.train()
    losses = step(model, batch, steps=5)
    assert losses[-1] < losses[0]
    with untrained(settings, tokenizer, model, base=None, hardware=CPU) as (_, before):
        assert torch.equal(logits(before, batch), start)


def pretraining(objective: str, **changes: Any) -> Settings:
    shape = SHAPE | changes.pop("shape", {})
    return Settings.from_dict(
        runs.settings(
            approach="pretrain",
            objective=objective,
            base_model=None,
            shape=shape,
            packing=False,
            **changes,
        )
    )


@pytest.mark.parametrize(
    "cell", [cell for cell in WORKING if cell.method in ("lora", "dora", "ia3")], ids="-".join
)
def test_merging_changes_nothing_of_what_the_model_says(
    cell: Cell, bases: dict[str, Path], tmp_path: Path
) -> None:
    settings = settings_of(cell, bases[cell.base])
    _, model = put_together(settings, bases[cell.base])
    batch = batch_of(model, cell.objective)
    model.train()
    step(model, batch)
    said = logits(model, batch)
    whole = merged(model)
    save_model(whole, tmp_path)
    stock = CLASSES[cell.objective].from_pretrained(tmp_path)
    torch.testing.assert_close(logits(stock, batch), said, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ["adapter", "prefix", "prompt", "p_tuning"])
def test_what_is_no_change_of_weights_is_not_merged(method: str, bases: dict[str, Path]) -> None:
    _, model = put_together(
        settings_of(Cell("llama", "clm", method), bases["llama"]), bases["llama"]
    )
    with pytest.raises(JobError, match="cannot be merged") as error:
        merged(model)
    assert error.value.name == "usage"


@pytest.mark.parametrize("cell", WORKING, ids="-".join)
def test_only_what_the_method_adds_and_the_head_train(cell: Cell, bases: dict[str, Path]) -> None:
    settings = settings_of(cell, bases[cell.base])
    _, model = put_together(settings, bases[cell.base])
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batch = batch_of(model, cell.objective)
    step(model, batch, steps=3)
    model(**batch).loss.backward()
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    changed = {
        name for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    }
    assert all(model.get_parameter(name).grad is not None for name in trained)
    if cell.method != "full":
        own = ("lora_", "ia3_", "bottleneck_", "prompt_encoder", "modules_to_save", "head", "class")
        own += ("score", "pooler")
        assert trained
        assert all(any(part in name for part in own) for name in trained | changed)


REFUSED: list[tuple[Cell, dict[str, Any], str]] = [
    (Cell("modernbert", "classification", "prefix"), {}, "takes no prefix"),
    (Cell("t5", "extraction", "prefix"), {}, "takes no prefix"),
    (Cell("t5", "classification", "prefix"), {}, "no virtual tokens below a head"),
    (Cell("t5", "classification", "prompt"), {}, "no virtual tokens below a head"),
    (Cell("llama", "classification", "p_tuning"), {}, "virtual tokens hide"),
]


@pytest.mark.parametrize(("cell", "changes", "why"), REFUSED, ids=lambda one: str(one)[:40])
def test_what_would_fail_or_train_in_vain_is_refused_first(
    cell: Cell, changes: dict[str, Any], why: str, bases: dict[str, Path]
) -> None:
    settings = settings_of(cell, bases[cell.base], **changes)
    with pytest.raises(JobError, match=why) as error:
        put_together(settings, bases[cell.base])
    assert error.value.name == "usage"


@pytest.mark.parametrize(
    ("cell", "fitting"),
    [
        (Cell("bert", "mlm", "full"), 64),
        (Cell("bert", "mlm", "prefix"), 61),
        (Cell("bert", "classification", "prompt"), 61),
    ],
    ids=str,
)
def test_rows_longer_than_a_table_of_positions_are_refused(
    cell: Cell, fitting: int, bases: dict[str, Path]
) -> None:
    settings = settings_of(cell, bases["bert"], seq_len=fitting + 1)
    with pytest.raises(JobError, match="this base has 64 positions") as error:
        put_together(settings, bases["bert"])
    assert error.value.hint == f"plan with seq_len {fitting}"
    put_together(settings_of(cell, bases["bert"], seq_len=fitting), bases["bert"])


def chosen(base: str, targets: list[str] | str, bases: dict[str, Path]) -> set[str]:
    """Return the last two parts of each path that an adapter sits on."""
    lora = {**LORA["lora"], "targets": targets}
    settings = settings_of(Cell(base, OBJECTIVE_OF[base], "lora"), bases[base])
    settings = Settings.from_dict(settings.to_dict() | {"lora": lora})
    _, model = put_together(settings, bases[base])
    return {".".join(name.split(".")[-2:]) for name in model.targeted_module_names}


@pytest.mark.parametrize(
    ("base", "targets", "found"),
    [
        ("llama", ["q", "down"], {"self_attn.q_proj", "mlp.down_proj"}),
        ("bert", ["q", "v"], {"self.query", "self.value"}),
        ("bert", ["o"], {"output.dense"}),
        ("bert", ["gate", "up", "down"], {"intermediate.dense", "output.dense"}),
        ("modernbert", ["q", "gate"], {"attn.Wqkv", "mlp.Wi"}),
        ("modernbert", ["mlp.Wo"], {"mlp.Wo"}),
        ("t5", ["k", "up"], {"SelfAttention.k", "EncDecAttention.k", "DenseReluDense.wi_1"}),
        ("t5", ["wo"], {"DenseReluDense.wo"}),
    ],
)
def test_targets_mean_the_same_layers_in_every_architecture(
    base: str, targets: list[str], found: set[str], bases: dict[str, Path]
) -> None:
    assert chosen(base, targets, bases) == found


@pytest.mark.parametrize("base", OBJECTIVE_OF)
def test_all_linear_leaves_heads_and_embeddings_alone(base: str, bases: dict[str, Path]) -> None:
    names = chosen(base, "all-linear", bases)
    assert len(names) >= 4
    assert not {name for name in names if "head" in name or "decoder" in name or "cls" in name}


@pytest.mark.parametrize("base", OBJECTIVE_OF)
def test_a_target_that_is_not_there_is_named_with_those_that_are(
    base: str, bases: dict[str, Path]
) -> None:
    with pytest.raises(JobError, match="no linear layer named query_projection") as error:
        chosen(base, ["q", "query_projection"], bases)
    assert error.value.name == "usage"
    assert {"llama": "q_proj", "bert": "query", "modernbert": "Wqkv", "t5": "wi_0"}[
        base
    ] in error.value.hint


@pytest.mark.parametrize("base", OBJECTIVE_OF)
def test_a_bottleneck_adapter_begins_as_the_identity(base: str, bases: dict[str, Path]) -> None:
    cell = Cell(base, OBJECTIVE_OF[base], "adapter")
    settings = settings_of(cell, bases[base])
    _, model = put_together(settings, bases[base])
    batch = batch_of(model, cell.objective)
    plain = load_base(bases[base], settings, CPU).model
    assert torch.equal(logits(model, batch), logits(plain, batch))
    assert settings.bottleneck
    sites = 5 if base == "t5" else 4  # a decoder looks at the encoder too
    a_site = 2 * settings.bottleneck * 32 + settings.bottleneck + 32
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == sites * a_site


def test_a_bottleneck_adapter_works_at_16_bits_too(bases: dict[str, Path]) -> None:
    cell = Cell("llama", "clm", "adapter")
    hardware = Hardware(device="cpu", mixed=torch.bfloat16)
    _, model = put_together(settings_of(cell, bases["llama"]), bases["llama"], hardware=hardware)
    batch = batch_of(model, "clm")
    losses = step(model, batch, steps=5, mixed=torch.bfloat16)
    assert losses[-1] < losses[0]
    formats = {value.dtype for value in model.parameters() if value.requires_grad}
    assert formats == {torch.float32}


@pytest.mark.parametrize("method", [*ADDED, "full"])
def test_a_model_trained_at_16_bits_is_asked_at_16_bits(
    method: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    cell = Cell("bert", "classification", method)
    settings = settings_of(cell, bases["bert"], precision="bf16")
    hardware = Hardware(device="cpu", mixed=torch.bfloat16)
    tokenizer, model = put_together(settings, bases["bert"], hardware=hardware)
    batch = batch_of(model, "classification")
    step(model, batch, mixed=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        said = logits(model, batch)
    _, loaded = load_trained(leave(tmp_path / "run", settings, tokenizer, model))
    torch.testing.assert_close(logits(loaded, batch), said, rtol=0.05, atol=0.05, check_dtype=False)


@pytest.mark.parametrize("choice", ["selective", "yes"])
@pytest.mark.parametrize(
    "cell",
    [
        Cell("llama", "clm", "full"),
        Cell("llama", "clm", "lora"),
        Cell("bert", "mlm", "lora"),
        Cell("modernbert", "classification", "adapter"),
        Cell("t5", "seq2seq", "full"),
        Cell("t5", "seq2seq", "ia3"),
        Cell("llama", "clm", "prompt"),
    ],
    ids="-".join,
)
def test_checkpointing_changes_no_gradient(cell: Cell, choice: str, bases: dict[str, Path]) -> None:
    plain, kept = (
        gradients(settings_of(cell, bases[cell.base], gradient_checkpointing=one), bases[cell.base])
        for one in ("no", choice)
    )
    assert plain.keys() == kept.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(kept[name], gradient, rtol=1e-4, atol=1e-6)


def gradients(settings: Settings, base: Path) -> dict[str, torch.Tensor]:
    _, model = put_together(settings, base)
    for parameter in model.parameters():
        if parameter.requires_grad:  # what begins at zero hides its neighbours
            parameter.data.add_(torch.randn_like(parameter) * 0.05)
    model(**batch_of(model, settings.objective)).loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


class Products(TorchDispatchMode):
    """Counts the matrix products that are worked out."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, call: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += call in KEPT
        return call(*args, **(kwargs or {}))


def test_selective_checkpointing_works_out_no_product_twice(bases: dict[str, Path]) -> None:
    counts = {}
    for choice in ("no", "selective", "yes"):
        settings = settings_of(
            Cell("llama", "clm", "full"), bases["llama"], gradient_checkpointing=choice
        )
        _, model = put_together(settings, bases["llama"])
        with Products() as products:
            model(**batch_of(model, "clm")).loss.backward()
        counts[choice] = products.count
    assert counts["no"] == counts["selective"] < counts["yes"]


TOKENIZERS = {
    (objective, kind): train_tokenizer([runs.text(100)], 400, objective=objective, kind=kind)
    for objective in ("clm", "mlm", "seq2seq")
    for kind in ("bpe", "unigram")
}


@pytest.mark.parametrize(("objective", "kind"), TOKENIZERS)
@hypothesis_settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read_back_to_the_byte(objective: str, kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[objective, kind]
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize(("objective", "kind"), TOKENIZERS)
def test_a_tokenizer_has_what_its_objective_needs(
    objective: str, kind: str, tmp_path: Path
) -> None:
    TOKENIZERS[objective, kind].save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path, objective)
    assert len(tokenizer) <= 400
    framed = tokenizer.convert_ids_to_tokens(tokenizer("red")["input_ids"])
    around = {"mlm": ("[CLS]", "[SEP]"), "seq2seq": (framed[0], "</s>")}
    assert (framed[0], framed[-1]) == around.get(objective, (framed[0], framed[-1]))
    sentinels = tokenizer.convert_tokens_to_ids(list(SENTINELS))
    if objective == "seq2seq":
        assert len(set(sentinels)) == 100
        assert tokenizer("<extra_id_7>", add_special_tokens=False)["input_ids"] == [sentinels[7]]
    assert (tokenizer.mask_token is not None) == (objective == "mlm")


@pytest.mark.parametrize(("objective", "least"), [("clm", 257), ("mlm", 260), ("seq2seq", 358)])
@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_vocabulary_without_room_for_all_bytes_is_refused(
    objective: str, least: int, kind: str
) -> None:
    assert len(train_tokenizer(["a"], least, objective=objective, kind=kind)) == least
    with pytest.raises(JobError, match=f"alone are {least}"):
        train_tokenizer(["a"], least - 1, objective=objective, kind=kind)


@pytest.mark.parametrize(
    ("objective", "missing"),
    [("mlm", "no mask token"), ("seq2seq", None), ("classification", None), ("extraction", None)],
)
def test_a_tokenizer_is_refused_by_what_it_lacks(
    objective: str, missing: str | None, bases: dict[str, Path]
) -> None:
    if missing is None:
        assert load_tokenizer(bases["llama"], objective).pad_token is not None
        return
    with pytest.raises(JobError, match=missing):
        load_tokenizer(bases["llama"], objective)


def test_an_encoder_is_refused_for_causal_text(bases: dict[str, Path]) -> None:
    with pytest.raises(JobError, match="no end-of-text token"):
        load_tokenizer(bases["bert"], "clm")


@pytest.mark.parametrize(
    "cell", [Cell("bert", "classification", "full"), Cell("bert", "mlm", "full")]
)
def test_a_head_may_be_new_but_a_hole_in_the_backbone_is_refused(
    cell: Cell, bases: dict[str, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "base"
    shutil.copytree(bases["bert"], broken)
    weights = load_file(broken / "model.safetensors")
    weights.pop("bert.encoder.layer.1.output.dense.weight")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(JobError, match=r"incomplete: bert\.encoder\.layer\.1\.output\.dense"):
        put_together(settings_of(cell, broken), broken)


def test_a_head_for_other_labels_is_made_anew(bases: dict[str, Path], tmp_path: Path) -> None:
    cell = Cell("bert", "classification", "full")
    tokenizer, model = put_together(settings_of(cell, bases["bert"]), bases["bert"])
    save_model(model, tmp_path)
    tokenizer.save_pretrained(tmp_path)
    changed = settings_of(cell, tmp_path).to_dict() | {"labels": ["a", "b"]}
    _, again = put_together(Settings.from_dict(changed), tmp_path)
    batch = batch_of(again, "classification") | {"labels": torch.tensor([0, 1])}
    assert logits(again, batch).shape == (2, 2)


def test_a_trained_model_without_its_head_is_refused(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    cell = Cell("bert", "classification", "frozen")
    settings = settings_of(cell, bases["bert"])
    run = leave(tmp_path / "run", settings, *put_together(settings, bases["bert"]))
    weights = load_file(run / "model" / "model.safetensors")
    weights.pop("classifier.weight")
    save_file(weights, run / "model" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(JobError, match="head is incomplete"):
        load_trained(run)


def test_labels_are_written_into_the_model(bases: dict[str, Path], tmp_path: Path) -> None:
    settings = settings_of(Cell("bert", "classification", "full"), bases["bert"])
    _, model = put_together(settings, bases["bert"])
    save_model(model, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["id2label"] == {"0": "no", "1": "perhaps", "2": "yes"}
    assert config["label2id"] == {"no": 0, "perhaps": 1, "yes": 2}


NEW_TEXT = [f"Nummer {n}: der Verwaltungsgerichtshof über die Straße ## {n}" for n in range(60)]


def added_tokens(tokenizer: Any) -> Any:
    """Return a tokenizer with tokens outside its model, as those of dialogues are."""
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|start|>", "<|end|>"]})
    return tokenizer


def word_pieces() -> Any:
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"}
    tokenizer = Tokenizer(models.WordPiece(unk_token=named["unk_token"]))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    letters = " ".join(string.ascii_lowercase + string.digits + ":#" + string.ascii_lowercase)
    trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=list(named.values()))
    tokenizer.train_from_iterator([letters, letters.replace(" ", "")], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def sentence_pieces() -> Any:
    """Return a tokenizer as that of Llama 2: a text is one word, with bytes to fall back on."""
    named = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}
    unknown = named["unk_token"]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token=unknown, fuse_unk=True))
    steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    tokenizer.normalizer = normalizers.Sequence(steps)
    back = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*back, decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer.train_from_iterator(
        [runs.text(50).replace("\n", " ")],
        trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False),
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def like_t5() -> Any:
    named = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120,
        special_tokens=list(named.values()),
        unk_token=named["unk_token"],
        show_progress=False,
    )
    tokenizer.train_from_iterator([runs.text(50), "üßV:#" + string.ascii_lowercase], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, extra_special_tokens=["<extra_id_0>", "<extra_id_1>"], **named
    )


KINDS: dict[str, Callable[[], Any]] = {
    "bytes": lambda: train_tokenizer([runs.text(50)], 300),
    "bytes with tokens outside": lambda: added_tokens(train_tokenizer([runs.text(50)], 300)),
    "unigram": lambda: train_tokenizer([runs.text(50)], 280, kind="unigram"),
    "word pieces": word_pieces,
    "sentence pieces": sentence_pieces,
    "like T5": like_t5,
}


@pytest.mark.parametrize("kind", KINDS)
def test_new_tokens_shorten_the_text_and_leave_the_old_ones_where_they_are(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    base = KINDS[kind]()
    extended, pieces = extend(base, lambda: NEW_TEXT, 20)
    assert len(extended) == len(base) + 20
    assert sorted(pieces) == list(range(len(base), len(extended)))
    assert base.get_vocab().items() <= extended.get_vocab().items()
    text = "der Verwaltungsgerichtshof über die Straße"
    before, after = (one(text, add_special_tokens=False)["input_ids"] for one in (base, extended))
    assert len(after) < 0.7 * len(before)
    assert base.decode(before) == extended.decode(after)
    assert "fewer tokens" in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["bytes", "bytes with tokens outside", "sentence pieces"])
@hypothesis_settings(max_examples=50, deadline=None)
@given(text=st.text(st.sampled_from("dergshof Nüß#1V日")))
def test_a_new_token_stands_for_its_pieces_wherever_it_is_used(kind: str, text: str) -> None:
    base, (extended, pieces) = extended_once(kind)
    ids = extended(text, add_special_tokens=False)["input_ids"]
    apart = [part for one in ids for part in pieces.get(one, (one,))]
    assert apart == base(text, add_special_tokens=False)["input_ids"]


@cache
def extended_once(kind: str) -> tuple[Any, Extended]:
    base = KINDS[kind]()
    return base, extend(base, lambda: NEW_TEXT, 20)


def extension(base: str, method: str, bases: dict[str, Path]) -> Settings:
    return Settings.from_dict(
        runs.settings(
            approach="continued_pretrain",
            objective=OBJECTIVE_OF[base],
            method=method,
            base_model=str(bases[base]),
            packing=False,
            new_tokens=10,
            **ADDED.get(method, {}),
        )
    )


@pytest.mark.parametrize("base", OBJECTIVE_OF)
def test_a_new_row_begins_as_the_mean_of_the_pieces_it_stands_for(
    base: str, bases: dict[str, Path]
) -> None:
    settings = extension(base, "full", bases)
    own = load_tokenizer(bases[base], settings.objective)
    old = load_base(bases[base], settings, CPU).model.get_input_embeddings().weight
    tokenizer, model = put_together(settings, bases[base], texts=lambda: NEW_TEXT)
    rows, outputs = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    pieces = extend(own, lambda: NEW_TEXT, 10).pieces
    assert len(tokenizer) == len(own) + 10
    assert torch.equal(rows[: len(own)], old[: len(own)])
    for number, parts in pieces.items():
        torch.testing.assert_close(rows[number], old[list(parts)].mean(0))
        torch.testing.assert_close(outputs[number], rows[number])


@pytest.mark.parametrize("tied", [True, False])
def test_new_tokens_learned_with_lora_load_with_stock_peft(
    tied: bool, bases: dict[str, Path], tmp_path: Path
) -> None:
    base = bases["llama"] if tied else untie(bases["llama"], tmp_path / "base")
    settings = extension("llama", "lora", {"llama": base})
    tokenizer, model = put_together(settings, base, texts=lambda: NEW_TEXT)
    batch = batch_of(model, "clm")
    batch["input_ids"][0, 3:6] = torch.arange(len(tokenizer) - 3, len(tokenizer))
    model.train()
    step(model, batch)
    said = logits(model, batch)
    run = leave(tmp_path / "run", settings, tokenizer, model)
    assert torch.equal(
        logits(AutoPeftModelForCausalLM.from_pretrained(run / "adapter"), batch), said
    )
    assert torch.equal(logits(load_trained(run)[1], batch), said)
    with untrained(settings, tokenizer, model, base=base, hardware=CPU) as (own, before):
        assert len(own) == len(tokenizer) - 10
        assert before.get_input_embeddings().weight.shape[0] == len(own)
    torch.testing.assert_close(logits(merged(model), batch), said, rtol=1e-4, atol=1e-4)


def untie(base: Path, target: Path) -> Path:
    """Copy a base; its output layer gets weights of its own."""
    shutil.copytree(base, target)
    weights = load_file(target / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].flip(0).contiguous()
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    return target


@pytest.mark.parametrize(("base", "method"), [("llama", "ia3"), ("bert", "lora")])
def test_new_tokens_that_could_not_train_are_refused(
    base: str, method: str, bases: dict[str, Path]
) -> None:
    with pytest.raises(SettingsError, match="new_tokens"):
        extension(base, method, bases)


def test_the_network_of_p_tuning_is_put_back_to_train_on(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    settings = settings_of(Cell("llama", "clm", "p_tuning"), bases["llama"])
    models = [put_together(settings, bases["llama"])[1] for _ in range(2)]
    batch = batch_of(models[0], "clm")
    step(models[0], batch)
    save_model(models[0], tmp_path)
    save_network(models[0], tmp_path)
    models[1].load_adapter(str(tmp_path), "default", is_trainable=True)
    load_network(models[1], tmp_path)
    models[1].train()
    assert step(models[0], batch) == step(models[1], batch)


def test_the_base_of_an_earlier_stage_is_found_from_the_run_folder(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(bases["llama"], run / "stages" / "1" / "model")
    settings = settings_of(Cell("llama", "clm", "lora"), Path("stages/1/model"))
    tokenizer, model = put_together(settings, run / "stages" / "1" / "model")
    batch = batch_of(model, "clm")
    step(model, batch)
    leave(run, settings, tokenizer, model)
    assert torch.equal(logits(load_trained(run)[1], batch), logits(model, batch))


def pickled(run: Path) -> None:
    (run / "adapter" / "adapter_model.safetensors").unlink()
    (run / "adapter" / "adapter_model.bin").write_bytes(b"pickle")


def with_code(run: Path) -> None:
    path = run / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": {"x": "y"}}))


def cut_off(run: Path) -> None:
    path = run / "adapter" / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:100])


def other_base(run: Path) -> None:
    path = run / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"peft_type": "NOTHING"}))


@pytest.mark.parametrize("harm", [pickled, with_code, cut_off, other_base])
def test_an_adapter_that_is_unsafe_or_damaged_is_refused(
    harm: Callable[[Path], None], bases: dict[str, Path], tmp_path: Path
) -> None:
    settings = settings_of(Cell("llama", "clm", "lora"), bases["llama"])
    run = leave(tmp_path / "run", settings, *put_together(settings, bases["llama"]))
    harm(run)
    with pytest.raises(JobError) as error:
        load_trained(run)
    assert error.value.name == "model_unusable"


def test_a_run_without_a_model_is_refused(bases: dict[str, Path], tmp_path: Path) -> None:
    settings = settings_of(Cell("llama", "clm", "lora"), bases["llama"])
    run = leave(tmp_path / "run", settings, *put_together(settings, bases["llama"]))
    shutil.rmtree(run / "adapter")
    with pytest.raises(JobError, match="no trained model"):
        load_trained(run)


def test_an_encoder_and_decoder_share_the_layers_of_the_shape() -> None:
    settings = pretraining("seq2seq", shape={"n_layers": 5})
    _, model = put_together(settings, None)
    assert (model.config.num_layers, model.config.num_decoder_layers) == (3, 2)
