"""What could still change the answer: open questions, and other answers to those that are given."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, cast

from advisor.answers import Answers, Group, Question, questions, read_answers
from advisor.decision import Decision, because, decide
from advisor.options import Project, build_options, facts_of
from advisor.tables import Approach, Rule, RuleBook, RuleSet
from advisor.units import DataSize

MOST_QUESTIONS = 5
LEAST_SWING = 0.5
TRUTHS = ("true", "false")
# What a number could plausibly be instead, from little to much: about a factor of ten apart.
LADDERS: Mapping[str, tuple[str, ...]] = {
    "raw_text": ("10 MB", "100 MB", "1 GB", "10 GB", "100 GB", "1 TB", "10 TB"),
    "labelled_examples": ("50", "500", "5000", "50000", "500000"),
    "gpus": ("1", "2", "8", "64", "512"),
    "deadline": ("1 day", "1 week", "1 month", "1 quarter", "1 year"),
    "budget_usd": ("100", "1000", "10000", "100000", "1000000"),
    "variants": ("1", "3", "10"),
    "latency_ms": ("100", "1000", "10000"),
    "calls_per_day": ("1000", "10000", "100000", "1000000"),
}


class Flip(NamedTuple):
    """One other answer to one question that changes the recommended approach.

    `value` is written as a person would answer; `to` is None where nothing is feasible then.
    """

    question: str
    value: str
    to: Approach | None
    why: str


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
    book = project.rules.of(rule_set)
    swings = dict.fromkeys((question.name for question in questions()), 0.0)
    for rule in book:
        awaited = _awaited(rule, project.facts)
        if awaited in swings and project.facts[awaited] is None:
            swings[awaited] += _against(rule, best.option.approach)
    decisive = sorted(
        (name for name, swing in swings.items() if swing >= max(lead, LEAST_SWING)),
        key=lambda name: -swings[name],
    )
    return tuple(
        (name, f"rows that wait for it weigh up to {swings[name]:g}; the lead is {lead:g}")
        for name in decisive[:MOST_QUESTIONS]
    )


def _awaited(rule: Rule, facts: Mapping[str, object]) -> str:
    """Return the one fact for which the row still waits, or nothing."""
    unmet = {condition.fact for condition in rule.conditions if not condition.holds(facts)}
    return unmet.pop() if len(unmet) == 1 else ""


def _waiting(question: str, book: tuple[Rule, ...], facts: Mapping[str, object]) -> Iterator[Rule]:
    for rule in book:
        if question not in rule.tested:
            continue
        others = (one for one in rule.conditions if one.fact != question)
        if all(condition.holds(facts) for condition in others):
            yield rule


def _against(rule: Rule, approach: Approach) -> float:
    others = [weight for name, weight in rule.weights.items() if name != approach]
    return max(0.0, max(others, default=0.0) - rule.weights.get(approach, 0.0))


def questions_that_apply(project: Project) -> frozenset[str]:
    """Return the questions on whose answer some row turns, as the other answers stand."""
    book = project.rules.documents + project.rules.evidence
    return frozenset(
        question.name
        for question in questions()
        if any(True for _ in _waiting(question.name, book, project.facts))
    )


def flips(project: Project, decision: Decision, *, rule_set: RuleSet = "all") -> Iterator[Flip]:
    """Yield the smallest changes of one answer that change the approach, question by question.

    Every other choice of a question is tried; a number climbs and descends its ladder until the
    approach changes. Each costs one decision, so the reader may stop between two questions.
    """
    for question in questions():
        reached = {_approach(decision)}
        for road in _roads(question, project):
            flip = _first_flip(road, question, project, (decision, rule_set))
            if flip is not None and flip.to not in reached:
                reached.add(flip.to)
                yield flip


def _roads(question: Question, project: Project) -> Iterator[tuple[str, ...]]:
    """Yield the values to try in each direction, the nearest first."""
    now = project.answers.facts()[question.name]
    if question.choices:
        shown = str(now).lower() if isinstance(now, bool) else now
        yield from ((choice,) for choice in question.choices if choice != shown)
        return
    if question.name == "gpu":
        yield from ((gpu,) for gpu in _known_gpus(project.rules) if gpu != now)
        return
    ladder = LADDERS.get(question.name, ())
    if now is None:
        yield from ((rung,) for rung in ladder)
        return
    yield tuple(rung for rung in ladder if _amount(question, rung) > _as_number(now))
    yield tuple(rung for rung in reversed(ladder) if _amount(question, rung) < _as_number(now))


def _known_gpus(rules: RuleBook) -> Iterator[str]:
    tried = " ".join(row.outcome["gpus_tried"] for row in rules.choices("hardware"))
    yield from dict.fromkeys(one.partition(":")[0] for one in tried.split())


def _first_flip(
    road: tuple[str, ...],
    question: Question,
    project: Project,
    before: tuple[Decision, RuleSet],
) -> Flip | None:
    decision, rule_set = before
    for value in road:
        answers = _answered(project.answers, question, value)
        other = project._replace(answers=answers, facts=facts_of(answers, project.rules))
        options = build_options(other)
        after = decide(other.facts, options, rules=project.rules, rule_set=rule_set)
        if _approach(after) != _approach(decision):
            why = _why(decision, after, other.facts)
            return Flip(question=question.name, value=value, to=_approach(after), why=why)
    return None


def _answered(answers: Answers, question: Question, value: str) -> Answers:
    """Return the answers with another one to this question."""
    raw: object = value == "true" if question.choices == TRUTHS else value
    if question.group is None:
        read = read_answers({question.name: raw})
        return answers.model_copy(update={question.name: getattr(read, question.name)})
    group = getattr(read_answers({question.group: {question.name: raw}}), question.group)
    kept: Group = getattr(answers, question.group)
    changed = kept.model_copy(update={question.name: getattr(group, question.name)})
    return answers.model_copy(update={question.group: changed})


def _amount(question: Question, rung: str) -> float:
    return _as_number(_answered(Answers(), question, rung).facts()[question.name])


def _as_number(value: object) -> float:
    return value.bytes if isinstance(value, DataSize) else float(cast("float", value))


def _approach(decision: Decision) -> Approach | None:
    return decision.best.option.approach if decision.best else None


def _why(before: Decision, after: Decision, facts: Mapping[str, object]) -> str:
    """Return what turned it: the strongest row that fires newly, else what is short or no more."""
    to, left = _approach(after), _approach(before)
    known = {rule.id for rule in before.fired}
    new = [rule for rule in after.fired if rule.id not in known]
    strength = {rule.id: _pull(rule, to, left) for rule in new}
    strongest = max(new, key=lambda rule: strength[rule.id], default=None)
    if strongest is not None and strength[strongest.id] > 0:
        return because(strongest, facts)
    for one in after.ranked:
        if one.option.approach == left and one.option.blockers:
            short = one.option.blockers[0]
            return f"{short.what}: needs {short.needs}, has {short.has}"
    for one in before.ranked:
        if one.option.approach == to and one.option.blockers:
            return f"{one.option.blockers[0].what} is no longer short"
    return "a row that held it no longer applies"


def _pull(rule: Rule, to: Approach | None, left: Approach | None) -> float:
    gained = rule.weights.get(to, 0.0) if to else 0.0
    return gained - (rule.weights.get(left, 0.0) if left else 0.0)
