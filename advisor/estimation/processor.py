"""How long a step takes on this machine's processor, and what it holds in memory there."""

from collections.abc import Mapping

from advisor.catalog import Utilisation
from advisor.estimation.training_job import LORA_METHODS, TrainingJob
from advisor.estimation.work import LINEAR_AGAIN, Operations, operations
from advisor.machine.calibration import Calibration, Fit, Rates

Table = Mapping[tuple[str, str], Utilisation]

GB = 1e9
# Numbers that eager PyTorch computes and writes between the matrix products of one block, in
# widths, forward and backward. Fitted on steps of Llamas of 1 to 64 million parameters with 128 to
# 1024 tokens a row on one core: median error 3 %, worst 12 %, over full and LoRA training.
HIDDEN_MOVES = 22.0
MLP_MOVES = 8.0
HEAD_MOVES = 8.0
ADAPTER_MOVES = 1.0
# Of these a third is the forward pass, which checkpointing repeats.
FORWARD_SHARE = 1 / 3
# Recipes of LoRA drop out inputs of adapters where they train on examples, none on raw text.
WITH_DROPOUT = frozenset({"lora", "qlora", "dora"})
# Packed examples must not see each other; with such a mask attention works on nearly whole squares.
PACKED = frozenset({"full_finetune", "lora"})
MASKED_WORK = 1.7

# What a run of the job holds on a processor that nobody has measured, in GB: PyTorch and
# transformers with all they load, and the profiler's records of one block.
PROCESS_GB = 0.6
PROFILED_GB_FULL = 0.011
PROFILED_GB_ADAPTERS = 0.015
# The C library keeps freed memory in pieces: this share of what comes and goes in a step.
# Measured: 0.16 to 0.24 when all weights train, 0.44 to 0.8 with adapters, 9 shapes, glibc 2.36.
KEPT_SHARE_FULL = 0.2
KEPT_SHARE_ADAPTERS = 0.5
UNMEASURED = {
    False: Fit(1.0, KEPT_SHARE_FULL, PROFILED_GB_FULL),
    True: Fit(1.0, KEPT_SHARE_ADAPTERS, PROFILED_GB_ADAPTERS),
}
# The job profiles up to this many passes of one step, and saves about so many checkpoints.
PROFILED_PASSES = 4
CHECKPOINTS = 10
# Weights and two moments of AdamW, in fp32.
SAVED_BYTES = 12.0

# On the machine that was measured a run may still be so much faster or slower, or hold so much less
# or more (80 %): clocks drift within minutes, and freed memory falls to pieces in many ways.
LEAST_TIME_FACTOR = 1.2
LEAST_MEMORY_FACTOR = 1.12


def step_seconds(job: TrainingJob, table: Table) -> float:
    """Return the seconds of one optimizer step on the processor of this machine."""
    measured = job.device.calibration
    each = operations(job)
    if measured is None:
        work = (each.linear + each.head + each.attention) * job.step_tokens
        return work / (table["cpu_gflops_per_core", "fp32"].value * 1e9 * job.cores)
    token = _token_seconds(job, each, measured.rates)
    update = job.trained_params * measured.rates.update_ns * 1e-9
    return (token * job.step_tokens + update) * measured_factor(job)


def _token_seconds(job: TrainingJob, each: Operations, rates: Rates) -> float:
    attention = each.attention * (MASKED_WORK if job.approach in PACKED else 1.0)
    nanoseconds = (
        (each.linear + each.head) / rates.matrix_gflops
        + attention / rates.attention_gflops
        + _elements(job) * rates.element_ns
        + _dropped(job) * rates.dropout_ns
        + job.shape.vocab * job.labelled_share * rates.score_ns
    )
    return nanoseconds * 1e-9


def _elements(job: TrainingJob) -> float:
    """Return how many numbers a token makes between the matrix products, forward and backward."""
    shape = job.shape
    mlp = MLP_MOVES * shape.active_intermediate * (1.0 if shape.gated else 0.75)
    heads = HEAD_MOVES * (shape.q_width + 2 * shape.kv_width)
    block = HIDDEN_MOVES * shape.hidden + mlp + heads
    again = 1 + FORWARD_SHARE * LINEAR_AGAIN[job.gradient_checkpointing]
    return block * shape.n_layers * again + ADAPTER_MOVES * sum(_adapted(job))


def _dropped(job: TrainingJob) -> float:
    """Return how many inputs of adapters a token drops out or keeps."""
    drops = job.approach == "lora" and job.method in WITH_DROPOUT
    return _adapted(job)[0] if drops else 0.0


def _adapted(job: TrainingJob) -> tuple[float, float]:
    """Return the widths of all (inputs, outputs) that have an adapter of their own."""
    if job.method not in LORA_METHODS:
        return 0.0, 0.0
    widths = job.shape.linear_widths()
    named = [widths[name] for name in job.lora_targets if name in widths]
    return (
        float(sum(inputs * count for inputs, _, count in named)),
        float(sum(outputs * count for _, outputs, count in named)),
    )


def measured_factor(job: TrainingJob) -> float:
    """Return by what factor real steps took longer than the formula; 1 where nobody measured."""
    measured = job.device.calibration
    return _fit(job, measured).time_factor if measured else 1.0


def _fit(job: TrainingJob, measured: Calibration) -> Fit:
    return measured.adapters if job.adapts else measured.full


def startup_seconds(job: TrainingJob) -> float | None:
    """Return the measured seconds of a whole run beside its steps; None where nobody measured.

    A run from scratch learns a tokenizer first; what each block adds is mostly the answers to the
    sample prompts, which adapters slow down.
    """
    measured = job.device.calibration
    if measured is None:
        return None
    always = (measured.scratch if job.approach == "pretrain" else measured.based).seconds
    each = (measured.based if job.adapts else measured.scratch).seconds_per_block
    saves = min(max(job.tokens / job.step_tokens, 1.0), CHECKPOINTS)
    save = measured.saving.seconds + measured.saving.seconds_per_gb * saved_gb(job)
    return always + each * job.shape.n_layers + save * saves


def saved_gb(job: TrainingJob) -> float:
    """Return the size of one checkpoint."""
    return SAVED_BYTES * job.trained_params / GB


def beyond_gb(job: TrainingJob, *, live: float) -> float:
    """Return the GB that a run holds beyond its tensors, of which `live` come and go in a step."""
    measured = job.device.calibration
    fit = _fit(job, measured) if measured else UNMEASURED[job.adapts]
    process = measured.process_gb if measured else PROCESS_GB
    return process + fit.profiled_gb * profiled_blocks(job) + fit.kept_share * live


def profiled_blocks(job: TrainingJob) -> int:
    """Return how many passes through a block the job profiles."""
    return job.shape.n_layers * min(job.gradient_accumulation, PROFILED_PASSES)


def time_factor(job: TrainingJob) -> float | None:
    """Return by what factor a time may be off either way (80 %); None where nobody measured."""
    measured = job.device.calibration
    return max(LEAST_TIME_FACTOR, measured.time_error) if measured else None


def memory_factor(job: TrainingJob) -> float | None:
    """Return by what factor memory may be off either way (80 %); None where nobody measured."""
    measured = job.device.calibration
    return max(LEAST_MEMORY_FACTOR, measured.memory_error) if measured else None
