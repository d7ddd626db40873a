"""The kinds of fact that the tool knows: one class a kind, its fields the columns of the file."""

from typing import NamedTuple

# Named tuples and not dataclasses: seven classes of so many fields would cost 14 ms at each start.


class Gpu(NamedTuple):
    """One accelerator: memory in GB, bandwidth in GB/s, dense tensor rates in TFLOPS."""

    id: str
    name: str
    vendor: str
    arch: str
    form: str
    memory_gb: float
    memory_bandwidth_gbs: float
    bf16_tflops: float | None
    fp16_tflops: float | None
    fp32_tflops: float | None
    tf32_tflops: float | None
    fp8_tflops: float | None
    interconnect: str
    interconnect_gbs: float | None
    tdp_w: float | None
    release_year: int | None
    msrp_usd: float | None
    verified: str
    source: str
    date: str
    notes: str


class Model(NamedTuple):
    """One open model: its shape, licence and training; parameter counts are exact.

    `variant` is base or chat; a chat model names the base that it was made from, where known.
    """

    id: str
    family: str
    kind: str
    variant: str
    variant_of: str
    model_type: str
    params: int
    params_active: int
    params_with_mlm_head: int | None
    n_layers: int
    n_decoder_layers: int | None
    hidden: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    intermediate: int
    moe_intermediate: int | None
    vocab: int
    tied: bool
    max_context: int | None
    n_experts: int | None
    top_k: int | None
    training_tokens_t: float | None
    languages: str
    licence: str
    commercial_use: str
    gated: bool
    release_date: str
    verified: str
    licence_verified: str
    source: str
    date: str
    notes: str


class Language(NamedTuple):
    """A language by its ISO 639 code; `lists` are those, in words of `Model.languages`, it is on.

    Other names and lists are parted by |.
    """

    code: str
    name: str
    other_names: str
    lists: str
    source: str
    date: str


class Price(NamedTuple):
    """What one provider asks for one GPU-hour; `host` is cloud, reseller or marketplace."""

    provider: str
    host: str
    gpu: str
    instance_type: str
    gpus_per_instance: int
    region: str
    usd_per_gpu_hour: float | None
    spot_region: str
    spot_usd_per_gpu_hour: float | None
    verified: str
    source: str
    date: str
    date_precision: str
    notes: str


class Accelerator(NamedTuple):
    """What a provider's price list calls a GPU, and which GPU of the catalogue that is.

    An empty `provider`, `instance` (a part of the instance type) or `gib` fits all; the first row
    that fits counts. One unit of the list is `chips` of the GPU. `host` is the instance type that
    must be rented beside it, {12n} in it standing for 12 times the number of GPUs.
    """

    provider: str
    name: str
    instance: str
    gib: float | None
    gpu: str
    chips: int
    host: str
    source: str
    date: str


class HostedTuning(NamedTuple):
    """What a provider asks for tuning a model on its own machines, and for calling the result.

    `method` is lora, full, or sft where the provider does not say which; open models are priced by
    their size, between `params_from_b` and `params_up_to_b`; a closed model has neither.
    """

    provider: str
    model: str
    method: str
    params_from_b: float | None
    params_up_to_b: float | None
    usd_per_million_tokens: float
    counted: str
    input_usd_per_million: float | None
    output_usd_per_million: float | None
    verified: str
    source: str
    date: str
    notes: str


class ServingFact(NamedTuple):
    """A figure that the model of serving rests on, with the ends of what was seen where known."""

    name: str
    value: float
    low: float | None
    high: float | None
    unit: str
    verified: str
    source: str
    date: str


class Region(NamedTuple):
    """What providers call a region, and the country or state of the table of grids it lies in."""

    region: str
    place: str
    name: str
    verified: str
    source: str
    date: str


class GridFact(NamedTuple):
    """Carbon intensity of a place (g CO2e per kWh), or a power usage effectiveness (ratio)."""

    kind: str
    region: str
    name: str
    value: float
    unit: str
    verified: str
    source: str
    date: str
    notes: str


class Electricity(NamedTuple):
    """What a business pays for a kWh in one country."""

    region: str
    name: str
    usd_per_kwh: float
    verified: str
    source: str
    date: str


class Recipe(NamedTuple):
    """The settings from which a training of one method starts, up to a number of parameters.

    `lora_rank` is the least rank, `lora_rank_most` the highest. Below `few_below` examples, or
    tokens of raw text, `few_epochs` are trained instead of `epochs`. Beyond `learning_rate_low`,
    `learning_rate_high` and `epochs_most` a value is suspect: `range_source`, `epochs_source`.
    """

    approach: str
    method: str
    params_up_to_b: float | None
    learning_rate: float
    learning_rate_low: float
    learning_rate_high: float
    lora_rank: int | None
    lora_rank_most: int | None
    lora_alpha: int | None
    lora_dropout: float | None
    lora_targets: str
    schedule: str
    warmup_share: float
    weight_decay: float
    epochs: int
    few_below: float | None
    few_epochs: int | None
    epochs_most: int
    max_grad_norm: float
    validation_share: float
    seq_len: int
    tokens_per_step: int
    optimizer: str
    verified: str
    source: str
    range_source: str
    epochs_source: str
    date: str


class PretrainingShape(NamedTuple):
    """A Llama-style decoder to be trained from nothing; `params` is exact."""

    id: str
    n_layers: int
    hidden: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    tied: bool
    max_context: int
    params: int
    source: str
    date: str


class Utilisation(NamedTuple):
    """A measured efficiency or the spread of its error; how many publications it rests on."""

    what: str
    case: str
    value: float
    groups: int
    rows: int
    source: str
    date: str
