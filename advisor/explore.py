"""Which unanswered questions could still change the answer."""

from collections.abc import Iterator, Mapping

from advisor.answers import questions
from advisor.decision import Decision, RuleSet
from advisor.options import Project
from advisor.tables import Approach, Rule

MOST_QUESTIONS = 5


def questions_that_matter(
    project: Project, decision: Decision, *, rule_set: RuleSet
) -> tuple[tuple[str, str], ...]:
    """Return unanswered questions with the reason to ask them, the most decisive first.

    A question matters where the rows that wait for its answer alone could move another feasible
    approach past the first: an upper bound, for not all of them can fire together.
    """
    feasible = [one for one in decision.ranked if one.option.feasible]
    if not feasible:
        return ()
    best = feasible[0]
    lead = min((best.score - one.score for one in feasible[1:]), default=float("inf"))
    book = project.rules.documents + (project.rules.evidence if rule_set == "all" else ())
    swings = {
        question.name: _swing(question.name, best.option.approach, book, project.facts)
        for question in questions()
        if project.facts.get(question.name) is None
    }
    decisive = sorted(
        (name for name, swing in swings.items() if swing >= lead), key=lambda name: -swings[name]
    )
    return tuple(
        (name, f"rows that wait for it weigh up to {swings[name]:g}; the lead is {lead:g}")
        for name in decisive[:MOST_QUESTIONS]
    )


def _swing(
    question: str, approach: Approach, book: tuple[Rule, ...], facts: Mapping[str, object]
) -> float:
    """Return by how much at most the rows that wait for this answer can turn against it."""
    return sum(_against(rule, approach) for rule in _waiting(question, book, facts))


def _waiting(question: str, book: tuple[Rule, ...], facts: Mapping[str, object]) -> Iterator[Rule]:
    for rule in book:
        tested = {condition.fact for condition in rule.conditions}
        others = (one for one in rule.conditions if one.fact != question)
        if question in tested and all(condition.holds(facts) for condition in others):
            yield rule


def _against(rule: Rule, approach: Approach) -> float:
    others = [weight for name, weight in rule.weights.items() if name != approach]
    return max(0.0, max(others, default=0.0) - rule.weights.get(approach, 0.0))
