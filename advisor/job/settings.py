"""Every setting of a training job, typed and checked; all faults are named at once."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Final, Self

from .bounds import (
    ADDING_METHODS,
    HEADS,
    LORA_METHODS,
    LORA_RULES,
    METHODS_OF,
    PROMPT_METHODS,
    RULES,
    SHAPE_RULES,
    TOKEN_BY_TOKEN,
    Rule,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingsFault:
    """One wrong setting: which, what was expected, what was found."""

    field: str
    expected: str
    found: str


class SettingsError(ValueError):
    """Settings that cannot be used; `faults` names every wrong one."""

    def __init__(self, faults: list[SettingsFault]) -> None:
        super().__init__(
            "; ".join(f"{f.field}: expected {f.expected}, found {f.found}" for f in faults)
        )
        self.faults = tuple(faults)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The size of a model from scratch; `vocab` is the most tokens that its tokenizer may have."""

    n_layers: int
    hidden: int
    n_heads: int
    n_kv_heads: int
    intermediate: int
    vocab: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Lora:
    """The adapter: rank, alpha, dropout, and the modules that it sits on."""

    rank: int
    alpha: float
    dropout: float
    targets: tuple[str, ...] | str


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """One training job. `micro_batch` is sequences per device and step, `seq_len` tokens.

    An optimizer step sees `micro_batch * gradient_accumulation` sequences on each device.
    `max_steps` wins over `epochs`; one of them is needed, unless nothing is trained.
    """

    approach: str
    method: str
    seq_len: int
    micro_batch: int
    gradient_accumulation: int
    packing: bool
    learning_rate: float
    schedule: str
    warmup_share: float
    weight_decay: float
    max_grad_norm: float
    optimizer: str
    validation_share: float
    seed: int
    log_every_steps: int
    save_every_steps: int
    objective: str = "clm"
    task: str = "other"
    base_model: str | None = None
    shape: Shape | None = None
    tokenizer: str = "bpe"
    new_tokens: int = 0
    labels: tuple[str, ...] = ()
    epochs: float | None = None
    max_steps: int | None = None
    precision: str = "auto"
    gradient_checkpointing: str = "no"
    compiled: bool = False
    memory_limit_gb: float | None = None
    lora: Lora | None = None
    targets: tuple[str, ...] | str | None = None
    bottleneck: int | None = None
    virtual_tokens: int | None = None
    quantization: str | None = None
    loss_on: str = "completion"
    bad_records: str = "stop"
    group_by: str | None = None
    replay_share: float = 0.0
    eval_every_steps: int | None = None
    patience: int | None = None
    eval_examples: int = 0
    shots: int = 0
    keep_checkpoints: int = 2
    threads: int | None = None
    device: str = "auto"
    samples: int = 0
    merge: bool = False

    @property
    def trains(self) -> bool:
        """Return whether anything is trained; else the base is only measured."""
        return self.approach != "no_training"

    @property
    def adds(self) -> bool:
        """Return whether the method adds parameters to a base that stays as it is."""
        return self.method in ADDING_METHODS

    @classmethod
    def from_dict(cls, raw: object) -> Self:
        """Return the settings in `raw`, a JSON object; raise SettingsError with every fault."""
        values = _checked(raw, rules=RULES, kind=cls, where="")
        faults = values.faults
        shape = _part(values.found.get("shape"), rules=SHAPE_RULES, kind=Shape, faults=faults)
        lora = _part(values.found.get("lora"), rules=LORA_RULES, kind=Lora, faults=faults)
        if faults:
            raise SettingsError(faults)
        settings = cls(**{**_frozen(values.found), "shape": shape, "lora": lora})
        clashes = [*_clashes(settings), *_shape_clashes(settings.shape)]
        if clashes:
            raise SettingsError(clashes)
        return settings

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object that `from_dict` reads back to equal settings."""
        raw = asdict(self)
        for part in (raw, raw["lora"] or {}):
            part.update({key: list(part[key]) for key in part if isinstance(part[key], tuple)})
        return raw


# What must hold between settings: the one to change, what it would have to be, and the check.
AGREEMENTS: Final[tuple[tuple[str, str, Callable[[Settings], bool]], ...]] = (
    (
        "epochs",
        "epochs or max_steps",
        lambda s: not s.trains or s.epochs is not None or s.max_steps is not None,
    ),
    (
        "shape",
        "a shape for pretrain, else null",
        lambda s: (s.approach == "pretrain") == (s.shape is not None),
    ),
    (
        "base_model",
        "null for pretrain, else a model",
        lambda s: (s.approach == "pretrain") == (s.base_model is None),
    ),
    (
        "method",
        "a method that fits the approach",
        lambda s: s.method in METHODS_OF[s.approach],
    ),
    (
        "objective",
        "clm, mlm or seq2seq where text is learned; classification or extraction where tuned",
        lambda s: s.objective not in HEADS or s.approach in ("full_finetune", "lora"),
    ),
    (
        "method",
        "another method: this one trains a head, and the objective has none",
        lambda s: s.method != "frozen" or s.objective in HEADS,
    ),
    (
        "method",
        "another method: this one puts its tokens before the text, and each token needs a label",
        lambda s: s.method not in ("prompt", "p_tuning") or s.objective not in TOKEN_BY_TOKEN,
    ),
    (
        "labels",
        "two labels or more for classification and extraction, else none",
        lambda s: len(s.labels) > 1 if s.objective in HEADS else not s.labels,
    ),
    (
        "packing",
        "false, unless rows of text are joined (clm, mlm) and no virtual tokens precede them",
        lambda s: (
            not s.packing or (s.objective in ("clm", "mlm") and s.method not in PROMPT_METHODS)
        ),
    ),
    (
        "lora",
        "rank, alpha … for LoRA, else null",
        lambda s: (s.method in LORA_METHODS) == (s.lora is not None),
    ),
    (
        "targets",
        "module names for ia3, else null",
        lambda s: (s.method == "ia3") == (s.targets is not None),
    ),
    (
        "bottleneck",
        "a width for bottleneck adapters, else null",
        lambda s: (s.method == "adapter") == (s.bottleneck is not None),
    ),
    (
        "virtual_tokens",
        "a number for prefix, prompt and p_tuning, else null",
        lambda s: (s.method in PROMPT_METHODS) == (s.virtual_tokens is not None),
    ),
    (
        "quantization",
        "nf4 for qlora, else null",
        lambda s: (s.method == "qlora") == (s.quantization == "nf4"),
    ),
    (
        "gradient_checkpointing",
        "no for prefix: its keys and values would be dropped",
        lambda s: s.method != "prefix" or s.gradient_checkpointing == "no",
    ),
    (
        "new_tokens",
        "0, unless a base is pretrained further, by full or LoRA (mlm: by full alone)",
        lambda s: (
            not s.new_tokens
            or (
                s.approach == "continued_pretrain"
                and (s.method == "full" or (s.method in LORA_METHODS and s.objective != "mlm"))
            )
        ),
    ),
    (
        "replay_share",
        "0, unless a base is pretrained further",
        lambda s: not s.replay_share or s.approach == "continued_pretrain",
    ),
    (
        "merge",
        "false: what this method adds is no change of the base's weights",
        lambda s: not (s.merge and s.adds) or s.method in (*LORA_METHODS, "ia3"),
    ),
    (
        "shots",
        "1 or more for few_shot",
        lambda s: s.method != "few_shot" or s.shots > 0,
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Checked:
    found: dict[str, Any]
    faults: list[SettingsFault]


def _checked(raw: object, *, rules: Mapping[str, Rule], kind: type, where: str) -> _Checked:
    if not isinstance(raw, Mapping):
        fault = SettingsFault(field=where or "settings", expected="an object", found=_shown(raw))
        return _Checked(found={}, faults=[fault])
    faults = [
        SettingsFault(field=f"{where}{key}", expected="no such setting", found=_shown(raw[key]))
        for key in raw
        if key not in rules
    ]
    needed = {field.name for field in fields(kind) if field.default is MISSING}
    for key, rule in rules.items():
        if key in raw and not rule.holds(raw[key]):
            faults.append(_fault(where + key, rule.expected, _shown(raw[key])))
        elif key not in raw and key in needed:
            faults.append(_fault(where + key, rule.expected, "nothing"))
    return _Checked(found={key: raw[key] for key in rules if key in raw}, faults=faults)


def _fault(field: str, expected: str, found: str) -> SettingsFault:
    return SettingsFault(field=field, expected=expected, found=found)


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:59] + "…"  # noqa: PLR2004


def _part(
    raw: object, *, rules: Mapping[str, Rule], kind: type, faults: list[SettingsFault]
) -> Any | None:  # noqa: ANN401 - a Shape or a Lora
    if not isinstance(raw, Mapping):
        return None
    part = _checked(raw, rules=rules, kind=kind, where=f"{kind.__name__.lower()}.")
    faults.extend(part.faults)
    if part.faults:
        return None
    return kind(**_frozen(part.found))


def _frozen(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}


def _clashes(settings: Settings) -> list[SettingsFault]:
    """Return the faults of settings that are each right but do not go together."""
    return [
        _fault(field, expected, _shown(getattr(settings, field)))
        for field, expected, holds in AGREEMENTS
        if not holds(settings)
    ]


def _shape_clashes(shape: Shape | None) -> list[SettingsFault]:
    if shape is None:
        return []
    faults = []
    if shape.hidden % (2 * shape.n_heads):
        expected = "a multiple of twice shape.n_heads"
        faults.append(_fault("shape.hidden", expected, str(shape.hidden)))
    if shape.n_heads % shape.n_kv_heads:
        faults.append(
            _fault("shape.n_kv_heads", "a divisor of shape.n_heads", str(shape.n_kv_heads))
        )
    return faults
