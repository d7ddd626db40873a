"""The document of a search."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from advisor.estimation.documents import CostRange, EstimateRequest, MemoryRange, Range

Mark = Literal["cheapest", "fastest"]


class Document(BaseModel):
    """What all share: validators are built at first use, as most commands need none."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class FrontRow(Document):
    """One way to run the job that no other beats in both time and money.

    `request` leaves nothing open: its estimate has these very figures.
    """

    request: EstimateRequest
    wall_hours: Range
    gpu_hours: Range
    cost_usd: CostRange
    memory_gb_per_gpu: MemoryRange
    marks: tuple[Mark, ...]


class Offer(Document):
    """The hardware of one way to run the job, and the medians of what it takes."""

    gpu: str
    gpus: int
    wall_hours: float
    cost_usd: float


class MethodEntry(Document):
    """The cheapest and the fastest way to train with one method; null where none is feasible."""

    approach: str
    method: str
    cheapest: Offer | None
    fastest: Offer | None


class Short(Document):
    """What a way to run the job has too little of."""

    what: Literal["memory", "time", "money"]
    needs: float
    has: float
    unit: Literal["GB on each GPU", "hours", "USD"]


class Nearest(Document):
    """Where nothing is feasible: the way that exceeds its worst limit by the smallest factor."""

    row: FrontRow
    short: tuple[Short, ...]


class Search(Document):
    """The front of time against money over all that was left open.

    `searched` counts combinations of GPU, count, method and layout; `fitting` those whose memory
    surely fits, at the upper end of its interval; `feasible` those of them within both limits, by
    the median. `unpriced` counts the GPUs left out as nobody's price of them is known. The methods
    differ in what they teach a model, of which time and money say nothing.
    """

    schema_: Literal["advisor.search/1"] = Field(default="advisor.search/1", alias="schema")
    request: EstimateRequest
    deadline_hours: float | None
    budget_usd: float | None
    gpus: int
    unpriced: int
    searched: int
    fitting: int
    feasible: int
    front: tuple[FrontRow, ...]
    cheapest: FrontRow | None
    fastest: FrontRow | None
    methods: tuple[MethodEntry, ...]
    nearest: Nearest | None
    assumptions: tuple[str, ...]

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
