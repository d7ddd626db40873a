"""plan.json: every setting of one training job, and what is predicted of it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from advisor.estimation.documents import Estimate, Range

LOCAL = "local"


class PlannedFile(BaseModel):
    """One input of the job, as it was when the plan was made."""

    path: str
    bytes: int
    records: int
    sha256: str


class PlannedData(BaseModel):
    """The data of the job; `tokens` of one pass are estimated from a sample."""

    files: tuple[PlannedFile, ...]
    records: int
    form: str
    tokens: int


class Predictions(BaseModel):
    """What the estimate says of this job, kept to be compared with what is measured."""

    wall_hours: Range
    memory_gb_per_gpu: Range
    tokens_per_second_per_gpu: Range
    cost_usd: Range | None
    price_per_gpu_hour_usd: float | None


class Plan(BaseModel):
    """One training job, complete: what is trained, on what, with which settings."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    schema_: Literal["advisor.plan/1"] = Field(default="advisor.plan/1", alias="schema")
    run_id: str
    project: str | None
    approach: str
    method: str
    objective: str
    base_model: str | None
    gpu: str
    gpus: int
    data: PlannedData
    steps: int
    settings: dict[str, Any]
    predictions: Predictions
    estimate: Estimate
    recipe_source: str
    warnings: tuple[str, ...]

    @property
    def is_local(self) -> bool:
        """Tell whether the plan is for this machine, whatever it has."""
        return self.gpu == LOCAL
