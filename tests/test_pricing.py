"""Many estimates at once are the estimates that each would be alone."""

import json
from typing import Any

import pytest
from command_line import run
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.catalog import load_catalog
from advisor.errors import AdvisorError
from advisor.options import priced
from advisor.options.pricing import estimate, estimator

CATALOG = load_catalog()
ONE_BY_ONE = estimator()
# Few values of each, so that requests meet that share a layout and differ in work or price.
requests = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["Qwen/Qwen3-8B-Base", "google-bert/bert-base-uncased"]),
        "tokens": st.sampled_from([1e7, 1e9, 1e12]),
        "approach": st.sampled_from(["pretrain", "full_finetune", "lora"]),
    },
    optional={
        "gpu": st.sampled_from(["l4", "h100-sxm5-80gb"]),
        "gpus": st.sampled_from([1, 8]),
        "seq_len": st.sampled_from([512, 2048]),
        "provider": st.sampled_from(["owned", "gcp"]),
        "spot": st.booleans(),
        "region": st.sampled_from(["FRA", "us-east-1"]),
        "privacy": st.sampled_from(["public", "on_prem"]),
        "calls_per_day": st.sampled_from([10, 1e6]),
    },
)


@settings(max_examples=150, deadline=None)
@given(requests)
def test_a_batch_says_what_each_request_alone_is_told(request: dict[str, Any]) -> None:
    assert ONE_BY_ONE(request) == estimate(request, catalog=CATALOG)


def test_what_is_remembered_of_a_batch_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(priced, "MOST_REMEMBERED", 3)
    answer = estimator()
    for seq_len in range(64, 64 * 9, 64):
        asked = {"model": "Qwen/Qwen3-8B-Base", "gpu": "h100-sxm5-80gb", "seq_len": seq_len}
        assert answer(asked) == estimate(asked, catalog=CATALOG)
    assert all(len(known) <= 3 for known in list(priced._LAID_OUT.values())[-1:])  # noqa: SLF001


def test_a_request_that_is_wrong_is_a_fault_of_its_own() -> None:
    with pytest.raises(AdvisorError):
        ONE_BY_ONE({"gpu": "h1000", "params_b": 1})


def test_this_machine_is_priced_in_a_batch_too() -> None:
    rows = [{"gpu": "local", "model": "llama-1m", "approach": "pretrain", "tokens": 1e6}] * 2
    done = run("estimate", "--batch", "-", stdin="\n".join(map(json.dumps, rows)))
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first == second
    assert first["wall_hours"]["mid"] > 0
