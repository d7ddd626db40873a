"""Tries other answers, question by question, and says which of them change the approach."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from advisor.answers import Answers, Group, Question, questions
from advisor.decision import Decision, Firing, because, best_option, firing
from advisor.explore.quantities import QUANTITIES, Quantity, roads, written
from advisor.options import Option, Project, build_option, facts_for_options
from advisor.tables import Approach, Rule, RuleBook, RuleSet

MOST_QUESTIONS = 5
# Below this the price moves less than the interval of an estimate.
LEAST_COST_FACTOR = 1.5
TRUTHS = ("true", "false")


class Flip(NamedTuple):
    """Another answer to one question that changes the recommended approach.

    `value` is the nearest that does; `still` is the nearest tried short of it that does not, empty
    where the question has no order. Both are written as a person would answer. `to` is None where
    nothing is feasible then.
    """

    question: str
    value: str
    still: str
    to: Approach | None
    why: str

    def change(self) -> dict[str, object]:
        """Return the changed answer, typed as a document of answers would have it."""
        if self.value in TRUTHS:
            return {self.question: self.value == "true"}
        quantity = QUANTITIES.get(self.question)
        return {self.question: int(self.value) if quantity and quantity.whole else self.value}


class Swept(NamedTuple):
    """What other answers to one question would do.

    `turning` is the share of the values tried that change the approach; `cost_factor` the dearest
    of the winning options over the cheapest, 1 where fewer than two have a price.
    """

    question: str
    tried: int
    flips: tuple[Flip, ...]
    turning: float
    cost_factor: float


class Asked(NamedTuple):
    """A question that is still open, and why to ask it."""

    question: str
    why: str


class _Trial(NamedTuple):
    """One other answer and what it leads to."""

    value: object
    approach: Approach | None
    cost: float | None


class _Setting(NamedTuple):
    """One question of one project, with the decision that its present answer leads to."""

    question: Question
    project: Project
    decision: Decision
    rule_set: RuleSet
    firing: Firing
    moves_options: bool
    waiting: tuple[Rule, ...]

    @property
    def approach(self) -> Approach | None:
        return self.decision.best.option.approach if self.decision.best else None

    @property
    def answered(self) -> object:
        return self.project.answers.facts()[self.question.name]

    def answering(self, value: object) -> Project:
        """Return the project with this other answer to the question."""
        return self.project.answering(_with_answer(self.project.answers, self.question, value))

    def trial(self, value: object) -> _Trial:
        """Return what another answer leads to."""
        other = self.answering(value)
        fired = self.firing.on(other.facts).fired
        best = best_option(fired, self._option_in(other), rules=other.rules)
        return _Trial(value=value, approach=best.approach if best else None, cost=_cost_of(best))

    def _option_in(self, other: Project) -> Callable[[Approach], Option]:
        if self.moves_options:
            return partial(build_option, other)
        return {one.option.approach: one.option for one in self.decision.ranked}.__getitem__


def sweep(project: Project, decision: Decision, *, rule_set: RuleSet = "all") -> Iterator[Swept]:
    """Yield for each question what its other answers would do; each costs some decisions.

    Every other choice of a question is tried. A quantity climbs and descends from its answer over
    the values at which a rule turns, until the approach changes; the edge is then searched to one
    part in a hundred. The reader may stop between two questions.
    """
    fires = firing(project.facts, rules=project.rules, rule_set=rule_set)
    moving = facts_for_options(project.rules)
    for question in questions():
        moves = question.name in moving
        waiting = tuple(_waiting_for(question.name, fires.book, project.facts))
        setting = _Setting(question, project, decision, rule_set, fires, moves, waiting)
        swept = _swept(setting) if moves or waiting else _untouched(setting)
        if swept.tried:
            yield swept


def next_questions(project: Project, swept: Iterable[Swept]) -> tuple[Asked, ...]:
    """Return the open questions whose answer could change approach or cost, most decisive first."""
    open_ones = [
        one
        for one in swept
        if project.answers.facts()[one.question] is None
        and (one.flips or one.cost_factor >= LEAST_COST_FACTOR)
    ]
    open_ones.sort(key=lambda one: (-one.turning, -one.cost_factor))
    return tuple(Asked(one.question, _why_ask(one)) for one in open_ones[:MOST_QUESTIONS])


def questions_that_apply(project: Project) -> frozenset[str]:
    """Return the questions on whose answer some row turns, as the other answers stand."""
    book = project.rules.of("all")
    return frozenset(
        question.name
        for question in questions()
        if any(True for _ in _waiting_for(question.name, book, project.facts))
    )


def _waiting_for(
    question: str, book: Iterable[Rule], facts: Mapping[str, object]
) -> Iterator[Rule]:
    """Yield the rows that turn on the answer to a question, all else being as it is."""
    for rule in book:
        if question in rule.tested and all(
            condition.holds(facts) for condition in rule.conditions if condition.fact != question
        ):
            yield rule


def _untouched(setting: _Setting) -> Swept:
    """Return what other answers do to a question on which neither rows nor options turn."""
    name, now = setting.question.name, setting.answered
    ways = roads(name, now, ()) if name in QUANTITIES else [tuple(_choices(setting))]
    tried = sum(len(way) for way in ways)
    return Swept(question=name, tried=tried, flips=(), turning=0.0, cost_factor=1.0)


def _swept(setting: _Setting) -> Swept:
    name = setting.question.name
    trials, found = (_of_quantity if name in QUANTITIES else _of_choices)(setting)
    costs = [trial.cost for trial in trials if trial.cost]
    turned = sum(trial.approach != setting.approach for trial in trials)
    return Swept(
        question=name,
        tried=len(trials),
        flips=tuple(found),
        turning=turned / len(trials) if trials else 0.0,
        cost_factor=max(costs) / min(costs) if costs else 1.0,
    )


def _of_choices(setting: _Setting) -> tuple[list[_Trial], list[Flip]]:
    trials = [setting.trial(value) for value in _choices(setting)]
    firsts = {trial.approach: trial for trial in reversed(trials)}
    firsts.pop(setting.approach, None)
    return trials, [_flip(setting, trial, None) for trial in reversed(firsts.values())]


def _choices(setting: _Setting) -> Iterator[object]:
    question, now = setting.question, setting.answered
    if question.name == "gpu":
        yield from (gpu for gpu in _known_gpus(setting.project.rules) if gpu != now)
    elif question.choices == TRUTHS:
        yield from (truth for truth in (True, False) if truth is not now)
    else:
        yield from (choice for choice in question.choices if choice != now)


def _known_gpus(rules: RuleBook) -> Iterator[str]:
    tried = " ".join(row.outcome["gpus_tried"] for row in rules.choices("hardware"))
    yield from dict.fromkeys(one.partition(":")[0] for one in tried.split())


def _of_quantity(setting: _Setting) -> tuple[list[_Trial], list[Flip]]:
    """Return the values tried, and the nearest flip in each direction.

    Where nothing was answered there is no nearest: each approach is given with its least value.
    """
    name, now = setting.question.name, setting.answered
    trials: list[_Trial] = []
    found: list[Flip] = []
    for road in roads(name, now, setting.waiting):
        before = None if now is None else QUANTITIES[name].amount(now)
        walked, flips_of_road = _walk(setting, road, before)
        trials += walked
        found += flips_of_road
    return trials, found


def _walk(
    setting: _Setting, road: Sequence[float], before: float | None
) -> tuple[list[_Trial], list[Flip]]:
    quantity = QUANTITIES[setting.question.name]
    now = setting.answered
    trials: list[_Trial] = []
    found: dict[Approach | None, Flip] = {}
    reached = setting.approach
    for amount in road:
        trial = setting.trial(quantity.value(amount, now))
        trials.append(trial)
        if trial.approach not in (reached, setting.approach) and trial.approach not in found:
            found[trial.approach] = _edge(setting, quantity, before, trial)
            if now is not None:
                break
        reached, before = trial.approach, amount
    return trials, list(found.values())


def _edge(setting: _Setting, quantity: Quantity, before: float | None, flipped: _Trial) -> Flip:
    """Return the flip with the value nearest to `before`, found by halving what lies between."""
    if before is None:
        return _flip(setting, flipped, None)
    held, known = setting.approach, setting.answered is not None
    still, turned = before, quantity.amount(flipped.value)
    while (middle := quantity.between(min(still, turned), max(still, turned))) is not None:
        trial = setting.trial(quantity.value(middle, flipped.value))
        if trial.approach != held if known else trial.approach == flipped.approach:
            turned, flipped = middle, trial
        else:
            still = middle
    return _flip(setting, flipped, quantity.value(still, flipped.value))


def _flip(setting: _Setting, trial: _Trial, still: object) -> Flip:
    return Flip(
        question=setting.question.name,
        value=written(trial.value, setting.question),
        still="" if still is None else written(still, setting.question),
        to=trial.approach,
        why=_why(setting, trial),
    )


def _with_answer(answers: Answers, question: Question, value: object) -> Answers:
    """Return the answers with another one to this question; the value is of the right type."""
    if question.group is None:
        return answers.model_copy(update={question.name: value})
    kept: Group = getattr(answers, question.group)
    changed = kept.model_copy(update={question.name: value})
    return answers.model_copy(update={question.group: changed})


def _cost_of(option: Option | None) -> float | None:
    cost = option.estimate.cost_usd if option and option.estimate else None
    return cost.mid if cost else None


def _why_ask(swept: Swept) -> str:
    if not swept.flips:
        return f"the cost differs up to {swept.cost_factor:.3g}-fold with the answer"
    ways = ", ".join(
        f"{flip.value} leads to {flip.to or 'nothing feasible'}" for flip in swept.flips
    )
    return f"{swept.turning:.0%} of the answers tried change the approach: {ways}"


def _why(setting: _Setting, trial: _Trial) -> str:
    """Return what turned it: the strongest row that fires newly, else what is short or no more."""
    before, other = setting.decision, setting.answering(trial.value)
    to, left = trial.approach, setting.approach
    fired = setting.firing.on(other.facts).fired
    known, now = ({rule.id for rule in rules} for rules in (before.fired, fired))
    new = [rule for rule in fired if rule.id not in known]
    strength = {rule.id: _pull(rule, to, left) for rule in new}
    strongest = max(new, key=lambda rule: strength[rule.id], default=None)
    if strongest is not None and strength[strongest.id] > 0:
        return because(strongest, other.facts)
    if left and (blockers := build_option(other, left).blockers):
        return f"{blockers[0].what}: needs {blockers[0].needs}, has {blockers[0].has}"
    for one in before.ranked:
        if one.option.approach == to and one.option.blockers:
            return f"{one.option.blockers[0].what} is no longer short"
    lost = [rule for rule in before.fired if rule.id not in now]
    strongest = max(lost, key=lambda rule: _pull(rule, left, to), default=None)
    if strongest is None:
        return "what was against it is gone"
    return f"no longer: {because(strongest, setting.project.facts)}"


def _pull(rule: Rule, to: Approach | None, left: Approach | None) -> float:
    gained = rule.weights.get(to, 0.0) if to else 0.0
    return gained - (rule.weights.get(left, 0.0) if left else 0.0)
