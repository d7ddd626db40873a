"""What a method adds to a base: the parameters that train while the base stays as it is."""

from typing import Any, Final

from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

from ..faults import JobError
from ..settings import Lora, Settings

CHECKPOINTING: Final = {"use_reentrant": False}
MODULES: Final = {name: f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")}


def with_adapter(model: Any, settings: Settings) -> Any:  # noqa: ANN401
    """Return the model with a fresh LoRA adapter; only the adapter trains."""
    lora = settings.lora
    assert lora is not None  # noqa: S101 - the settings were checked
    if settings.quantization:
        model = prepare_model_for_kbit_training(
            model,
            use_gradient_checkpointing=settings.gradient_checkpointing != "no",
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
