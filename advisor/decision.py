"""Answers, estimated options and tables give ranked options, with reasons and conflicts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import compress
from typing import NamedTuple

from advisor.options import Option, Project, build_options
from advisor.tables import APPROACHES, Approach, Override, Rule, RuleBook, RuleSet
from advisor.units import DataSize, show_count, show_hours

# Where rows weigh the same, the approach that takes least goes first.
_LEAST_FIRST = tuple(reversed(APPROACHES))


class Conflict(NamedTuple):
    """Rows that pull different ways, what resolved it, and why."""

    rules: tuple[str, ...]
    resolved_by: str
    why: str


class Ranked(NamedTuple):
    """One option with its score and the rows that speak for it."""

    option: Option
    score: float
    reasons: tuple[str, ...]


class Firing(NamedTuple):
    """Which rows of a book fire on some facts; `testing` tells where the rows of a fact stand."""

    book: tuple[Rule, ...]
    facts: Mapping[str, object]
    fits: tuple[bool, ...]
    testing: Mapping[str, Sequence[int]]

    @property
    def fired(self) -> tuple[Rule, ...]:
        """Return the rows that fire, in the order of the book."""
        return tuple(compress(self.book, self.fits))

    def on(self, facts: Mapping[str, object]) -> "Firing":
        """Return which rows fire on other facts; only rows that test a changed one are asked."""
        fits = list(self.fits)
        for name, value in facts.items():
            if value is not self.facts[name]:
                for index in self.testing.get(name, ()):
                    fits[index] = self.book[index].fits(facts)
        return self._replace(facts=facts, fits=tuple(fits))


class Decision(NamedTuple):
    """The ranked options, the rows that fired and the conflicts among them."""

    ranked: tuple[Ranked, ...]
    fired: tuple[Rule, ...]
    conflicts: tuple[Conflict, ...]

    @property
    def best(self) -> Ranked | None:
        """Return the first feasible option, or None where there is none."""
        return next((one for one in self.ranked if one.option.feasible), None)


def decided(project: Project, *, rule_set: RuleSet = "all") -> Decision:
    """Build every option of a project and rank them.

    Raises:
        AdvisorError: `answers_invalid` where the GPU or the provider is not in the catalogue.
    """
    options = build_options(project)
    return decide(project.facts, options, rules=project.rules, rule_set=rule_set)


def decide(
    facts: Mapping[str, object], options: Sequence[Option], *, rules: RuleBook, rule_set: RuleSet
) -> Decision:
    """Rank the options by the rows that fire.

    Rows that test the same answers are one argument, which counts once at its strongest for and
    against an approach, however many articles make it. Rows that a fired override sets aside do
    not count. Feasible options come first. With `documents` only the articles' tables speak.
    """
    fired = firing(facts, rules=rules, rule_set=rule_set).fired
    return _decided(options, fired, _overrides_that_apply(fired, rules))


def firing(facts: Mapping[str, object], *, rules: RuleBook, rule_set: RuleSet) -> Firing:
    """Return which rows fire."""
    book = rules.of(rule_set)
    testing: dict[str, list[int]] = {}
    for index, rule in enumerate(book):
        for name in rule.tested:
            testing.setdefault(name, []).append(index)
    fits = tuple(rule.fits(facts) for rule in book)
    return Firing(book=book, facts=facts, fits=fits, testing=testing)


def best_option(
    fired: Sequence[Rule], option_of: Callable[[Approach], Option], *, rules: RuleBook
) -> Option | None:
    """Return the option that `decide` would put first, building no more of them than that takes."""
    scores = _scores(_counted(fired, _overrides_that_apply(fired, rules)))
    in_order = sorted(_LEAST_FIRST, key=lambda approach: -scores[approach])
    options = (option_of(approach) for approach in in_order)
    return next((option for option in options if option.feasible), None)


def articles_alone(decision: Decision) -> Decision:
    """Return what the articles' rows among those that fired decide on the same options."""
    options = [one.option for one in decision.ranked]
    return _decided(options, [rule for rule in decision.fired if rule.set == "documents"], ())


def _decided(
    options: Iterable[Option], fired: Sequence[Rule], overrides: Sequence[Override]
) -> Decision:
    counted = _counted(fired, overrides)
    ranked = _rank(options, counted)
    named = [_conflict_of(override, fired) for override in overrides]
    conflicts = (*named, *_outweighed(ranked, counted))
    return Decision(ranked=ranked, fired=tuple(fired), conflicts=conflicts)


def _counted(fired: Iterable[Rule], overrides: Iterable[Override]) -> list[Rule]:
    set_aside = frozenset[str]().union(*(override.loses for override in overrides))
    return [rule for rule in fired if rule.id not in set_aside]


def because(rule: Rule, facts: Mapping[str, object]) -> str:
    """Return the row's reason with the project's own answers in it."""
    return rule.because.format_map({name: _shown(name, facts[name]) for name in rule.tested})


def _shown(name: str, value: object) -> str:
    if name == "deadline" and isinstance(value, float):
        return show_hours(value)
    if isinstance(value, DataSize):
        return str(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return show_count(value)
    return str(value).replace("_", " ")


def _overrides_that_apply(fired: Iterable[Rule], rules: RuleBook) -> tuple[Override, ...]:
    ids = {rule.id for rule in fired}
    return tuple(one for one in rules.overrides if one.loses & ids and one.wins & ids)


def _rank(options: Iterable[Option], counted: Sequence[Rule]) -> tuple[Ranked, ...]:
    scores = _scores(counted)
    ranked = [
        Ranked(option, scores[option.approach], _speaking_for(option.approach, counted))
        for option in options
    ]
    ranked.sort(
        key=lambda one: (
            not one.option.feasible,
            -one.score,
            _LEAST_FIRST.index(one.option.approach),
        )
    )
    return tuple(ranked)


def _scores(counted: Iterable[Rule]) -> dict[Approach, float]:
    """Return what the rows sum to, each argument at its strongest for and against an approach."""
    strongest: dict[tuple[frozenset[str], Approach, bool], float] = {}
    for rule in counted:
        argument = _argument(rule.tested)
        for approach, weight in rule.weights.items():
            key = (argument, approach, weight > 0)
            if abs(weight) > abs(strongest.get(key, 0.0)):
                strongest[key] = weight
    scores = dict.fromkeys(APPROACHES, 0.0)
    for (_, approach, _), weight in strongest.items():
        scores[approach] += weight
    return {approach: round(score, 3) for approach, score in scores.items()}


def _speaking_for(approach: Approach, counted: Iterable[Rule]) -> tuple[str, ...]:
    return tuple(rule.id for rule in counted if rule.weights.get(approach, 0.0) > 0)


@cache
def _argument(tested: frozenset[str]) -> frozenset[str]:
    """Return what a row argues from; the kind of model only narrows where it applies."""
    return tested - {"model_kind"}


def _conflict_of(override: Override, fired: Sequence[Rule]) -> Conflict:
    both = override.loses | override.wins
    return Conflict(
        rules=tuple(rule.id for rule in fired if rule.id in both),
        resolved_by=override.id,
        why=f"{override.why} ({override.source})",
    )


def _outweighed(ranked: Sequence[Ranked], counted: Sequence[Rule]) -> tuple[Conflict, ...]:
    """Name the strongest row for another approach that the sum of weights left behind."""
    best = next((one for one in ranked if one.option.feasible), None)
    if best is None or not best.reasons:
        return ()
    chosen = best.option.approach
    rivals = [rule for rule in counted if rule.favours != chosen and chosen not in rule.weights]
    if not rivals:
        return ()
    rival = max(rivals, key=lambda rule: rule.weights[rule.favours])
    behind = next((one for one in ranked if one.option.approach == rival.favours), None)
    strongest = max(
        (rule for rule in counted if rule.id in best.reasons),
        key=lambda rule: rule.weights[chosen],
    )
    if behind is None or behind.score > best.score:
        return ()
    return (
        Conflict(
            rules=(rival.id, strongest.id),
            resolved_by="weight",
            why=f"the rows sum to {best.score:g} for {chosen}"
            f" and {behind.score:g} for {rival.favours}",
        ),
    )
