from pathlib import Path

import pytest

from advisor.job.training.bottleneck import BOUNDS, bound_of
from advisor.job.training.order import Cut
from advisor.job.training.profiling import (
    PROFILED_MICRO_STEPS,
    PROFILED_STEP,
    PhaseClock,
    StepProfile,
    kind_of,
    phase_table,
)


@pytest.mark.slow
@pytest.mark.parametrize("micro_steps", [1, PROFILED_MICRO_STEPS, PROFILED_MICRO_STEPS + 2])
def test_only_the_profiled_step_is_kept_out_of_the_throughput(
    tmp_path: Path, micro_steps: int
) -> None:
    profile = StepProfile(tmp_path / "profile", max_steps=6, wanted=True)
    profiled = []
    for step in range(1, 7):
        profile.begin(step)
        for _ in range(micro_steps):
            profile.micro_step()
        profiled.append(profile.end_step())
    assert [step for step, ran in enumerate(profiled, start=1) if ran] == [PROFILED_STEP]
    assert (tmp_path / "profile" / "operators.txt").exists()


def test_no_second_is_counted_twice() -> None:
    seconds: dict[str, float] = {}
    clock = PhaseClock(seconds, device="cpu")
    for name in ("forward", "backward", "forward"):
        with clock.phase(name):
            pass
    clock.stop("optimizer")
    assert seconds == {}
    clock.settle()
    assert set(seconds) == {"forward", "backward"}
    assert clock.spans == 3
    table = phase_table({"forward": 2.0, "backward": 3.0}, total=6.0)
    assert table["other"] == pytest.approx(1.0)
    assert sum(table.values()) == pytest.approx(6.0)


OPERATORS = [
    ("aten::mm", "matmul"),
    ("aten::addmm", "matmul"),
    ("ampere_bf16_s16816gemm_bf16_128x128", "matmul"),
    ("aten::mkldnn_linear", "matmul"),
    ("aten::_scaled_dot_product_flash_attention_for_cpu", "attention"),
    ("pytorch_flash::flash_fwd_kernel", "attention"),
    ("aten::_fused_adamw_", "optimizer"),
    ("aten::mul", "elementwise"),
    ("aten::_log_softmax", "elementwise"),
    ("aten::clamp_min", "elementwise"),
    ("aten::sum", "elementwise"),
]


@pytest.mark.parametrize(("operator", "kind"), OPERATORS)
def test_an_operator_is_known_by_its_name(operator: str, kind: str) -> None:
    assert kind_of(operator) == kind


EVEN = {
    **dict.fromkeys(("data", "save", "evaluate", "other", "padding"), 0.01),
    "forward": 0.3,
    "backward": 0.6,
    "optimizer": 0.05,
    "matmul": 0.4,
    "attention": 0.05,
    "elementwise": 0.45,
}
CASES = [
    ({}, "nothing", "no share stands out"),
    ({"data": 0.4}, "data", "waiting for data (40% of the time)"),
    ({"save": 0.3}, "saving", "raise save_every_steps"),
    ({"evaluate": 0.3}, "evaluation", "raise eval_every_steps"),
    ({"padding": 0.5}, "padding", "50% of the places hold no token"),
    ({"optimizer": 0.35}, "optimizer", "raise gradient_accumulation"),
    ({"busy": 0.3}, "host", "the GPU worked 30% of the time"),
    ({"busy": 0.95}, "nothing", ""),
    ({"other": 0.3}, "host", "raise micro_batch"),
    ({"matmul": 0.6, "elementwise": 0.3}, "compute", "matrix products (65%"),
    ({"elementwise": 0.7, "matmul": 0.2}, "memory", "compile"),
    ({"padding": None, "matmul": 0.8}, "compute", "a faster device"),
    ({"data": 0.4, "matmul": 0.8}, "data", "waiting"),
]


@pytest.mark.parametrize(("changes", "name", "words"), CASES)
def test_what_a_run_is_bound_by_is_told_in_one_sentence(
    changes: dict[str, float | None], name: str, words: str
) -> None:
    found, sentence = bound_of({**EVEN, **changes})
    assert found == name
    assert words in sentence
    assert sentence.startswith("bound by ")


def test_every_bound_can_be_told() -> None:
    assert {bound.name for bound in BOUNDS} <= {name for _, name, _ in CASES}


def test_nothing_measured_is_nothing_told() -> None:
    assert bound_of({})[0] == "nothing"


def test_an_update_counts_all_processes() -> None:
    assert Cut(rows=2, times=3, world=4).update == 24
