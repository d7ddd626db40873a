"""What each setting may be, in words and as a check."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

LORA_METHODS: Final = ("lora", "rslora", "dora", "qlora")
PROMPT_METHODS: Final = ("prefix", "prompt", "p_tuning")
ADDING_METHODS: Final = (*LORA_METHODS, "ia3", "adapter", *PROMPT_METHODS)
METHODS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "pretrain": ("full",),
    "continued_pretrain": ("full", *ADDING_METHODS),
    "full_finetune": ("full", "frozen"),
    "lora": ADDING_METHODS,
    "no_training": ("zero_shot", "few_shot"),
}
HEADS: Final = ("classification", "extraction")
TOKEN_BY_TOKEN: Final = ("mlm", "extraction")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What one setting may be: in words, and as a check."""

    expected: str
    holds: Callable[[Any], bool]


def _one_of(*choices: str) -> Rule:
    return Rule(expected=" | ".join(choices), holds=lambda value: value in choices)


def _whole(least: int, most: int = 10**9) -> Rule:
    return Rule(
        expected=f"a whole number from {least} to {most}",
        holds=lambda value: type(value) is int and least <= value <= most,
    )


def _number(least: float, most: float) -> Rule:
    return Rule(
        expected=f"a number from {least:g} to {most:g}",
        holds=lambda value: (
            type(value) in (int, float) and math.isfinite(value) and least <= value <= most
        ),
    )


def _or_null(rule: Rule) -> Rule:
    return Rule(
        expected=f"{rule.expected}, or null",
        holds=lambda value: value is None or rule.holds(value),
    )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\0" not in value


def _is_labels(value: object) -> bool:
    names = isinstance(value, list | tuple) and all(map(_is_name, value))
    return names and len(set(value)) == len(value)


def _is_targets(value: object) -> bool:
    names = isinstance(value, list | tuple) and bool(value) and all(map(_is_name, value))
    return value == "all-linear" or names


FLAG: Final = Rule(expected="true or false", holds=lambda value: type(value) is bool)
NAME: Final = Rule(expected="a name or path", holds=_is_name)
TARGETS: Final = Rule(expected='"all-linear" or a list of module names', holds=_is_targets)
OBJECT: Final = Rule(
    expected="an object, or null", holds=lambda v: v is None or isinstance(v, Mapping)
)

# Beyond these bounds a value can only be a slip; they stop mistyped and hostile plans early.
SHAPE_RULES: Final = {
    "n_layers": _whole(1, 1000),
    "hidden": _whole(2, 131_072),
    "n_heads": _whole(1, 1024),
    "n_kv_heads": _whole(1, 1024),
    "intermediate": _whole(1, 1_048_576),
    "vocab": _whole(260, 5_000_000),
}
LORA_RULES: Final = {
    "rank": _whole(1, 8192),
    "alpha": _number(1e-6, 1e6),
    "dropout": _number(0, 0.95),
    "targets": TARGETS,
}
RULES: Final = {
    "approach": _one_of(*METHODS_OF),
    "method": _one_of("full", *ADDING_METHODS, "frozen", "zero_shot", "few_shot"),
    "objective": _one_of("clm", "mlm", "seq2seq", *HEADS),
    "task": NAME,
    "base_model": _or_null(NAME),
    "shape": OBJECT,
    "tokenizer": _one_of("bpe", "unigram"),
    "new_tokens": _whole(0, 1_000_000),
    "labels": Rule(expected="a list of different names", holds=_is_labels),
    "seq_len": _whole(8, 1_048_576),
    "micro_batch": _whole(1, 65_536),
    "gradient_accumulation": _whole(1, 65_536),
    "packing": FLAG,
    "epochs": _or_null(_number(1e-6, 10_000)),
    "max_steps": _or_null(_whole(1)),
    "learning_rate": _number(0, 1e30),
    "schedule": _one_of("cosine", "linear", "constant"),
    "warmup_share": _number(0, 1),
    "weight_decay": _number(0, 10),
    "max_grad_norm": _number(0, 1e9),
    "optimizer": _one_of("adamw", "adamw_8bit", "adafactor"),
    "precision": _one_of("auto", "fp32", "bf16", "fp16"),
    "gradient_checkpointing": _one_of("no", "yes", "selective"),
    "compiled": FLAG,
    "memory_limit_gb": _or_null(_number(1e-3, 1e6)),
    "lora": OBJECT,
    "targets": _or_null(TARGETS),
    "bottleneck": _or_null(_whole(1, 131_072)),
    "virtual_tokens": _or_null(_whole(1, 10_000)),
    "quantization": _or_null(_one_of("nf4")),
    "loss_on": _one_of("completion", "all"),
    "bad_records": _one_of("stop", "skip"),
    "group_by": _or_null(NAME),
    "replay_share": _number(0, 0.9),
    "validation_share": _number(0, 0.9),
    "seed": _whole(0, 2**32 - 1),
    "log_every_steps": _whole(1),
    "eval_every_steps": _or_null(_whole(1)),
    "patience": _or_null(_whole(1)),
    "eval_examples": _whole(0, 100_000),
    "shots": _whole(0, 100),
    "save_every_steps": _whole(1),
    "keep_checkpoints": _whole(2, 10_000),
    "threads": _or_null(_whole(1, 4096)),
    "device": _one_of("auto", "cpu", "cuda"),
    "samples": _whole(0, 1000),
    "merge": FLAG,
}
