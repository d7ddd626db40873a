"""A tokenizer learned from the data.

Text is taken apart into bytes before anything is learned, and each byte is a token of its own: so
nothing is ever unknown, and what is decoded is the text, to the byte, in any script.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from ..batches.rendering import PLAIN_TEMPLATE
from ..faults import JobError

END_OF_TEXT: Final = "<|endoftext|>"
BYTES: Final = 256
SENTINELS: Final = tuple(f"<extra_id_{number}>" for number in range(100))
# The special tokens of an objective, by their names in transformers. One token may have two parts.
SPECIAL: Final[Mapping[str, Mapping[str, str]]] = {
    "clm": {"eos_token": END_OF_TEXT, "pad_token": END_OF_TEXT},
    "mlm": {
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    },
    "seq2seq": {"pad_token": "<pad>", "eos_token": "</s>"},
}
# What stands around a text.
FRAMES: Final = {"mlm": "[CLS] $A [SEP]", "seq2seq": "$A </s>"}


def train_tokenizer(
    texts: Iterable[str], vocabulary: int, *, objective: str = "clm", kind: str = "bpe"
) -> PreTrainedTokenizerFast:
    """Return a tokenizer of at most `vocabulary` tokens, learned from `texts`.

    Args:
        texts: What it is learned from.
        vocabulary: The most tokens that it may have, special ones included.
        objective: clm, mlm or seq2seq; it says which special tokens are needed.
        kind: "bpe" (pairs that occur often are joined) or "unigram" (a likely set of pieces).

    Raises:
        JobError: `usage`, where `vocabulary` has no room for bytes and special tokens.
    """
    special = list(dict.fromkeys(SPECIAL[objective].values()))
    special += SENTINELS if objective == "seq2seq" else ()
    _check_room(vocabulary, BYTES + len(special))
    tokenizer = Tokenizer(models.BPE() if kind == "bpe" else models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer if kind == "bpe" else trainers.UnigramTrainer
    learning: dict[str, Any] = {
        "vocab_size": vocabulary,
        "special_tokens": special,
        "initial_alphabet": sorted(pre_tokenizers.ByteLevel.alphabet()),
        "show_progress": False,
    }
    tokenizer.train_from_iterator(texts, trainer=trainer(**learning))
    if objective in FRAMES:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=FRAMES[objective],
            special_tokens=[(token, tokenizer.token_to_id(token)) for token in special],
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        extra_special_tokens=list(SENTINELS) if objective == "seq2seq" else [],
        chat_template=PLAIN_TEMPLATE if objective == "clm" else None,
        clean_up_tokenization_spaces=False,
        **SPECIAL[objective],
    )


def _check_room(vocabulary: int, least: int) -> None:
    if vocabulary < least:
        what = f"shape.vocab is {vocabulary}: bytes and special tokens alone are {least}"
        raise JobError("usage", what, where="plan.json", hint="plan a larger vocabulary")
