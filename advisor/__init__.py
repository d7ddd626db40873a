"""Decides how to train a language model, prices it, and runs it.

The functions and documents of the library; each is loaded when it is first asked for.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from advisor.answers import Answers, read_answers
    from advisor.errors import AdvisorError
    from advisor.estimation.documents import Estimate, EstimateRequest
    from advisor.launching import launch, plan
    from advisor.options.pricing import estimate
    from advisor.recommendation import Recommendation, recommend

__all__ = [
    "AdvisorError",
    "Answers",
    "Estimate",
    "EstimateRequest",
    "Recommendation",
    "estimate",
    "launch",
    "plan",
    "read_answers",
    "recommend",
]

_HOME_OF: Mapping[str, str] = {
    "AdvisorError": "advisor.errors",
    "Answers": "advisor.answers",
    "Estimate": "advisor.estimation.documents",
    "EstimateRequest": "advisor.estimation.documents",
    "Recommendation": "advisor.recommendation",
    "estimate": "advisor.options.pricing",
    "launch": "advisor.launching",
    "plan": "advisor.launching",
    "read_answers": "advisor.answers",
    "recommend": "advisor.recommendation",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
