"""What the modelling code of a family keeps of a forward pass beyond what any block must keep."""

from typing import NamedTuple

GELU, RELU, GELU_NEW, XIELU = "gelu", "relu", "gelu_new", "xielu"


class Habits(NamedTuple):
    """How a family differs from Llama; the activation counts where its code keeps its steps.

    The steps of `gelu_new` and `xielu`, written out in Python, are fp32 under autocast.
    `wide_norms` scale in fp32, `plain_norms` are layer norms without a bias. `one_product` makes
    queries, keys and values at once, and `rotated` values stay a view of it; `one_gate` makes both
    halves of the MLP. Where attention and MLP run in `parallel` their norms share an input.
    `masks` are hidden-wide dropout masks of a block, `mlp_dropout` one inside the MLP;
    `position_bias` is learned for each layer, head and pair of positions. Attention is written out
    where `eager`, with scores bent by a tanh where `capped`. `lifts_loss` takes the loss of masked
    words in fp32, as all causal LMs do.
    """

    activation: str = GELU
    wide_norms: bool = False
    plain_norms: bool = False
    one_product: bool = False
    one_gate: bool = False
    parallel: bool = False
    rotated: bool = True
    masks: int = 0
    mlp_dropout: bool = False
    position_bias: bool = False
    eager: bool = False
    capped: bool = False
    score_dropout: bool = False
    lifts_loss: bool = False


_LLAMA = Habits()
_BERT = Habits(rotated=False, masks=2, score_dropout=True)
_T5 = Habits(RELU, rotated=False, masks=2, mlp_dropout=True, position_bias=True, score_dropout=True)
_BART = Habits(rotated=False, masks=2)

# Source: the modelling files and default configurations of transformers 5.23.
_HABITS = {
    "gemma": Habits(wide_norms=True),
    "gemma2": Habits(wide_norms=True, eager=True, capped=True),
    "gemma3": Habits(wide_norms=True),
    "gemma3_text": Habits(wide_norms=True),
    "olmo2": Habits(wide_norms=True),
    "olmo3": Habits(wide_norms=True),
    "olmo": Habits(plain_norms=True),
    "phi3": Habits(one_product=True, one_gate=True),
    "phi": Habits(GELU_NEW),
    "gpt_neox": Habits(one_product=True, parallel=True),
    "falcon": Habits(one_product=True),
    "qwen": Habits(one_product=True),
    "starcoder2": _LLAMA,
    "gpt_bigcode": Habits(one_product=True, rotated=False, masks=2),
    "gpt2": Habits(GELU_NEW, one_product=True, rotated=False, masks=2),
    "gpt_neo": Habits(GELU_NEW, rotated=False, eager=True),
    "gptj": Habits(GELU_NEW, eager=True),
    "opt": Habits(RELU, rotated=False, masks=2),
    "bloom": Habits(one_product=True, rotated=False, eager=True),
    "mpt": Habits(plain_norms=True, one_product=True, rotated=False, eager=True),
    "apertus": Habits(XIELU),
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "distilbert": _BERT,
    "electra": _BERT,
    "albert": _BERT._replace(activation=GELU_NEW, masks=1),
    "deberta": _BERT._replace(eager=True),
    "deberta-v2": _BERT._replace(eager=True),
    "modernbert": Habits(plain_norms=True, one_product=True, one_gate=True, lifts_loss=True),
    "eurobert": Habits(lifts_loss=True),
    "t5": _T5,
    "mt5": _T5._replace(activation=GELU_NEW),
    "FLAN-T5": _T5._replace(activation=GELU_NEW),
    "ByT5": _T5._replace(activation=GELU_NEW),
    "bart": _BART,
    "mbart": _BART,
    "m2m_100": _BART._replace(activation=RELU),
    "pegasus": _BART._replace(activation=RELU),
    "marian": _BART,
}


def habits_of(family: str) -> Habits:
    """Return the habits of a family; Llama's where it is not known."""
    return _HABITS.get(family, _LLAMA)
