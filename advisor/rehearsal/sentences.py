"""Whole sentences of many shapes: joined, reported, relative, passive, spoken, asked."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from advisor.rehearsal import vocabulary as words
from advisor.rehearsal.clauses import (
    FUTURE,
    GOING_ON,
    MODALS,
    PAST,
    PERFECT,
    PLUPERFECT,
    PRESENT,
    WENT_ON,
    Clause,
    action,
    shortened,
)
from advisor.rehearsal.grammar import (
    LISTENER,
    SPEAKER,
    WE,
    Referent,
    plural,
    sentence,
    verb,
    with_article,
)
from advisor.rehearsal.phrases import (
    animal,
    counted,
    maybe,
    noun_phrase,
    place_phrase,
    quality,
    someone,
)

_OPENERS = ("then", "later", "after that", "soon", "at last", "suddenly", "meanwhile", "in the end")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cast:
    """The hero of a passage and whoever else is there."""

    hero: Referent
    others: tuple[Referent, ...] = ()

    def called(self, rng: Random) -> Referent:
        """Return the hero by name or by pronoun."""
        if maybe(rng, 0.6):
            return replace(self.hero, name=self.hero.subject)
        return self.hero

    def deed(self, rng: Random) -> Clause:
        """Return something that the hero does, by name or by pronoun."""
        return action(rng, self.called(rng), self.others)


def happening(rng: Random, cast: Cast) -> str:
    """Return one sentence in the past about the cast."""
    return sentence(rng.choices(_SHAPES, _SHARES)[0](rng, cast))


def spoken(rng: Random) -> str:
    """Return one sentence as people say it, with `I`, `you` and `we`."""
    clause = action(rng, rng.choice((SPEAKER, SPEAKER, LISTENER, WE)))
    tense = rng.choice(_spoken_tenses(clause))
    if maybe(rng, 0.2):
        return sentence(clause.ask(tense, rng.choice(("", "", "why", "when"))), end="?")
    return sentence(shortened(clause.say(tense, negative=maybe(rng, 0.2))))


def fact(rng: Random) -> str:
    """Return one sentence in the present that holds in general."""
    actor = someone(rng) if maybe(rng, 0.6) else animal(rng)
    said = action(rng, actor).say(PRESENT, negative=maybe(rng, 0.15))
    return sentence(f"{said} {rng.choice(words.NOW_TIMES)}" if maybe(rng, 0.5) else said)


def _spoken_tenses(clause: Clause) -> tuple[str, ...]:
    ongoing = (GOING_ON, PERFECT) if clause.can_go_on else ()
    return (PAST, PRESENT, FUTURE, *MODALS, *ongoing)


def _plain(rng: Random, cast: Cast) -> str:
    return cast.deed(rng).say(PAST, negative=maybe(rng, 0.12))


def _timed(rng: Random, cast: Cast) -> str:
    return f"{rng.choice(words.PAST_TIMES)}, {cast.deed(rng).say(PAST)}"


def _opened(rng: Random, cast: Cast) -> str:
    return f"{rng.choice(_OPENERS)}, {cast.deed(rng).say(PAST)}"


def _two_deeds(rng: Random, cast: Cast) -> str:
    first = cast.deed(rng)
    silent = replace(first.actor, name="")
    second = action(rng, silent, cast.others)
    return f"{first.say(PAST)} and {second.say(PAST)}"


def _joined(rng: Random, cast: Cast) -> str:
    joint = rng.choice((", but", ", so", " because", " although", " before", " after", " until"))
    tense = PLUPERFECT if joint in {" because", " after"} and maybe(rng, 0.5) else PAST
    second = action(rng, _counterpart(rng, cast), (cast.hero,))
    return f"{cast.deed(rng).say(PAST)}{joint} {second.say(tense)}"


def _while(rng: Random, cast: Cast) -> str:
    other = action(rng, _counterpart(rng, cast), (cast.hero,))
    background = other.say(WENT_ON if other.can_go_on else PAST)
    return f"{rng.choice(('when', 'while'))} {background}, {cast.deed(rng).say(PAST)}"


def _counterpart(rng: Random, cast: Cast) -> Referent:
    if cast.others and maybe(rng, 0.6):
        return rng.choice(cast.others)
    return animal(rng) if maybe(rng, 0.3) else someone(rng)


def _weather(rng: Random, cast: Cast) -> str:
    weather = rng.choice(words.WEATHER)
    joint = rng.choice((", so", ", but", " when"))
    return f"{weather}{joint} {cast.deed(rng).say(PAST)}"


def _speech(rng: Random, cast: Cast) -> str:
    said = spoken(rng)
    quote = said[:-1] + "," if said.endswith(".") else said
    speaker = rng.choice((cast.hero, *cast.others)).name
    manner = "asked" if quote.endswith("?") else rng.choice(("said", "whispered", "replied"))
    return f'"{quote}" {manner} {speaker}'


def _thought(rng: Random, cast: Cast) -> str:
    content = action(rng, _counterpart(rng, cast), (cast.hero,))
    mind = Clause(actor=cast.called(rng), verb=verb(rng.choice(words.MIND_VERBS)), rest="")
    said = content.say(rng.choice((PAST, PLUPERFECT, "could", "would")))
    return f"{mind.say(PAST)} that {said}"


def _relative(rng: Random, cast: Cast) -> str:
    who = _counterpart(rng, cast)
    inner = action(rng, replace(who, name=""), (cast.hero,)).say(rng.choice((PAST, PLUPERFECT)))
    outer = action(rng, replace(who, name=""), (cast.hero,)).say(PAST)
    return f"{who.name}, {'which' if who.animal else 'who'} {inner}, {outer}"


def _purpose(rng: Random, cast: Cast) -> str:
    called = cast.called(rng)
    verbs, group = rng.choice(words.OBJECT_FRAMES)
    goal = rng.choice(words.NOUNS["place"])
    aim = f"{rng.choice(verbs)} {noun_phrase(rng, group, called)}"
    going = Clause(actor=called, verb=verb(rng.choice(words.MOVE_VERBS)), rest=f"to the {goal}")
    return f"{going.say(PAST)} to {aim}"


def _there(rng: Random, _cast: Cast) -> str:
    group = rng.choice(("thing", "building", "plant", "vehicle", "food"))
    described = f"{quality(rng, group)} {rng.choice(words.NOUNS[group])}"
    if maybe(rng, 0.5):
        return f"there was {with_article(described)} {place_phrase(rng)}"
    return f"there were {counted(rng)} {plural(described)} {place_phrase(rng)}"


def _passive(rng: Random, cast: Cast) -> str:
    verbs, group = rng.choice(words.OBJECT_FRAMES[:8])
    act = verb(rng.choice([word for word in verbs if word not in {"want", "need", "like"}]))
    noun = f"{quality(rng, group)} {rng.choice(words.NOUNS[group])}"
    agent = _counterpart(rng, cast).name
    return f"the {noun} was {act.participle} by {agent}"


def _wondering(rng: Random, cast: Cast) -> str:
    asked = sentence(cast.deed(rng).ask(PAST, rng.choice(("", "why", "where"))), end="?")
    return f"{asked} {rng.choice(('Nobody knew', 'Nobody could say', 'It was hard to tell'))}"


_SHAPES: tuple[Callable[[Random, Cast], str], ...] = (
    _plain, _timed, _opened, _two_deeds, _joined, _while, _weather, _speech, _thought, _relative,
    _purpose, _there, _passive, _wondering,
)  # fmt: skip
_SHARES = (6, 2, 3, 4, 5, 3, 2, 4, 3, 3, 3, 2, 1, 1)
