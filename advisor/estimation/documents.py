"""The public documents of an estimate: what is asked, and what comes back."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from advisor.errors import AdvisorError, ErrorName, Fault

Approach = Literal["pretrain", "continued_pretrain", "full_finetune", "lora"]
Method = Literal[
    "full",
    "lora",
    "rslora",
    "qlora",
    "dora",
    "ia3",
    "adapter",
    "prefix",
    "prompt",
    "p_tuning",
    "frozen",
]
Objective = Literal["clm", "mlm", "seq2seq", "classification"]
Precision = Literal["fp32", "tf32", "fp16", "bf16", "fp8"]
Optimizer = Literal[
    "adamw",
    "adamw_8bit",
    "adamw_paged",
    "adamw_offload",
    "adafactor",
    "sgd",
    "lion",
    "lamb",
    "muon",
]
Quantization = Literal["nf4", "nf4_dq", "int8", "gptq_int4", "hqq_int4", "aqlm"]
Checkpointing = Literal["no", "yes", "selective"]
Sharding = Literal["single", "ddp", "zero1", "zero2", "zero3", "fsdp", "tp_pp"]
Scope = Literal["steady", "whole_run"]
States = Literal["fp32", "16bit"]
Attention = Literal["eager", "sdpa", "flash"]
Privacy = Literal["public", "internal", "on_prem", "air_gapped"]

# The bounds only keep arithmetic finite: no model, machine or run comes near them.
Amount = Annotated[float, Field(gt=0, le=1e18)]
Count = Annotated[int, Field(gt=0, le=10_000_000)]
Name = Annotated[str, Field(min_length=1, max_length=1000)]


class _Document(BaseModel):
    """What all share: validators are built at first use, as most commands need none."""

    model_config = ConfigDict(defer_build=True)


class EstimateRequest(_Document):
    """One training job to be priced; what is left out is chosen as a plan would choose it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Name | None = None
    params_b: Amount | None = None
    active_params_b: Amount | None = None
    n_layers: Count | None = None
    hidden: Count | None = None
    n_heads: Count | None = None
    n_kv_heads: Count | None = None
    intermediate: Count | None = None
    vocab: Count | None = None
    approach: Approach | None = None
    method: Method | None = None
    objective: Objective | None = None
    tokens: Amount | None = None
    examples: Amount | None = None
    epochs: Amount | None = None
    seq_len: Count | None = None
    micro_batch: Count | None = None
    global_batch_tokens: Amount | None = None
    precision: Precision | None = None
    states: States | None = None
    attention: Attention | None = None
    optimizer: Optimizer | None = None
    quantization: Quantization | None = None
    cpu_offload: bool | None = None
    compiled: bool | None = None
    lora_rank: Count | None = None
    lora_targets: Name | None = None
    gradient_checkpointing: Checkpointing | None = None
    sharding: Sharding | None = None
    tensor_parallel: Count | None = None
    pipeline_parallel: Count | None = None
    gpu: Name | None = None
    gpus: Count | None = None
    price_per_gpu_hour: Annotated[float, Field(ge=0, le=1e6)] | None = None
    provider: Name | None = None
    spot: bool | None = None
    region: Name | None = None
    depreciation_years: Annotated[float, Field(ge=0.1, le=100)] | None = None
    privacy: Privacy | None = None
    calls_per_day: Annotated[float, Field(ge=0, le=1e12)] | None = None
    latency_ms: Amount | None = None
    input_tokens_per_call: Count | None = None
    output_tokens_per_call: Count | None = None
    scope: Scope | None = None


class Range(_Document):
    """An 80 % interval: `low` and `high` are the 10th and 90th percentile, `mid` the median."""

    low: float
    mid: float
    high: float


class CostRange(Range):
    """Money in USD, with where the price was read and when."""

    price_source: str
    price_date: str


class MemoryParts(_Document):
    """What the memory of one GPU holds at the peak, in GB of 10^9 bytes; they sum up to `mid`."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float
    communication: float
    framework: float


class MemoryRange(Range):
    """Peak memory of one GPU in GB, as the driver shows it for the process."""

    parts: MemoryParts


class EnergyEstimate(_Document):
    """Electricity and carbon of the run: power x hours x PUE, at the grid of one place.

    `watts_per_gpu` counts the share of the machine around the GPU.
    """

    kwh: Range
    co2_kg: Range
    watts_per_gpu: float
    pue: float
    grid: str
    grid_g_per_kwh: float
    grid_source: str
    grid_date: str


class Alternative(_Document):
    """What tuning on the same tokens costs at a provider's own service."""

    provider: str
    model: str
    method: Literal["lora", "full", "sft"]
    usd: float
    counted: str
    price_source: str
    price_date: str
    verified: bool


class ServingEstimate(_Document):
    """What serving the trained model takes: always on, in `copies` of `gpus_per_copy` GPUs each.

    `memory_gb` is that of one copy over all its GPUs: weights, the cache of `calls_at_once`, and
    what the server itself needs. `latency_ms` is the time of one call alone. From
    `break_even_calls_per_day` on this is cheaper than calling `compared_with`; null: it never is,
    or there is nothing to compare with.
    """

    memory_gb: float
    gpu: str
    gpus_per_copy: int
    copies: int
    calls_at_once: int
    calls_per_day: float
    input_tokens_per_call: int
    output_tokens_per_call: int
    most_calls_per_day: Range
    latency_ms: Range
    latency_met: bool | None
    usd_per_month: Range | None
    break_even_calls_per_day: float | None
    compared_with: str | None


class TracedPart(_Document):
    """One part of the memory in GB of 10^9 bytes: as traced, and as the formula has it."""

    traced: float
    formula: float


class Trace(_Document):
    """Peak memory of one GPU's tensors, read off a step of the real model with fewer blocks.

    `traced_gb` and `formula_gb` leave out what the framework, the allocator and communication take.
    `difference` is the formula's over the trace's, less 1; `moment` says when the peak was.
    """

    seconds: float
    traced_gb: float
    formula_gb: float
    difference: float
    parts: dict[str, TracedPart]
    moment: str
    depths: list[dict[str, int]]
    versions: dict[str, str]
    notes: tuple[str, ...] = ()


class Formula(_Document):
    """A formula that was used, and who published it."""

    name: str
    source: str


class Estimate(_Document):
    """Memory, time, money and carbon of one training job."""

    schema_: Literal["advisor.estimate/1"] = Field(default="advisor.estimate/1", alias="schema")
    request: EstimateRequest
    wall_hours: Range
    gpu_hours: Range
    cost_usd: CostRange | None
    tokens_per_second_per_gpu: Range
    mfu: Range | None
    tokens: float
    flops: float
    memory_gb_per_gpu: MemoryRange
    fits: bool
    disk_gb: float
    download_gb: float
    energy_kwh: float | None
    co2_kg: float | None
    energy: EnergyEstimate | None = None
    serving: ServingEstimate | None = None
    alternatives: tuple[Alternative, ...] = ()
    basis: Literal["analytic", "calibrated"]
    trace: Trace | None = None
    formulas: tuple[Formula, ...]
    assumptions: tuple[str, ...]

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


def read_request(
    fields: Mapping[str, Any], *, path: str | None = None, line: int | None = None
) -> EstimateRequest:
    """Return the request that `fields` describe; REQUEST_INVALID with every fault at once."""
    try:
        return EstimateRequest.model_validate(dict(fields), strict=False)
    except ValidationError as error:
        faults = [
            Fault(
                path=path,
                line=line,
                field=".".join(str(part) for part in fault["loc"]),
                expected=_expected(fault["type"], fault["msg"]),
                found=str(fault["input"])[:200],
            )
            for fault in error.errors(include_url=False)
        ]
        raise AdvisorError(
            ErrorName.REQUEST_INVALID, "the estimate request is not valid", faults
        ) from error


def _expected(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "a key of an estimate request"
    return message.removeprefix("Input should be ")
