"""The JSON Schema of every public document, generated from the models."""

from typing import Any, Literal

from pydantic import BaseModel

from advisor.answers import Answers
from advisor.errors import ErrorName
from advisor.estimation.documents import Estimate
from advisor.planning import Plan
from advisor.recommendation import Recommendation
from advisor.runs.history import RunEntry
from advisor.search.documents import Search

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class FaultDocument(BaseModel):
    """One thing that is wrong."""

    path: str | None
    line: int | None
    field: str | None
    expected: str | None
    found: str | None
    hint: str | None


class ErrorBody(BaseModel):
    """What went wrong, by its stable name, with every fault."""

    code: Literal[tuple(name.value for name in ErrorName)]  # type: ignore[valid-type]
    exit: int
    message: str
    faults: list[FaultDocument]


class ErrorDocument(BaseModel):
    """The one line on stderr of a command that failed under --json."""

    error: ErrorBody


DOCUMENTS: dict[str, type[BaseModel]] = {
    "answers": Answers,
    "recommendation": Recommendation,
    "estimate": Estimate,
    "search": Search,
    "plan": Plan,
    "run": RunEntry,
    "error": ErrorDocument,
}


def schema_of(name: str) -> dict[str, Any]:
    """Return the schema of the document called `name`, as it is written out."""
    mode: Literal["validation", "serialization"] = (
        "validation" if name == "answers" else "serialization"
    )
    return {"$schema": DIALECT, **DOCUMENTS[name].model_json_schema(mode=mode)}
