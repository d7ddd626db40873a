import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from job_runs import LORA, PRETRAIN, settings

from advisor.job.settings import Settings, SettingsError

GOOD = [settings(), settings(**LORA), settings(**PRETRAIN)]
WRONG = [
    ("merge", 1),
    ("objective", "ranking"),
    ("labels", ["a", "b"]),
    ("new_tokens", 5),
    ("replay_share", 0.1),
    ("virtual_tokens", 8),
    ("bottleneck", 8),
    ("targets", ["q"]),
    ("gradient_checkpointing", True),
    ("bad_records", "drop"),
    ("memory_limit_gb", 0),
    ("patience", 0),
    ("approach", "finetune"),
    ("method", "lora"),
    ("base_model", None),
    ("base_model", " "),
    ("base_model", "a\0b"),
    ("shape", PRETRAIN["shape"]),
    ("shape", []),
    ("seq_len", 7),
    ("seq_len", 64.0),
    ("micro_batch", True),
    ("gradient_accumulation", 0),
    ("packing", 1),
    ("epochs", math.nan),
    ("epochs", 0),
    ("max_steps", None),
    ("max_steps", -1),
    ("learning_rate", "1e-3"),
    ("learning_rate", math.inf),
    ("schedule", "sine"),
    ("warmup_share", 1.1),
    ("optimizer", "sgd"),
    ("precision", "fp8"),
    ("lora", LORA["lora"]),
    ("quantization", "nf4"),
    ("validation_share", 1),
    ("seed", -1),
    ("keep_checkpoints", 1),
    ("threads", 0),
    ("device", "tpu"),
]


@pytest.mark.parametrize("raw", GOOD, ids=lambda raw: raw["approach"])
def test_settings_come_back_equal_from_their_own_json(raw: dict[str, Any]) -> None:
    assert Settings.from_dict(Settings.from_dict(raw).to_dict()) == Settings.from_dict(raw)
    assert raw.items() <= Settings.from_dict(raw).to_dict().items()


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_wrong_setting_is_named(field: str, value: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_dict(settings(**{field: value}))
    named = {fault.field for fault in caught.value.faults}
    # Two settings can clash; then the one that the other contradicts may be named instead.
    assert named & {field, "epochs" if field == "max_steps" else field}


def test_all_faults_are_named_at_once() -> None:
    raw = settings(
        seq_len=0, packing=None, colour="red", **{**LORA, "lora": {"rank": 0, "alpha": 1}}
    )
    del raw["seed"]
    with pytest.raises(SettingsError) as caught:
        Settings.from_dict(raw)
    assert {fault.field for fault in caught.value.faults} == {
        "seq_len",
        "packing",
        "colour",
        "seed",
        "lora.rank",
        "lora.dropout",
        "lora.targets",
    }


@pytest.mark.parametrize(
    ("shape", "field"),
    [({"hidden": 60, "n_heads": 8}, "shape.hidden"), ({"n_kv_heads": 3}, "shape.n_kv_heads")],
)
def test_a_shape_that_cannot_be_built_is_refused(shape: dict[str, int], field: str) -> None:
    raw = settings(**{**PRETRAIN, "shape": {**PRETRAIN["shape"], **shape}})
    with pytest.raises(SettingsError) as caught:
        Settings.from_dict(raw)
    assert [fault.field for fault in caught.value.faults] == [field]


@pytest.mark.parametrize("raw", [None, [], "x", 1])
def test_settings_that_are_no_object_are_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        Settings.from_dict(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(field=st.sampled_from(sorted(settings())), value=JSON)
def test_any_json_value_is_accepted_or_named_never_a_crash(field: str, value: Any) -> None:
    try:
        Settings.from_dict(settings(**{field: value}))
    except SettingsError as error:
        assert error.faults


PREFIX = {
    **{key: value for key, value in LORA.items() if key != "lora"},
    "method": "prefix",
    "virtual_tokens": 8,
    "packing": False,
}
PROMPT = {**PREFIX, "method": "prompt"}
CLASHES = [
    ("gradient_checkpointing", {**PREFIX, "gradient_checkpointing": "yes"}),
    ("packing", {**PREFIX, "packing": True}),
    ("merge", {**PREFIX, "merge": True}),
    ("method", {**PROMPT, "objective": "mlm"}),
    ("method", {**PROMPT, "objective": "extraction", "labels": ["O", "X"]}),
    ("method", {"method": "frozen"}),
    (
        "objective",
        {**PRETRAIN, "objective": "classification", "labels": ["a", "b"], "packing": False},
    ),
    ("labels", {"objective": "classification", "packing": False, "labels": ["a"]}),
    ("new_tokens", {"new_tokens": 9}),
    ("shots", {"approach": "no_training", "method": "few_shot"}),
]


@pytest.mark.parametrize(("field", "changes"), CLASHES)
def test_settings_that_do_not_go_together_are_named(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_dict(settings(**changes))
    assert [fault.field for fault in caught.value.faults] == [field]


def test_what_is_only_measured_needs_no_number_of_steps() -> None:
    raw = settings(approach="no_training", method="zero_shot", max_steps=None)
    assert not Settings.from_dict(raw).trains
