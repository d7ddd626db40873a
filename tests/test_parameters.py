"""Parameters counted from shapes, against models that transformers builds without memory."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from advisor.catalog import Model, load_catalog
from advisor.errors import AdvisorError
from advisor.estimation.anatomy import Anatomy, anatomy_rows, find_anatomy
from advisor.estimation.derived_shape import GivenShape, derived, known_shape, overridden
from advisor.estimation.model_config import shape_of_config
from advisor.estimation.shape import (
    ENCODER,
    Shape,
    count_params,
    shape_for_pretraining,
    shape_of_model,
)

CATALOG = load_catalog()
BASES = [model for model in CATALOG.models.all() if model.variant_of not in CATALOG.models]

# transformers 5.23 ties the output head of every T5; these checkpoints bring one of their own.
# What it builds of them:
TIED_WHEN_BUILT = {
    "google/flan-t5-small": 60_511_616,
    "google/flan-t5-base": 222_903_552,
    "google/flan-t5-large": 750_251_008,
    "google/flan-t5-xl": 2_783_959_040,
    "google/flan-t5-xxl": 11_003_736_064,
    "google/mt5-small": 172_119_424,
    "google/mt5-base": 390_315_264,
    "google/mt5-large": 973_466_624,
    "google/mt5-xl": 3_230_390_272,
    "google/mt5-xxl": 11_896_598_528,
    "google/byt5-small": 299_072_512,
}
# Models of the catalogue that transformers cannot build, and why. At present it builds all.
NOT_BUILDABLE: dict[str, str] = {}
# The SigLIP tower of every released Gemma 3 that sees.
SIGLIP = {
    "model_type": "siglip_vision_model",
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 896,
    "patch_size": 14,
    "vision_use_head": False,
}


# --- the configuration of each family, from the shape


def usual(shape: Shape) -> dict[str, Any]:
    return {
        "vocab_size": shape.vocab,
        "tie_word_embeddings": shape.tied,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads,
        "intermediate_size": shape.intermediate,
        "max_position_embeddings": (shape.max_context or 0) + shape.anatomy.context_offset,
    }


def with_heads(shape: Shape) -> dict[str, Any]:
    return {**usual(shape), "head_dim": shape.head_dim}


def gpt(shape: Shape) -> dict[str, Any]:
    return {**usual(shape), "n_inner": shape.intermediate}


def mixture(shape: Shape) -> dict[str, Any]:
    experts = {"num_experts": shape.n_experts, "num_local_experts": shape.n_experts}
    return {**with_heads(shape), **experts, "num_experts_per_tok": shape.top_k}


def fine_mixture(shape: Shape) -> dict[str, Any]:
    widths = {
        "intermediate_size": shape.dense_intermediate,
        "moe_intermediate_size": shape.intermediate,
        "shared_expert_intermediate_size": shape.anatomy.shared_intermediate,
    }
    return {**mixture(shape), **widths}


def latent(shape: Shape) -> dict[str, Any]:
    anatomy = shape.anatomy
    return {
        **usual(shape),
        "intermediate_size": shape.dense_intermediate,
        "moe_intermediate_size": shape.intermediate,
        "n_routed_experts": shape.n_experts,
        "num_experts_per_tok": shape.top_k,
        "n_shared_experts": anatomy.shared_intermediate // shape.intermediate,
        "first_k_dense_replace": anatomy.dense_layers,
        "q_lora_rank": anatomy.q_rank or None,
        "kv_lora_rank": anatomy.kv_rank,
        "qk_rope_head_dim": anatomy.rope_dim,
        "qk_nope_head_dim": shape.head_dim - anatomy.rope_dim,
        "v_head_dim": anatomy.value_dim,
    }


def falcon(shape: Shape) -> dict[str, Any]:
    flags = {
        "bias": bool(shape.anatomy.qkv_bias),
        "multi_query": shape.n_kv_heads == 1,
        "new_decoder_architecture": 1 < shape.n_kv_heads < shape.n_heads,
        "parallel_attn": not shape.anatomy.qkv_bias,
        "num_kv_heads": shape.n_kv_heads,
        "ffn_hidden_size": shape.intermediate,
    }
    return {**usual(shape), **flags}


def t5(shape: Shape) -> dict[str, Any]:
    return {
        "vocab_size": shape.vocab,
        "tie_word_embeddings": shape.tied,
        "d_model": shape.hidden,
        "d_kv": shape.head_dim,
        "d_ff": shape.intermediate,
        "num_layers": shape.n_layers - shape.n_decoder_layers,
        "num_decoder_layers": shape.n_decoder_layers,
        "num_heads": shape.n_heads,
        "feed_forward_proj": "gated-gelu" if shape.gated else "relu",
    }


def bart(shape: Shape) -> dict[str, Any]:
    decoder = {
        "decoder_layers": shape.n_decoder_layers,
        "decoder_attention_heads": shape.n_heads,
        "decoder_ffn_dim": shape.intermediate,
    }
    encoder = {
        "encoder_layers": shape.n_layers - shape.n_decoder_layers,
        "encoder_attention_heads": shape.n_heads,
        "encoder_ffn_dim": shape.intermediate,
    }
    table = {"vocab_size": shape.vocab, "tie_word_embeddings": shape.tied}
    positions = {"max_position_embeddings": shape.max_context, "d_model": shape.hidden}
    return {**table, **positions, **encoder, **decoder}


def deberta(shape: Shape) -> dict[str, Any]:
    flags = {
        "relative_attention": True,
        "position_buckets": 256,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
    }
    return {**usual(shape), **flags}


def also(settings: Callable[[Shape], dict[str, Any]], **more: Any) -> Callable[..., dict[str, Any]]:
    return lambda shape: {**settings(shape), **more}


# What differs from the defaults of a configuration class is what the model's own config.json says.
SETTINGS: dict[str, Callable[[Shape], dict[str, Any]]] = {
    "albert": lambda shape: {**usual(shape), "embedding_size": shape.anatomy.embedding_width},
    "bart": bart,
    "camembert": also(usual, type_vocab_size=1),
    "deberta-v2": deberta,
    "deepseek_v2": latent,
    "deepseek_v3": latent,
    "distilbert": lambda shape: {**usual(shape), "hidden_dim": shape.intermediate},
    "electra": lambda shape: {**usual(shape), "embedding_size": shape.hidden},
    "ernie4_5": with_heads,
    "falcon": falcon,
    "gemma": with_heads,
    "gemma2": with_heads,
    "gemma3": lambda shape: {"text_config": with_heads(shape), "vision_config": SIGLIP},
    "gemma3_text": with_heads,
    "gpt2": gpt,
    "gpt_bigcode": also(gpt, multi_query=True),
    "gpt_neo": lambda shape: {
        **usual(shape),
        "attention_types": [[["global", "local"], shape.n_layers // 2]],
    },
    "gpt_oss": mixture,
    "gptj": gpt,
    "llama": with_heads,
    "llama4_text": lambda shape: {**mixture(shape), "interleave_moe_layer_step": 1},
    "m2m_100": bart,
    "mamba": lambda shape: {**usual(shape), "expand": shape.intermediate // shape.hidden},
    "mbart": bart,
    "mistral": with_heads,
    "mixtral": mixture,
    "mt5": t5,
    "opt": lambda shape: {
        **usual(shape),
        "ffn_dim": shape.intermediate,
        "word_embed_proj_dim": shape.embedding_width,
        "do_layer_norm_before": shape.embedding_width == shape.hidden,
    },
    "phimoe": also(mixture, attention_bias=True, lm_head_bias=True),
    "qwen2_moe": fine_mixture,
    "qwen3": with_heads,
    "qwen3_moe": fine_mixture,
    "olmoe": mixture,
    "roberta": also(usual, type_vocab_size=1),
    "seed_oss": also(with_heads, attention_bias=True),
    "stablelm": lambda shape: {**usual(shape), "use_qkv_bias": bool(shape.anatomy.qkv_bias)},
    "t5": t5,
    "xlm-roberta": also(usual, type_vocab_size=1),
}


def config_of(model: Model) -> Any:
    transformers = pytest.importorskip("transformers")
    settings = SETTINGS.get(model.model_type, usual)(shape_of_model(model, mlm_head=True))
    return transformers.AutoConfig.for_model(model.model_type, **settings)


def built(config: Any, door: str) -> int:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    with torch.device("meta"):
        model = getattr(transformers, door).from_config(config)
    return sum(weight.numel() for weight in model.parameters())


def door_of(kind: str) -> str:
    """Return the class that a training of this kind of model starts from."""
    doors = {ENCODER: "AutoModelForMaskedLM", "encoder-decoder": "AutoModelForSeq2SeqLM"}
    return doors.get(kind, "AutoModelForCausalLM")


def read_back(config: Any, folder: Path, *, mlm_head: bool = True) -> Shape:
    config.to_json_file(str(folder / "config.json"))
    return shape_of_config(folder, mlm_head=mlm_head)


def smallest_of_each_family() -> set[str]:
    by_size = sorted(BASES, key=lambda model: -model.params)
    return {model.id for model in {model.model_type: model for model in by_size}.values()}


SMALLEST = smallest_of_each_family()


def buildable() -> Iterable[Any]:
    for model in BASES:
        if model.id not in NOT_BUILDABLE:
            marks = () if model.id in SMALLEST else (pytest.mark.slow,)
            yield pytest.param(model, marks=marks, id=model.id)


# --- the catalogue


def test_the_formula_gives_the_parameters_of_every_model_of_the_catalogue() -> None:
    wrong = {
        model.id: counted
        for model in CATALOG.models.all()
        for mlm_head in (False, True)
        if (counted := count_params(shape := shape_of_model(model, mlm_head=mlm_head)))
        != (shape.params, shape.params_active)
    }
    assert wrong == {}


@pytest.mark.parametrize("model", buildable())
def test_a_model_built_without_memory_has_the_parameters_of_the_formula(
    model: Model, tmp_path: Path
) -> None:
    shape = shape_of_model(model, mlm_head=True)
    config = config_of(model)
    parameters = built(config, door_of(model.kind))
    if model.id in TIED_WHEN_BUILT:
        assert parameters == TIED_WHEN_BUILT[model.id]
        shape = shape._replace(tied=True)
    assert parameters == count_params(shape)[0]
    # The shape that is read from the model's own config.json is the same.
    assert read_back(config, tmp_path).params == parameters


@pytest.mark.parametrize(
    "model", [pytest.param(model, id=model.id) for model in BASES if model.kind == ENCODER]
)
def test_an_encoder_without_its_mlm_head_has_the_parameters_of_the_formula(
    model: Model, tmp_path: Path
) -> None:
    config = config_of(model)
    parameters = built(config, "AutoModel")
    assert parameters == model.params
    assert read_back(config, tmp_path, mlm_head=False).params == parameters


def test_what_cannot_be_built_is_in_the_catalogue_and_no_more_than_is_named() -> None:
    ids = {model.id for model in BASES}
    assert set(NOT_BUILDABLE) <= ids
    assert set(TIED_WHEN_BUILT) <= ids
    assert len(NOT_BUILDABLE) == 0


def test_every_family_of_the_catalogue_has_an_anatomy() -> None:
    families = {model.model_type for model in BASES}
    assert families <= set(anatomy_rows())


@pytest.mark.parametrize("name", anatomy_rows())
def test_every_row_of_the_table_is_an_anatomy_with_a_source(name: str) -> None:
    row = anatomy_rows()[name]
    assert isinstance(find_anatomy(name), Anatomy)
    assert row.source
    assert row.date


# --- a config.json

# The projections of relative positions in DeBERTa 1 are not counted; Qwen 1 is remote code.
NOT_COUNTED = {"deberta", "qwen"}
CONFIGS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in anatomy_rows() if "/" not in name and " " not in name),
    ("llama", {"attention_bias": True, "mlp_bias": True}),
    ("qwen2_moe", {"mlp_only_layers": [0, 1]}),
    ("qwen3_moe", {"decoder_sparse_step": 2}),
    ("llama4_text", {"interleave_moe_layer_step": 2}),
    ("granitemoeshared", {"shared_intermediate_size": 512, "num_local_experts": 8}),
    ("deepseek_v3", {"q_lora_rank": None}),
    ("starcoder2", {"use_bias": False}),
    ("t5", {"feed_forward_proj": "gated-gelu", "num_decoder_layers": 2}),
    ("bert", {"type_vocab_size": 4, "max_position_embeddings": 1024}),
    ("electra", {"embedding_size": 128, "hidden_size": 256}),
    ("deberta-v2", {"relative_attention": True, "position_buckets": 256}),
    ("falcon", {"alibi": True, "parallel_attn": False}),
    ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 8}),
    ("opt", {"word_embed_proj_dim": 128}),
    ("gpt_bigcode", {"multi_query": False}),
    ("gpt2", {"n_inner": 100, "tie_word_embeddings": False}),
]
NEEDED = {"gemma3": {"vision_config": SIGLIP}, "nemotron": {"num_key_value_heads": 8}}


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        pytest.param(family, {**NEEDED.get(family, {}), **settings}, id=f"{family}-{index}")
        for index, (family, settings) in enumerate(CONFIGS)
        if family not in NOT_COUNTED and family not in {"FLAN-T5", "ByT5"}
    ],
)
def test_a_config_gives_the_parameters_of_the_model_it_builds(
    family: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.AutoConfig.for_model(family, **settings)
    shape = read_back(config, tmp_path)
    assert shape.params == built(config, door_of(shape.kind))
    assert shape.params_active <= shape.params


def test_a_config_without_widths_is_a_fault_that_names_them(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"model_type": "llama", "hidden_size": 64}), encoding="utf-8")
    with pytest.raises(AdvisorError) as error:
        shape_of_config(file)
    missing = {fault.field for fault in error.value.faults}
    assert missing == {"n_layers", "n_heads", "vocab"}


@pytest.mark.parametrize("odd", [-3, "many", None, 1e9, [1], True])
def test_odd_figures_in_a_config_never_give_negative_parameters(odd: Any, tmp_path: Path) -> None:
    usual = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 99}
    parts = ("q_lora_rank", "kv_lora_rank", "mlp_only_layers", "norm_bias", "n_shared_experts")
    config = {"model_type": "deepseek_v3", **usual, **dict.fromkeys(parts, odd)}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    shape = shape_of_config(tmp_path)
    assert 0 < shape.params_active <= shape.params


# --- shapes of which some widths are given


def shape_from(name: str, params_b: float, widths: tuple[int, int, int, int]) -> Shape:
    layers, hidden, heads, vocab = widths
    given = GivenShape(
        params=params_b * 1e9, n_layers=layers, hidden=hidden, n_heads=heads, vocab=vocab
    )
    known = known_shape(given, CATALOG, name=name, mlm_head=True)
    return known or derived(given, name=name, kind="decoder", mlm_head=True)


# Names, rounded parameters and (layers, hidden, heads, vocabulary) as publications print them.
@pytest.mark.parametrize(
    ("name", "params_b", "widths", "params"),
    [
        ("Llama-2-7B", 6.74, (32, 4096, 32, 32_000), 6_738_415_616),
        ("Llama-2-70B", 68.98, (80, 8192, 64, 32_000), 68_976_648_192),
        ("LLaMA-33B", 32.5, (60, 6656, 52, 32_000), 32_528_943_616),
        ("Mistral-7B", 7.24, (32, 4096, 32, 32_000), 7_241_732_096),
        ("Qwen-7B", 7.72, (32, 4096, 32, 151_936), 7_721_324_544),
        ("Qwen-14B", 14.17, (40, 5120, 40, 152_064), 14_167_290_880),
        ("Qwen-72B", 72.3, (80, 8192, 64, 152_064), 72_287_920_128),
        ("BERT-large", 0.335, (24, 1024, 16, 30_522), 335_174_458),
        ("T5-base-v1.1", 0.248, (24, 768, 12, 32_128), 247_577_856),
        ("DeepSeek-V3", 671.0, (61, 7168, 128, 129_280), 671_026_404_352),
    ],
)
def test_a_published_name_with_rounded_parameters_gives_the_exact_ones(
    name: str, params_b: float, widths: tuple[int, int, int, int], params: int
) -> None:
    shape = shape_from(name, params_b, widths)
    assert shape.params == params
    assert shape.name == name


@pytest.mark.parametrize(
    ("name", "params_b", "widths"),
    [
        ("OPT-175B", 175.0, (96, 12_288, 96, 50_272)),
        ("GPT-3-175B", 175.0, (96, 12_288, 96, 51_200)),
        ("MT-NLG-530B", 530.0, (105, 20_480, 128, 51_200)),
        ("BloombergGPT-50B", 50.6, (70, 7680, 40, 131_072)),
        ("StarCoderBase-15.5B", 15.5, (40, 6144, 48, 49_152)),
    ],
)
def test_a_family_known_by_name_is_counted_from_its_own_anatomy(
    name: str, params_b: float, widths: tuple[int, int, int, int]
) -> None:
    shape = shape_from(name, params_b, widths)
    assert (shape.params, shape.params_active) == count_params(shape)
    assert shape.params == pytest.approx(params_b * 1e9, rel=0.003)
    assert not shape.gated


def test_given_parameters_stand_where_the_shape_means_others() -> None:
    # A table for positions of another length: 4 % more than the model of the catalogue.
    base = shape_of_model(CATALOG.model("mosaicml/mpt-7b"))
    assert overridden(base, GivenShape(params=6.9189e9)).params == 6.9189e9
    assert overridden(base, GivenShape(params=6.65e9)).params == base.params


@pytest.mark.parametrize("row", CATALOG.shapes.values(), ids=lambda row: row.id)
def test_a_shape_for_pretraining_is_found_again_from_its_widths(row: Any) -> None:
    widths = ("n_layers", "hidden", "n_heads", "n_kv_heads", "intermediate", "vocab")
    given = GivenShape(params=row.params, **{name: getattr(row, name) for name in widths})
    found = derived(given, name=None, kind="decoder")
    assert count_params(shape_for_pretraining(row)) == (row.params, row.params)
    assert found._replace(name=row.id, max_context=row.max_context) == shape_for_pretraining(row)


# --- properties

WIDTHS = {"n_layers": st.integers(1, 200), "hidden": st.integers(64, 20_000)}


@drawn(
    st.sampled_from(BASES),
    st.sampled_from(["n_layers", "hidden", "intermediate", "vocab"]),
    st.integers(0, 4096),
)
def test_a_larger_model_never_has_fewer_parameters(model: Model, width: str, more: int) -> None:
    base = shape_of_model(model)
    larger = overridden(base, GivenShape(**{width: getattr(base, width) + more}))
    assert larger.params >= base.params
    assert 0 < larger.params_active <= larger.params


@drawn(st.fixed_dictionaries(WIDTHS), st.sampled_from([*WIDTHS]), st.integers(1, 512))
def test_a_larger_derived_shape_never_has_fewer_parameters(
    widths: dict[str, int], grown: str, more: int
) -> None:
    small = derived(GivenShape(**widths), name=None, kind="decoder")
    larger = {**widths, grown: widths[grown] + more}
    assert derived(GivenShape(**larger), name=None, kind="decoder").params >= small.params
    assert (small.params, small.params_active) == count_params(small)


@pytest.mark.parametrize("params", [25e6, 1e9, 7e9, 70e9, 405e9])
def test_parameters_given_alone_stand_and_the_widths_make_them_up(params: float) -> None:
    shape = derived(GivenShape(params=params), name=None, kind="decoder")
    assert shape.params == params
    assert count_params(shape)[0] == pytest.approx(params, rel=0.05)
