"""What real runs say beside the formulas: factors, shares, and how far off they leave a run."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from advisor.calibration.measuring import Run
from advisor.catalog import Catalog
from advisor.estimation import TrainingJob
from advisor.estimation.compute import speed
from advisor.estimation.documents import EstimateRequest
from advisor.estimation.memory import Memory, peak_memory
from advisor.estimation.processor import (
    KEPT_SHARE_FULL,
    beyond_gb,
    profiled_blocks,
    saved_gb,
    step_seconds,
)
from advisor.machine import Machine
from advisor.machine.calibration import CPU, Calibration, Fit, Rates, Saving, Startup
from advisor.options.layout import complete_request

# PyTorch's own allocator on a GPU keeps less than the C library does.
KEPT_SHARE_GPU = 0.05


class _Seen(NamedTuple):
    """A run, its job, and what the job's tensors take: always, and for a while in a step."""

    run: Run
    job: TrainingJob
    always_gb: float
    live_gb: float

    @property
    def predicted_gb(self) -> float:
        """Return the peak memory that an estimate would name."""
        return self.always_gb + self.live_gb + beyond_gb(self.job, live=self.live_gb)


def fitted(
    rates: Rates,
    runs: Sequence[Run],
    *,
    device: str,
    machine: Machine,
    catalog: Catalog,
    date: str,
) -> Calibration:
    """Return the calibration under which the formulas give what the runs measured."""
    start = _unfitted(rates, device=device, date=date)
    if device == CPU:
        # What PyTorch cannot train on is no device of the job's.
        machine = machine._replace(gpus=())
    jobs = [_job(run, machine._replace(calibration=start), catalog) for run in runs]
    full = [one for one in jobs if not one.job.adapts]
    adapted = [one for one in jobs if one.job.adapts]
    process = statistics.mean(
        one.run.early_gb - one.always_gb - (1 + start.full.kept_share) * one.live_gb for one in full
    )
    kept = statistics.mean(
        (one.run.early_gb - one.always_gb - process) / one.live_gb - 1 for one in adapted
    )
    found = start._replace(
        full=Fit(_factor(full, catalog), start.full.kept_share, _profiled(full)),
        adapters=Fit(_factor(adapted, catalog), max(kept, 0.0), _profiled(adapted)),
        scratch=_startup(full),
        based=_startup(adapted),
        saving=_saving(jobs),
        process_gb=max(process, 0.0),
    )
    again = [_job(run, machine._replace(calibration=found), catalog) for run in runs]
    return found._replace(
        time_error=_worst(one.run.step_s / _seconds(one.job, catalog) for one in again),
        memory_error=_worst(one.run.peak_gb / one.predicted_gb for one in again),
    )


def _unfitted(rates: Rates, *, device: str, date: str) -> Calibration:
    """Return the rates alone: no run has been compared yet."""
    kept = KEPT_SHARE_FULL if device == CPU else KEPT_SHARE_GPU
    fit = Fit(time_factor=1.0, kept_share=kept, profiled_gb=0.0)
    none = Startup(seconds=0.0, seconds_per_block=0.0)
    return Calibration(
        date=date,
        device=device,
        rates=rates,
        full=fit,
        adapters=fit,
        scratch=none,
        based=none,
        saving=Saving(seconds=0.0, seconds_per_gb=0.0),
        process_gb=0.0,
        time_error=1.0,
        memory_error=1.0,
    )


def _job(run: Run, machine: Machine, catalog: Catalog) -> _Seen:
    """Return the job of a run, as an estimate would see it."""
    step_tokens = run.seq_len * run.micro_batch * run.accumulation
    request = EstimateRequest.model_validate(
        {
            "model": str(run.config),
            "approach": run.approach,
            "method": "full" if run.approach == "pretrain" else "lora",
            "lora_rank": 16,
            "tokens": step_tokens,
            "seq_len": run.seq_len,
            "micro_batch": run.micro_batch,
            "global_batch_tokens": step_tokens,
            "optimizer": "adamw",
            "gradient_checkpointing": "no",
            "gpu": "local",
            "gpus": 1,
            "scope": "steady",
        }
    )
    job = complete_request(request, catalog=catalog, machine=machine)
    memory = peak_memory(job)
    return _Seen(run, job, always_gb=_always(memory), live_gb=_live(memory))


def _always(memory: Memory) -> float:
    return memory.weights + memory.optimizer + memory.communication


def _live(memory: Memory) -> float:
    return memory.activations + memory.logits + memory.gradients


def _seconds(job: TrainingJob, catalog: Catalog) -> float:
    if job.device.is_cpu:
        return step_seconds(job, catalog.utilisation)
    return job.step_tokens / speed(job, catalog.utilisation).tokens_per_second


def _factor(seen: Sequence[_Seen], catalog: Catalog) -> float:
    return statistics.geometric_mean(one.run.step_s / _seconds(one.job, catalog) for one in seen)


def _profiled(seen: Sequence[_Seen]) -> float:
    return statistics.mean(
        (one.run.peak_gb - one.run.early_gb) / profiled_blocks(one.job) for one in seen
    )


def _startup(seen: Sequence[_Seen]) -> Startup:
    """Return the line through the runs of the shallowest and the deepest model."""
    shallow, *_, deep = sorted(seen, key=lambda one: one.job.shape.n_layers)
    blocks = deep.job.shape.n_layers - shallow.job.shape.n_layers
    more = max(deep.run.beside_s - shallow.run.beside_s, 0.0)
    slope = more / blocks if blocks else 0.0
    middle = statistics.mean(one.run.beside_s - slope * one.job.shape.n_layers for one in seen)
    return Startup(seconds=max(middle, 0.0), seconds_per_block=slope)


def _saving(seen: Sequence[_Seen]) -> Saving:
    small, *_, large = sorted(seen, key=lambda one: saved_gb(one.job))
    size = saved_gb(large.job) - saved_gb(small.job)
    slope = max(large.run.save_s - small.run.save_s, 0.0) / size
    return Saving(seconds=small.run.save_s, seconds_per_gb=slope)


def _worst(ratios: Iterable[float]) -> float:
    return math.exp(max(abs(math.log(ratio)) for ratio in ratios))
