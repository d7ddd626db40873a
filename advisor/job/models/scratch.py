"""Random weights of a given shape.

=============  ==================  ====================  =======================================
shape          clm: Llama          mlm: BERT             seq2seq: T5 with gated feed-forward
=============  ==================  ====================  =======================================
n_layers       layers              layers                half encoder, half decoder (the smaller)
hidden         hidden_size         hidden_size           d_model
n_heads        attention heads     attention heads       heads, of hidden / n_heads values
n_kv_heads     key/value heads     none: as n_heads      none: as n_heads
intermediate   gate, up, down      two matrices          wi_0, wi_1, wo
vocab          that of the         that of the           that of the
               tokenizer           tokenizer             tokenizer
seq_len        longest context     table of positions    no limit: positions are relative
=============  ==================  ====================  =======================================

BERT stands for encoders because every tool reads it, every method of peft fits it (a prefix does
not fit ModernBERT, and its queries, keys and values are one matrix), and its blocks are what the
estimates count. Nothing is dropped out: pretraining hardly sees a text twice, and what is measured
in one process is what is measured in two.
"""

from typing import Any, Final

from transformers import (
    BertConfig,
    BertForMaskedLM,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from ..settings import Settings, Shape


def from_scratch(shape: Shape, tokenizer: Any, *, seq_len: int, objective: str = "clm") -> Any:  # noqa: ANN401
    """Return a model with random weights, for texts of `seq_len` tokens of the tokenizer."""
    return MAKERS[objective](shape, seq_len, tokenizer)


def untaught(settings: Settings, tokenizer: Any) -> Any:  # noqa: ANN401
    """Return the model that a stage begins with where it has no base."""
    assert settings.shape is not None  # noqa: S101 - the settings were checked
    return from_scratch(
        settings.shape, tokenizer, seq_len=settings.seq_len, objective=settings.objective
    )


def _llama(shape: Shape, seq_len: int, tokenizer: Any) -> LlamaForCausalLM:  # noqa: ANN401
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_kv_heads,
        max_position_embeddings=seq_len,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def _bert(shape: Shape, seq_len: int, tokenizer: Any) -> BertForMaskedLM:  # noqa: ANN401
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        max_position_embeddings=seq_len,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
    )
    return BertForMaskedLM(config)


def _t5(shape: Shape, _: int, tokenizer: Any) -> T5ForConditionalGeneration:  # noqa: ANN401
    decoders = max(1, shape.n_layers // 2)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=shape.hidden,
        d_kv=shape.hidden // shape.n_heads,
        d_ff=shape.intermediate,
        num_layers=max(1, shape.n_layers - decoders),
        num_decoder_layers=decoders,
        num_heads=shape.n_heads,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    return T5ForConditionalGeneration(config)


MAKERS: Final = {"clm": _llama, "mlm": _bert, "seq2seq": _t5}
