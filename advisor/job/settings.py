"""Every setting of a training job, typed and checked; all faults are named at once."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Self

from .bounds import LORA_METHODS, LORA_RULES, RULES, SHAPE_RULES, Rule


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
    `max_steps` wins over `epochs`; one of them is needed.
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
    base_model: str | None = None
    shape: Shape | None = None
    epochs: float | None = None
    max_steps: int | None = None
    precision: str = "auto"
    gradient_checkpointing: bool = False
    lora: Lora | None = None
    quantization: str | None = None
    eval_every_steps: int | None = None
    keep_checkpoints: int = 2
    threads: int | None = None
    device: str = "auto"
    samples: int = 0

    @classmethod
    def from_dict(cls, raw: object) -> Self:
        """Return the settings in `raw`, a JSON object; raise SettingsError with every fault."""
        values = _checked(raw, rules=RULES, kind=cls, where="")
        faults = values.faults
        shape = _part(values.found.get("shape"), rules=SHAPE_RULES, kind=Shape, faults=faults)
        lora = _part(values.found.get("lora"), rules=LORA_RULES, kind=Lora, faults=faults)
        if faults:
            raise SettingsError(faults)
        settings = cls(**{**values.found, "shape": shape, "lora": lora})
        if clashes := list(_clashes(settings)):
            raise SettingsError(clashes)
        return settings

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object that `from_dict` reads back to equal settings."""
        raw = asdict(self)
        if self.lora and not isinstance(self.lora.targets, str):
            raw["lora"]["targets"] = list(self.lora.targets)
        return raw


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
    targets = part.found.get("targets")
    if isinstance(targets, list):
        part.found["targets"] = tuple(targets)
    return kind(**part.found)


def _clashes(settings: Settings) -> list[SettingsFault]:
    """Return the faults of settings that are each right but do not go together."""
    from_scratch = settings.approach == "pretrain"
    adapter = settings.method in LORA_METHODS
    checks = [
        (
            settings.epochs is not None or settings.max_steps is not None,
            _fault("epochs", "epochs or max_steps", "neither"),
        ),
        (
            from_scratch == (settings.shape is not None),
            _fault("shape", "a shape for pretrain, else null", settings.approach),
        ),
        (
            from_scratch == (settings.base_model is None),
            _fault("base_model", "null for pretrain, else a model", _shown(settings.base_model)),
        ),
        (
            settings.approach == "continued_pretrain" or adapter == (settings.approach == "lora"),
            _fault("method", f"a method that fits {settings.approach}", settings.method),
        ),
        (
            adapter == (settings.lora is not None),
            _fault("lora", "rank, alpha … for an adapter, else null", settings.method),
        ),
        (
            (settings.method == "qlora") == (settings.quantization == "nf4"),
            _fault("quantization", "nf4 for qlora, else null", _shown(settings.quantization)),
        ),
    ]
    return [fault for holds, fault in checks if not holds] + _shape_clashes(settings.shape)


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
