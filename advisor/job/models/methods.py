"""What a method adds to a base: the parameters that train while the base stays as it is.

=============  ====================================================================
lora, rslora   two narrow matrices beside each chosen matrix (peft)
dora           the same, with a length for each column of its own (peft)
qlora          the same on a base of 4 bits a weight (peft, bitsandbytes)
ia3            one factor for each value that a chosen layer gives or takes (peft)
adapter        a small network behind attention and feed-forward part (`bottleneck`)
prefix         keys and values before the text in each layer (peft)
prompt         embeddings before the text (peft)
p_tuning       the same, made by a small network (peft)
frozen         nothing: the head alone trains
=============  ====================================================================

A head for classification or extraction trains in full beside each of them and is saved with it.
"""

from collections.abc import Callable, Iterable, Mapping
from inspect import signature
from typing import Any, Final

from peft import (
    IA3Config,
    LoraConfig,
    PeftConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    get_peft_model,
    prepare_model_for_kbit_training,
)

from ..bounds import HEADS, LORA_METHODS, PROMPT_METHODS
from ..faults import JobError
from ..settings import Settings
from .bottleneck import BottleneckConfig
from .loading import Loaded
from .parts import chosen_layers, head_of, linear_layers, pattern_of, positions_of

# What peft calls the objectives. It has no name for mlm: LoRA and its like need none, a prefix is
# put before the text under the name for models that only encode.
TASKS: Final = {
    "clm": "CAUSAL_LM",
    "mlm": None,
    "seq2seq": "SEQ_2_SEQ_LM",
    "classification": "SEQ_CLS",
    "extraction": "TOKEN_CLS",
}


def with_method(base: Loaded, settings: Settings, new_tokens: Iterable[int] = ()) -> Any:  # noqa: ANN401
    """Return the model with what the method adds; the rest of it does not train.

    Args:
        base: The model as loaded.
        settings: Those of the stage.
        new_tokens: Ids of tokens whose rows in the embeddings train too.

    Raises:
        JobError: `usage`, where this base does not allow the method.
    """
    model, head = base.model, []
    _check_length(model, settings)
    if settings.objective in HEADS:
        head = head_of(model, base.fresh)
    if settings.method == "frozen":
        _train_alone(model, head)
    if not settings.adds:
        return model
    _check(model, settings)
    config = CONFIGS[settings.method](model, settings)
    config.task_type = _task(settings)
    config.modules_to_save = head or None
    if tokens := list(new_tokens):
        config.trainable_token_indices = _rows(model, tokens, settings)
    if settings.quantization:
        # Checkpointing is set later, for all methods alike.
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    model = get_peft_model(model, config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model


def _train_alone(model: Any, paths: Iterable[str]) -> None:  # noqa: ANN401
    model.requires_grad_(requires_grad=False)
    for path in paths:
        model.get_submodule(path).requires_grad_(requires_grad=True)


def _task(settings: Settings) -> str | None:
    if settings.objective == "mlm" and settings.method in PROMPT_METHODS:
        return "FEATURE_EXTRACTION"
    return TASKS[settings.objective]


def _lora(model: Any, settings: Settings) -> PeftConfig:  # noqa: ANN401
    lora = settings.lora
    assert lora is not None  # noqa: S101 - the settings were checked
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=pattern_of(model, chosen_layers(model, lora.targets, "lora.targets")),
        use_rslora=settings.method == "rslora",
        use_dora=settings.method == "dora",
    )


def _ia3(model: Any, settings: Settings) -> PeftConfig:  # noqa: ANN401
    assert settings.targets is not None  # noqa: S101 - the settings were checked
    chosen = chosen_layers(model, settings.targets, "targets")
    roles = linear_layers(model)
    # What leaves the nonlinearity is scaled: there the factors stand before the layer.
    inner = [path for path in chosen if roles[path] == "down"]
    return IA3Config(
        target_modules=pattern_of(model, chosen),
        feedforward_modules=pattern_of(model, inner) if inner else [],
    )


def _adapter(model: Any, settings: Settings) -> PeftConfig:  # noqa: ANN401
    assert settings.bottleneck is not None  # noqa: S101 - the settings were checked
    behind = chosen_layers(model, ("o", "down"), "method adapter")
    if not {"o", "down"} <= set(linear_layers(model).values()):
        what = "this base has no linear layer behind its attention, or behind its feed-forward part"
        raise _unfit(what, settings, "lora")
    return BottleneckConfig(width=settings.bottleneck, target_modules=pattern_of(model, behind))


def _prefix(_: Any, settings: Settings) -> PeftConfig:  # noqa: ANN401
    return PrefixTuningConfig(num_virtual_tokens=settings.virtual_tokens)


def _prompt(_: Any, settings: Settings) -> PeftConfig:  # noqa: ANN401
    # Random values would be far larger than embeddings are: start from those of real tokens.
    return PromptTuningConfig(
        num_virtual_tokens=settings.virtual_tokens, prompt_tuning_init="SAMPLE_VOCAB"
    )


def _p_tuning(model: Any, settings: Settings) -> PeftConfig:  # noqa: ANN401
    return PromptEncoderConfig(
        num_virtual_tokens=settings.virtual_tokens, encoder_hidden_size=model.config.hidden_size
    )


CONFIGS: Final[Mapping[str, Callable[[Any, Settings], PeftConfig]]] = {
    **dict.fromkeys(LORA_METHODS, _lora),
    "ia3": _ia3,
    "adapter": _adapter,
    "prefix": _prefix,
    "prompt": _prompt,
    "p_tuning": _p_tuning,
}


def _rows(model: Any, tokens: list[int], settings: Settings) -> dict[str, list[int]]:  # noqa: ANN401
    """Return which rows of which embeddings train; tied ones are peft's own care."""
    paths = {id(module): path for path, module in model.named_modules()}
    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    if getattr(outputs, "bias", None) is not None:
        what = "new tokens beside a frozen output layer: it must have no bias"
        raise _unfit(what, settings, "full")
    tied = outputs is None or outputs.weight is inputs.weight
    return {paths[id(one)]: tokens for one in ((inputs,) if tied else (inputs, outputs))}


def _check_length(model: Any, settings: Settings) -> None:  # noqa: ANN401
    virtual = settings.virtual_tokens or 0
    needed, most = settings.seq_len + virtual, positions_of(model)
    if most is not None and needed > most:
        what = f"rows of {needed} tokens, virtual ones included: this base has {most} positions"
        hint = f"plan with seq_len {most - virtual}"
        raise JobError("usage", what, where="plan.json", hint=hint)


def _check(model: Any, settings: Settings) -> None:  # noqa: ANN401
    """Raise JobError for virtual tokens that would fail later, or train without any effect."""
    for method, why, fails in VAIN:
        if settings.method in method and fails(model, settings):
            raise _unfit(why, settings, "lora")


def _takes_prefix(model: Any) -> bool:  # noqa: ANN401
    return any(
        "past_key_values" in signature(one.forward).parameters for one in (model, model.base_model)
    )


# What cannot be: methods, why, and when.
VAIN: Final[tuple[tuple[tuple[str, ...], str, Callable[[Any, Settings], bool]], ...]] = (
    (
        PROMPT_METHODS,
        "this base takes no virtual tokens below a head",
        lambda model, s: model.config.is_encoder_decoder and s.objective in HEADS,
    ),
    (
        ("prompt", "p_tuning"),
        "this base finds the end of a text by its tokens, which virtual tokens hide",
        lambda model, s: s.objective == "classification" and hasattr(model, "score"),
    ),
    (
        ("prefix",),
        "the attention of this base takes no prefix",
        lambda model, _: not _takes_prefix(model),
    ),
)


def _unfit(what: str, settings: Settings, instead: str) -> JobError:
    where = f"method {settings.method} in plan.json"
    return JobError("usage", what, where=where, hint=f"plan with method {instead}")
