from pathlib import Path

import pytest

from advisor.job.training.profiling import PROFILED_MICRO_STEPS, PROFILED_STEP, StepProfile


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
