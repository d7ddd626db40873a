"""The recommendation: the document, and the one walk from answers to it."""

from advisor.recommendation.assembling import summary_of
from advisor.recommendation.documents import (
    FlipEntry,
    FrontEntry,
    OptionEntry,
    Reason,
    Recommendation,
    SimilarCaseEntry,
)
from advisor.recommendation.walk import recommend

__all__ = [
    "FlipEntry",
    "FrontEntry",
    "OptionEntry",
    "Reason",
    "Recommendation",
    "SimilarCaseEntry",
    "recommend",
    "summary_of",
]
