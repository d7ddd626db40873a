"""plan.json: every setting of one training job, and what is predicted of it."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from advisor.estimation.documents import Estimate, Range

LOCAL = "local"
GENERATED_TEXT = "data/general.jsonl"


class PlannedFile(BaseModel):
    """One input of the job, as it was when the plan was made; a relative path is the folder's own.

    `role` is `train`, `validation`, `general` (replay and forgetting) or `out_of_domain`.
    """

    path: str
    bytes: int
    records: int
    sha256: str
    role: str = "train"


class PlannedData(BaseModel):
    """The data of a stage; all but `files` is of the data to train on.

    `tokens` of one pass are estimated from a sample.
    """

    files: tuple[PlannedFile, ...]
    records: int
    form: str
    tokens: int


class Predictions(BaseModel):
    """What the estimate says of this job, kept to be compared with what is measured.

    Null where nothing is estimated. Hours and money of several stages are added up: the medians
    as they are, the distances to the ends as the root of their squares, as errors of different
    jobs. Memory is that of the fullest stage, tokens per second are those of the last one.
    """

    wall_hours: Range | None
    memory_gb_per_gpu: Range | None
    tokens_per_second_per_gpu: Range | None
    cost_usd: Range | None
    price_per_gpu_hour_usd: float | None


class PlannedStage(BaseModel):
    """One training of a run; `sources` says of each setting where its value is from."""

    approach: str
    method: str
    objective: str
    base_model: str | None
    data: PlannedData
    steps: int
    settings: dict[str, Any]
    sources: Mapping[str, str]
    predictions: Predictions
    estimate: Estimate | None
    recipe_source: str | None


class Plan(PlannedStage):
    """A run, complete: its last stage, and `earlier` the stages before it, in order.

    `base_model` is that of the first stage, which must be here; `predictions` are of all stages.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    schema_: Literal["advisor.plan/1"] = Field(default="advisor.plan/1", alias="schema")
    run_id: str
    project: str | None
    gpu: str
    gpus: int
    earlier: tuple[PlannedStage, ...] = ()
    warnings: tuple[str, ...]

    @property
    def is_local(self) -> bool:
        """Tell whether the plan is for this machine, whatever it has."""
        return self.gpu == LOCAL

    @property
    def stages(self) -> tuple[PlannedStage, ...]:
        """Return all stages in order."""
        return (*self.earlier, self)

    @property
    def all_steps(self) -> int:
        """Return the optimizer steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def fits(self) -> bool:
        """Tell whether every stage that is estimated fits in memory."""
        return all(stage.estimate.fits for stage in self.stages if stage.estimate)

    @property
    def disk_gb(self) -> float:
        """Return the space that the run takes, base models included."""
        return sum(stage.estimate.disk_gb for stage in self.stages if stage.estimate)
