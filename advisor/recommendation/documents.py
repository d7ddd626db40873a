"""The document of a recommendation."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from advisor.answers import Answers
from advisor.estimation.documents import CostRange, Estimate, Range
from advisor.tables import Approach, RuleSet


class Document(BaseModel):
    """A part of the recommendation; nothing changes once it is made."""

    # Built as one when the whole is first made: each part alone would cost every start its share.
    model_config = ConfigDict(
        frozen=True, protected_namespaces=(), serialize_by_alias=True, defer_build=True
    )


class SettingEntry(Document):
    """A value to train with; `applied` tells whether a plan carries it out or only advises it."""

    name: str
    value: bool | int | float | str
    why: str
    source: str
    applied: bool


class Recommended(Document):
    """The answer: what to train and how.

    `base_reasons` say why this base model, `alternatives` what else was looked at. `confidence` is
    the share of known projects for which such advice was right, `confidence_basis` how many.
    """

    approach: Approach
    method: str
    objective: str
    stages: tuple[Approach, ...]
    base_model: str | None
    base_reasons: tuple[str, ...]
    alternatives: tuple[str, ...]
    next_step: str | None
    confidence: float | None
    confidence_basis: str
    settings: tuple[SettingEntry, ...]
    summary: str


class BlockerEntry(Document):
    """What stands in the way of an option."""

    what: Literal["memory", "time", "money", "data", "licence", "privacy"]
    needs: str
    has: str
    nearest_fix: str


class OptionEntry(Document):
    """One approach with its score; `estimate` is null where there is nothing to price."""

    approach: Approach
    method: str
    base_model: str | None
    feasible: bool
    score: float
    reasons: tuple[str, ...]
    blockers: tuple[BlockerEntry, ...]
    estimate: Estimate | None


class SourceEntry(Document):
    """Where a rule comes from."""

    article: str
    publisher: str
    title: str
    section: str
    date: str


class Reason(Document):
    """A rule row that fired: what it says, and what it weighs for each approach."""

    rule: str
    set: str
    favours: Approach
    weight: float
    weights: dict[str, float]
    because: str
    says: str
    reading: str | None
    source: SourceEntry
    strength: str | None
    evidence: Literal["supported", "conditional", "contradicted", "untested"]


class ConflictEntry(Document):
    """Rows that disagree and what resolved it."""

    rules: tuple[str, ...]
    resolved_by: str
    why: str


class DocumentsOnly(Document):
    """What the articles' tables alone would have said, and the row that turned it, if any did."""

    approach: Approach | None
    why: str | None


class FlipEntry(Document):
    """The nearest other answer to one question that changes the approach.

    `still` is the nearest one tried short of it that does not, null where answers have no order;
    `to` is null where nothing is feasible then.
    """

    change: dict[str, bool | int | str]
    still: str | None
    to: Approach | None
    why: str


class UpperEnd(Document):
    """What the other end of the ranges leads to; all else in the document is for their low end."""

    answers: dict[str, str]
    approach: Approach | None
    method: str | None
    base_model: str | None
    wall_hours: Range | None
    cost_usd: CostRange | None


class SimilarCaseEntry(Document):
    """A known project like this one; `because` names the answers that they share."""

    project: str
    year: int
    chose: Approach
    outcome: str
    source: str
    shown_best: tuple[Approach, ...]
    because: tuple[str, ...]


class AskNext(Document):
    """An unanswered question that could still change approach or cost."""

    question: str
    why: str


class FrontEntry(Document):
    """What is recommended on some GPUs: none beats it in both time and money within the limits.

    `changes` names the answers that it departs from. Only what is recommended may be beaten.
    """

    gpu: str
    gpus: int
    wall_hours: Range
    cost_usd: CostRange
    memory_gb_per_gpu: Range
    changes: tuple[str, ...]
    marks: tuple[Literal["recommended", "cheapest", "fastest"], ...]


class Recommendation(Document):
    """What to do, why, at what price, and what was left behind.

    `flips`, `insensitive_to`, `ask_next` and `front` are null where nothing else was to be tried.
    """

    schema_: Literal["advisor.recommendation/1"] = Field(
        default="advisor.recommendation/1", alias="schema"
    )
    answers: Answers
    rules: RuleSet
    feasible: bool
    machine: dict[str, Any] | None
    recommended: Recommended | None
    options: tuple[OptionEntry, ...]
    reasons: tuple[Reason, ...]
    conflicts: tuple[ConflictEntry, ...]
    documents_only: DocumentsOnly
    at_upper_end: UpperEnd | None
    flips: tuple[FlipEntry, ...] | None
    insensitive_to: tuple[str, ...] | None
    ask_next: tuple[AskNext, ...] | None
    front: tuple[FrontEntry, ...] | None
    similar_cases: tuple[SimilarCaseEntry, ...]
    estimate: Estimate | None
    checklist: tuple[str, ...]
    warnings: tuple[str, ...]
