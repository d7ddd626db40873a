"""One training job with nothing left open: what the estimate is computed from."""

from functools import lru_cache
from typing import NamedTuple, Self

from advisor.catalog import Gpu
from advisor.estimation.documents import EstimateRequest
from advisor.estimation.shape import Shape, lora_params
from advisor.machine import Machine
from advisor.machine.calibration import Calibration

CPU = "cpu"
LOCAL = "local"
LORA_METHODS = frozenset({"lora", "rslora", "qlora", "dora"})
FSDP_LIKE = frozenset({"fsdp", "zero3"})
UNSHARDED = frozenset({"single", "ddp"})
# Published runs on these cards are of software before PyTorch 2.0.
OLD_ARCHITECTURES = frozenset({"Volta"})


# Makers print GiB as "GB". Data-centre cards with GDDR give a sixteenth of it to error correction:
# an L40S of 48 GB shows 46,068 MiB, an A100 of 80 GB all 81,920 MiB.
GIB = 2**30 / 1e9
_GDDR_BELOW_GBS = 880.0
_ECC_SHARE = 1 / 16
# macOS lets the graphics unit have about three quarters of the shared memory.
_APPLE_SHARE = 0.75


def _capacity_gb(gpu: Gpu) -> float:
    """Return the memory that the driver shows, in GB of 10^9 bytes."""
    with_ecc = gpu.form == "datacenter" and gpu.memory_bandwidth_gbs < _GDDR_BELOW_GBS
    share = _APPLE_SHARE if gpu.vendor == "Apple" else 1 - _ECC_SHARE * with_ecc
    return gpu.memory_gb * GIB * share


class Device(NamedTuple):
    """The processor that runs the job: memory in GB, rates in dense TFLOPS, links in GB/s."""

    id: str
    name: str
    vendor: str
    arch: str
    form: str
    memory_gb: float
    memory_bandwidth_gbs: float
    tflops: dict[str, float]
    interconnect_gbs: float
    tdp_w: float | None
    local: bool = False
    calibration: Calibration | None = None

    @property
    def is_cpu(self) -> bool:
        """Whether it is no accelerator."""
        return self.form == CPU

    @classmethod
    def of_gpu(cls, gpu: Gpu, *, local: bool = False) -> Self:
        """Return the device that a catalogue row describes."""
        bf16 = gpu.bf16_tflops or gpu.fp16_tflops or gpu.fp32_tflops or 0.0
        fp32 = gpu.fp32_tflops or bf16 / 8
        return cls(
            id=gpu.id,
            name=gpu.name,
            vendor=gpu.vendor,
            arch=gpu.arch,
            form=gpu.form,
            memory_gb=_capacity_gb(gpu),
            memory_bandwidth_gbs=gpu.memory_bandwidth_gbs,
            tflops={
                "bf16": bf16,
                "fp16": gpu.fp16_tflops or bf16,
                "fp8": gpu.fp8_tflops or bf16,
                "tf32": gpu.tf32_tflops or fp32,
                "fp32": fp32,
            },
            interconnect_gbs=gpu.interconnect_gbs or 16.0,
            tdp_w=gpu.tdp_w,
            local=local,
        )

    @classmethod
    def of_cpu(cls, machine: Machine) -> Self:
        """Return the device that the processor of `machine` is."""
        return cls(
            id=LOCAL,
            name=machine.cpu or "CPU",
            vendor="",
            arch=CPU,
            form=CPU,
            memory_gb=machine.ram_gb,
            memory_bandwidth_gbs=0.0,
            tflops={},
            interconnect_gbs=0.0,
            tdp_w=None,
            local=True,
            calibration=machine.calibrated(CPU),
        )


class HourlyPrice(NamedTuple):
    """What one GPU-hour costs, who asks it where, and when that was read."""

    usd: float
    provider: str
    source: str
    date: str
    region: str = ""


class TrainingJob(NamedTuple):
    """A job: model, data, settings, hardware and price; `tokens` counts all epochs.

    `master_weights` says whether trained weights and optimizer states are kept in fp32 beside the
    16-bit arithmetic. `price` is None where no price is known. `labelled_share` is the share of
    positions that the loss counts, where the vocabulary's scores are made at these alone.
    """

    request: EstimateRequest
    shape: Shape
    approach: str
    method: str
    objective: str
    tokens: float
    seq_len: int
    micro_batch: int
    gradient_accumulation: int
    precision: str
    master_weights: bool
    optimizer: str
    quantization: str | None
    cpu_offload: bool
    compiled: bool
    lora_rank: int
    lora_targets: tuple[str, ...]
    gradient_checkpointing: str
    sharding: str
    tensor_parallel: int
    pipeline_parallel: int
    device: Device
    cores: int
    gpus: int
    price: HourlyPrice | None
    region: str | None
    scope: str
    context_parallel: int = 1
    attention: str = "sdpa"
    assumptions: tuple[str, ...] = ()
    labelled_share: float = 1.0

    @property
    def micro_tokens(self) -> int:
        """Tokens of one forward and backward pass on one GPU, or on those that share a layer."""
        return max(self.seq_len * self.micro_batch // self.context_parallel, 1)

    @property
    def model_parallel(self) -> int:
        """Over how many GPUs one copy of the model is split by tensor and pipeline."""
        return self.tensor_parallel * self.pipeline_parallel

    @property
    def data_parallel(self) -> int:
        """How many GPUs work on different tokens, be it of the same sequence."""
        return max(self.gpus // self.model_parallel, 1)

    @property
    def step_tokens(self) -> float:
        """Tokens of one optimizer step."""
        return float(self.micro_tokens * self.gradient_accumulation * self.data_parallel)

    @property
    def adapts(self) -> bool:
        """Whether the base stays frozen and something small is trained."""
        return self.method not in {"full", "frozen"}

    @property
    def trained_params(self) -> float:
        """How many parameters get a gradient."""
        return trained_params(self)


def trained_params(job: TrainingJob) -> float:
    """Return the parameters that the method of `job` trains.

    Sources: LoRA arXiv 2106.09685; DoRA arXiv 2402.09353 (one magnitude per output); IA3 arXiv
    2205.05638 (one vector per key, value and MLP); bottleneck adapters arXiv 1902.00751; prefix
    tuning arXiv 2101.00190; prompt tuning arXiv 2104.08691; P-tuning arXiv 2103.10385.
    """
    if job.method == "full":
        return job.shape.params
    if job.method in LORA_METHODS:
        return _lora_params(job.shape, job.method, job.lora_rank, job.lora_targets)
    return _other_params(job.shape, job.method)


ADAPTER_WIDTH = 64
VIRTUAL_TOKENS = 20
# A search asks this again and again, of few models.
SHAPES_KEPT = 1024


@lru_cache(SHAPES_KEPT)
def _lora_params(shape: Shape, method: str, rank: int, targets: tuple[str, ...]) -> float:
    magnitudes = 0.0
    if method == "dora":
        widths = shape.linear_widths()
        named = (widths[name] for name in targets if name in widths)
        magnitudes = sum(outputs * count for _, outputs, count in named)
    return float(lora_params(shape, rank, targets) + magnitudes)


def _other_params(shape: Shape, method: str) -> float:
    layers, hidden = shape.n_layers, shape.hidden
    counts = {
        # The upper quarter of the blocks and the output head.
        "frozen": shape.block_params / 4 + shape.table_params,
        "ia3": layers * (2 * shape.kv_width + shape.intermediate),
        "adapter": layers * 4 * hidden * ADAPTER_WIDTH,
        "prefix": layers * 2 * shape.kv_width * VIRTUAL_TOKENS,
        "prompt": hidden * VIRTUAL_TOKENS,
        "p_tuning": hidden * VIRTUAL_TOKENS + 3 * hidden * hidden,
    }
    return float(counts[method])
