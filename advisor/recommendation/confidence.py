"""How sure the advice is: the share of known projects that got such advice right."""

from collections.abc import Mapping
from typing import NamedTuple

from advisor.tables import RuleBook, RuleSet

# What the case base tells of a project: how many of these are answered is how much is known.
DECIDING = (
    "domain",
    "task",
    "model_kind",
    "language_novelty",
    "raw_text",
    "labelled_examples",
    "facts_change",
    "gpus",
    "privacy",
)


class Confidence(NamedTuple):
    """The share of projects that such advice was right for, and how many there were."""

    share: float
    projects: int


def known_of(answers: Mapping[str, object]) -> int:
    """Return how many of the questions that decide are answered."""
    return sum(answers[name] is not None for name in DECIDING)


def confidence_in(
    approach: str, *, known: int, rules: RuleBook, rule_set: RuleSet
) -> Confidence | None:
    """Return the confidence of the first row that covers the advice, or None."""
    for row in rules.choices("confidence"):
        told = row.outcome
        covers = told["rule_set"] == rule_set and known >= int(told["known_from"])
        if covers and row.fits({"approach": approach}):
            return Confidence(float(told["share_right"]), int(told["projects"]))
    return None
