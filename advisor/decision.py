"""Answers, estimated options and tables give ranked options, with reasons and conflicts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from advisor.options import Option
from advisor.tables import APPROACHES, Override, Rule, RuleBook, RuleSet
from advisor.units import DataSize, show_count, show_hours


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


class Decision(NamedTuple):
    """The ranked options, the rows that fired and the conflicts among them."""

    ranked: tuple[Ranked, ...]
    fired: tuple[Rule, ...]
    conflicts: tuple[Conflict, ...]

    @property
    def best(self) -> Ranked | None:
        """Return the first feasible option, or None where there is none."""
        return next((one for one in self.ranked if one.option.feasible), None)


def decide(
    facts: Mapping[str, object], options: Sequence[Option], *, rules: RuleBook, rule_set: RuleSet
) -> Decision:
    """Rank the options by the rows that fire.

    Rows that test the same answers are one argument, which counts once at its strongest for and
    against an approach, however many articles make it. Rows that a fired override sets aside do
    not count. Feasible options come first. With `documents` only the articles' tables speak.
    """
    fired = tuple(rule for rule in rules.of(rule_set) if rule.fits(facts))
    return _decided(options, fired, _overrides_that_apply(fired, rules))


def articles_alone(decision: Decision) -> Decision:
    """Return what the articles' rows among those that fired decide on the same options."""
    options = [one.option for one in decision.ranked]
    return _decided(options, [rule for rule in decision.fired if rule.set == "documents"], ())


def _decided(
    options: Iterable[Option], fired: Sequence[Rule], overrides: Sequence[Override]
) -> Decision:
    set_aside = frozenset[str]().union(*(override.loses for override in overrides))
    counted = [rule for rule in fired if rule.id not in set_aside]
    ranked = _rank(options, counted)
    named = [_conflict_of(override, fired) for override in overrides]
    conflicts = (*named, *_outweighed(ranked, counted))
    return Decision(ranked=ranked, fired=tuple(fired), conflicts=conflicts)


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
    ranked = [_score(option, counted) for option in options]
    ranked.sort(
        key=lambda one: (
            not one.option.feasible,
            -one.score,
            APPROACHES.index(one.option.approach),
        )
    )
    return tuple(ranked)


def _score(option: Option, counted: Iterable[Rule]) -> Ranked:
    arguments: dict[frozenset[str], list[float]] = {}
    speaking = []
    for rule in counted:
        weight = rule.weights.get(option.approach, 0.0)
        arguments.setdefault(_argument(rule), []).append(weight)
        if weight > 0:
            speaking.append(rule.id)
    score = sum(max(0.0, *weights) + min(0.0, *weights) for weights in arguments.values())
    return Ranked(option=option, score=round(score, 3), reasons=tuple(speaking))


def _argument(rule: Rule) -> frozenset[str]:
    """Return what the row argues from; the kind of model only narrows where it applies."""
    return rule.tested - {"model_kind"}


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
