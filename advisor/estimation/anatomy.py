"""What the blocks of each model family are made of, so that parameters can be counted exactly."""

from typing import NamedTuple


class Anatomy(NamedTuple):
    """The parts of a family's block beyond its matrices; `norm` is 2 where norms have a bias."""

    gated: bool = True
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    norms: int = 2
    norm: int = 1
    qk_norm: bool = False
    final_norm: bool = True
    positions: int = 0
    tied: bool = False


LLAMA = Anatomy()
_GPT = Anatomy(gated=False, qkv_bias=True, out_bias=True, mlp_bias=True, norm=2)

# Source: the modelling files of transformers 5.23, checked against models built on torch's meta
# device (tests/test_estimation.py compares every dense decoder of the catalogue).
ANATOMY: dict[str, Anatomy] = {
    "llama": LLAMA,
    "mistral": LLAMA,
    "smollm3": Anatomy(tied=True),
    "phi3": LLAMA,
    "qwen2": Anatomy(qkv_bias=True),
    "qwen3": Anatomy(qk_norm=True),
    "gemma": Anatomy(tied=True),
    "gemma2": Anatomy(norms=4, tied=True),
    "gemma3_text": Anatomy(norms=4, qk_norm=True, tied=True),
    "olmo": Anatomy(norms=0, final_norm=False),
    "gpt_neox": _GPT,
    "gpt2": Anatomy(
        gated=False,
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        norm=2,
        positions=1024,
        tied=True,
    ),
    "opt": Anatomy(
        gated=False,
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        norm=2,
        positions=2050,
        tied=True,
    ),
    "starcoder2": Anatomy(
        gated=False, qkv_bias=True, out_bias=True, mlp_bias=True, norm=2, tied=True
    ),
    "bert": Anatomy(
        gated=False,
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        norm=2,
        positions=514,
        tied=True,
    ),
}
# Families whose MLP has two matrices; every other family is taken to be gated (three).
UNGATED = frozenset(
    {
        "albert",
        "apertus",
        "bart",
        "bert",
        "bloom",
        "camembert",
        "deberta-v2",
        "distilbert",
        "electra",
        "falcon",
        "gpt2",
        "gpt_bigcode",
        "gpt_neo",
        "gpt_neox",
        "gptj",
        "m2m_100",
        "mbart",
        "mpt",
        "opt",
        "pegasus",
        "phi",
        "roberta",
        "stablelm_epoch",
        "starcoder2",
        "t5",
        "xlm-roberta",
    }
)


def anatomy_of(model_type: str) -> Anatomy:
    """Return the anatomy of a family; Llama's, gated or not, where the family is unknown."""
    known = ANATOMY.get(model_type)
    if known:
        return known
    return _GPT if model_type in UNGATED else LLAMA
