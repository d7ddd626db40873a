"""Clauses that agree: someone does something somewhere, in any tense, denied or asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from advisor.rehearsal import vocabulary as words
from advisor.rehearsal.grammar import Referent, Verb, verb
from advisor.rehearsal.phrases import animal, maybe, noun_phrase, place_phrase, someone

PAST, PRESENT, FUTURE = "past", "present", "future"
PERFECT, PLUPERFECT = "perfect", "pluperfect"
GOING_ON, WENT_ON = "going on", "went on"
MODALS = ("can", "could", "should", "must", "might", "would")
_BE = Verb(base="be", third="is", past="was", participle="been", ing="being")
_HAVE = {PERFECT: ("have", "has"), PLUPERFECT: ("had", "had")}
_SHORT_FORMS = (
    ("will not", "won't"), ("can not", "can't"), ("did not", "didn't"), ("do not", "don't"),
    ("does not", "doesn't"), ("is not", "isn't"), ("was not", "wasn't"), ("are not", "aren't"),
    ("I am ", "I'm "), ("I have ", "I've "), ("I will ", "I'll "), ("we will ", "we'll "),
    ("has not", "hasn't"), ("could not", "couldn't"), ("you are ", "you're "),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """Who does what; without a verb, what someone is like. Tense comes when it is said."""

    actor: Referent
    rest: str
    verb: Verb | None = None

    @property
    def can_go_on(self) -> bool:
        """Return whether `is doing` makes sense: one is never `wanting` or `liking`."""
        return self.verb is not None and self.verb.base not in words.STATIVE_VERBS

    def say(self, tense: str, *, negative: bool = False) -> str:
        """Return the clause as a statement, without a full stop."""
        helper, main = self._forms(tense)
        if negative:
            middle = _joined(helper, "not", main)
        elif self.verb and tense in {PAST, PRESENT}:
            middle = self._bare_form(self.verb, tense)
        else:
            middle = _joined(helper, main)
        return _joined(self.actor.name, middle, self.rest)

    def ask(self, tense: str, question_word: str = "") -> str:
        """Return the clause as a question, without a question mark."""
        helper, main = self._forms(tense)
        return _joined(question_word, helper, self.actor.name, main, self.rest)

    def _bare_form(self, action: Verb, tense: str) -> str:
        if tense == PAST:
            return action.past
        return action.base if self.actor.takes_base else action.third

    def _forms(self, tense: str) -> tuple[str, str]:
        action = self.verb or _BE
        if tense in {GOING_ON, WENT_ON}:
            return self._be(past=tense == WENT_ON), action.ing
        if tense in _HAVE:
            base, third = _HAVE[tense]
            return base if self.actor.takes_base else third, action.participle
        if tense in {PAST, PRESENT}:
            return self._do_or_be(past=tense == PAST)
        return "will" if tense == FUTURE else tense, action.base

    def _do_or_be(self, *, past: bool) -> tuple[str, str]:
        if not self.verb:
            return self._be(past=past), ""
        if past:
            return "did", self.verb.base
        return "do" if self.actor.takes_base else "does", self.verb.base

    def _be(self, *, past: bool) -> str:
        if self.actor.subject == "I":
            return "was" if past else "am"
        singular, many = ("was", "were") if past else ("is", "are")
        return many if self.actor.plural else singular


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def shortened(text: str) -> str:
    """Return spoken English: `don't` for `do not`."""
    for full, short in _SHORT_FORMS:
        text = text.replace(full, short)
    return text


def action(rng: Random, actor: Referent, others: Sequence[Referent] = ()) -> Clause:
    """Return something that the actor does, is or feels, perhaps with one of the others."""
    if actor.animal:
        return _animal_action(rng, actor, others)
    return rng.choices(_ACTIONS, _ACTION_SHARES)[0](rng, actor, others)


def _with_object(rng: Random, actor: Referent, _others: Sequence[Referent]) -> Clause:
    verbs, group = rng.choice(words.OBJECT_FRAMES)
    rest = noun_phrase(rng, group, actor)
    return Clause(actor=actor, verb=verb(rng.choice(verbs)), rest=rest + _tail(rng))


def _with_person(rng: Random, actor: Referent, others: Sequence[Referent]) -> Clause:
    other = _other(rng, actor, others)
    return Clause(actor=actor, verb=verb(rng.choice(words.PERSON_VERBS)), rest=other + _tail(rng))


def _giving(rng: Random, actor: Referent, others: Sequence[Referent]) -> Clause:
    group = rng.choice(("thing", "text", "food", "clothes", "thing"))
    gift = noun_phrase(rng, group, actor)
    other = _other(rng, actor, others)
    rest = f"{other} {gift}" if maybe(rng, 0.5) else f"{gift} to {other}"
    return Clause(actor=actor, verb=verb(rng.choice(words.GIVE_VERBS[:6])), rest=rest)


def _moving(rng: Random, actor: Referent, _others: Sequence[Referent]) -> Clause:
    goal = rng.choice(words.NOUNS["place"])
    way = rng.choice(("to", "to", "to", "past", "towards", "from"))
    rest = f"{way} the {goal}{_tail(rng)}"
    return Clause(actor=actor, verb=verb(rng.choice(words.MOVE_VERBS)), rest=rest)


def _resting(rng: Random, actor: Referent, _others: Sequence[Referent]) -> Clause:
    rest = place_phrase(rng) if maybe(rng, 0.6) else _tail(rng).strip()
    return Clause(actor=actor, verb=verb(rng.choice(words.REST_VERBS)), rest=rest)


def _feeling(rng: Random, actor: Referent, _others: Sequence[Referent]) -> Clause:
    degree = rng.choice(("", "", "very ", "a little ", "quite ", "too "))
    feeling = rng.choice(words.FEELINGS if maybe(rng, 0.7) else words.CHARACTERS)
    return Clause(actor=actor, rest=degree + feeling)


def _drinking(rng: Random, actor: Referent, _others: Sequence[Referent]) -> Clause:
    vessel = rng.choice(("a cup of", "a glass of", "a bottle of", "some", "too much", "a little"))
    act = verb(rng.choice(("drink", "buy", "pour", "bring", "want", "spill")))
    return Clause(actor=actor, verb=act, rest=f"{vessel} {rng.choice(words.DRINKS)}")


_ACTIONS = (_with_object, _with_person, _giving, _moving, _resting, _feeling, _drinking)
_ACTION_SHARES = (8, 3, 2, 3, 3, 2, 1)


def _animal_action(rng: Random, actor: Referent, others: Sequence[Referent]) -> Clause:
    kind = rng.choice(("rest", "chase", "eat"))
    if kind == "rest":
        where = place_phrase(rng)
        return Clause(actor=actor, verb=verb(rng.choice(words.ANIMAL_VERBS)), rest=where)
    if kind == "chase":
        prey = rng.choice(others).object if others and maybe(rng, 0.4) else animal(rng).name
        return Clause(actor=actor, verb=verb(rng.choice(words.CHASE_VERBS)), rest=prey)
    act = verb(rng.choice(("eat", "steal", "find", "smell", "carry", "drop", "hide")))
    return Clause(actor=actor, verb=act, rest=noun_phrase(rng, "food", actor))


def _other(rng: Random, actor: Referent, others: Sequence[Referent]) -> str:
    if others and maybe(rng, 0.6):
        return rng.choice(others).object
    if maybe(rng, 0.4):
        return f"{actor.possessive} {rng.choice(words.KIN)}"
    return someone(rng).name


def _tail(rng: Random) -> str:
    if maybe(rng, 0.17):
        return f" {rng.choice(words.MANNERS)}"
    return f" {place_phrase(rng)}" if maybe(rng, 0.2) else ""
