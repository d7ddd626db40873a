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


class ServingEstimate(_Document):
    """What serving the trained model takes."""

    memory_gb: float
    usd_per_month: Range
    break_even_calls_per_day: float | None


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
    serving: ServingEstimate | None = None
    basis: Literal["analytic", "calibrated"]
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
