"""Builds the model: a base from disk, one from scratch, or an adapter on a base."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from .bases import check_template, unusable
from .faults import JobError, explained
from .rendering import PLAIN_TEMPLATE
from .settings import Lora, Settings, Shape

LOCAL_RANK: Final = int(os.environ.get("LOCAL_RANK", "0"))
END_OF_TEXT: Final = "<|endoftext|>"
CHECKPOINTING: Final = {"use_reentrant": False}
MODULES: Final = {name: f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardware:
    """Where the model trains, and in which number formats.

    `mixed` is what matrix products run in (None: as the weights); `frozen` holds weights that do
    not train. Weights that train are kept in 32 bits.
    """

    device: str
    mixed: torch.dtype | None

    @property
    def frozen(self) -> torch.dtype:
        """Return the format of weights that do not train."""
        return self.mixed or torch.float32


def hardware_for(settings: Settings) -> Hardware:
    """Return what this machine offers for the settings; raise JobError where it is too little."""
    found = torch.cuda.is_available()
    if settings.device == "cuda" and not found:
        raise _elsewhere("the plan wants a CUDA GPU, none is here")
    device = "cuda" if found and settings.device != "cpu" else "cpu"
    if device == "cuda":
        torch.cuda.set_device(LOCAL_RANK)
    if device == "cpu" and settings.precision == "fp16":
        raise _elsewhere("fp16 needs a CUDA GPU")
    if settings.method == "qlora" or settings.optimizer == "adamw_8bit":
        _need_bitsandbytes(device)
    return Hardware(device=device, mixed=_mixed(settings.precision, device))


def _mixed(precision: str, device: str) -> torch.dtype | None:
    if precision == "auto":
        if device == "cpu":
            return None
        # The second argument leaves out GPUs that only emulate bf16.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def _need_bitsandbytes(device: str) -> None:
    try:
        import bitsandbytes  # noqa: F401, PLC0415 - an extra that only 4 and 8 bits need
    except ImportError:
        raise _elsewhere("4-bit weights and 8-bit AdamW need bitsandbytes") from None
    if device != "cuda":
        raise _elsewhere("4-bit weights and 8-bit AdamW need a CUDA GPU")


def _elsewhere(what: str) -> JobError:
    hint = "make a plan for this machine: advisor plan --gpu local"
    return JobError("hardware_elsewhere", what, where="plan.json", hint=hint)


def load_tokenizer(folder: Path) -> Any:  # noqa: ANN401
    """Return the base's tokenizer, with the plain template where it has none of its own."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001 - a damaged file can raise nearly anything
        raise _damaged(error, folder, "its tokenizer cannot be read") from None
    if tokenizer.eos_token_id is None:
        raise unusable("its tokenizer has no end-of-text token", folder, "use another base")
    if tokenizer.chat_template:
        check_template(tokenizer, folder)
    else:
        tokenizer.chat_template = PLAIN_TEMPLATE
    return tokenizer


def load_base(folder: Path, settings: Settings, hardware: Hardware) -> Any:  # noqa: ANN401
    """Return the base model, complete, on the CPU (4-bit weights: on the GPU)."""
    options: dict[str, Any] = {"dtype": hardware.frozen if settings.lora else torch.float32}
    if settings.quantization:
        options |= {"quantization_config": _nf4(hardware), "device_map": {"": LOCAL_RANK}}
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except Exception as error:  # noqa: BLE001 - a damaged file can raise nearly anything
        raise _damaged(error, folder, "it cannot be loaded") from None
    if report["missing_keys"] or report["mismatched_keys"]:
        first = min(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
        raise unusable(f"its weights are incomplete: {first}", folder, "get the model again")
    return model


def _nf4(hardware: Hardware) -> BitsAndBytesConfig:
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=hardware.frozen,
    )


def _damaged(error: Exception, folder: Path, what: str) -> BaseException:
    """Return `error` itself where memory or disk is the cause, else the model's fault."""
    if explained(error, smaller="", free=""):
        return error
    cause = (str(error).strip().splitlines() or [""])[0]
    return unusable(f"{what}: {type(error).__name__} {cause}", folder, "get the model again")


def with_adapter(model: Any, settings: Settings) -> Any:  # noqa: ANN401
    """Return the model with a fresh LoRA adapter; only the adapter trains."""
    lora = settings.lora
    assert lora is not None  # noqa: S101 - the settings were checked
    if settings.quantization:
        model = prepare_model_for_kbit_training(
            model,
            use_gradient_checkpointing=settings.gradient_checkpointing,
            gradient_checkpointing_kwargs=CHECKPOINTING,
        )
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=_targets(lora),
        use_rslora=settings.method == "rslora",
        use_dora=settings.method == "dora",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise JobError(
            "usage", f"lora.targets: {error}", where="plan.json", hint="make the plan anew"
        ) from None


def _targets(lora: Lora) -> list[str] | str:
    if isinstance(lora.targets, str):
        return lora.targets
    return [MODULES.get(name, name) for name in lora.targets]


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer of at most `vocabulary` tokens, learned from `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        chat_template=PLAIN_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def from_scratch(shape: Shape, *, vocabulary: int, seq_len: int, end: int) -> LlamaForCausalLM:
    """Return a Llama-style model with random weights; `end` is the end-of-text token's id."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_kv_heads,
        max_position_embeddings=seq_len,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=end,
    )
    return LlamaForCausalLM(config)
