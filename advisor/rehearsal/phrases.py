"""The people, animals, things and places that sentences of the rehearsal corpus speak of."""

from random import Random

from advisor.rehearsal import vocabulary as words
from advisor.rehearsal.grammar import (
    Referent,
    he,
    in_words,
    it,
    plural,
    she,
    they,
    with_article,
)

_DETERMINERS = ("the", "the", "the", "the", "a", "a", "a", "own", "many", "many")


def maybe(rng: Random, share: float) -> bool:
    """Return True in that share of the calls."""
    return rng.random() < share


def person_name(rng: Random) -> Referent:
    """Return a person known by a first name."""
    return she(rng.choice(words.WOMEN)) if maybe(rng, 0.5) else he(rng.choice(words.MEN))


def town(rng: Random) -> str:
    """Return an invented town's name."""
    return rng.choice(words.TOWN_HEADS) + rng.choice(words.TOWN_TAILS)


def someone(rng: Random) -> Referent:
    """Return a person by name or role, or two people."""
    if maybe(rng, 0.33):
        return person_name(rng)
    role = rng.choice(words.ROLES)
    if maybe(rng, 0.2):
        return they(f"the {rng.choice(words.CHARACTERS)} {plural(role)}")
    maker = she if role in {"queen", "girl"} or maybe(rng, 0.5) else he
    maker = he if role in {"king", "boy", "postman"} else maker
    trait = f"{rng.choice(words.CHARACTERS)} " if maybe(rng, 0.4) else ""
    return maker(f"the {trait}{role}")


def animal(rng: Random) -> Referent:
    """Return an animal that was spoken of before."""
    looks = rng.choice(words.COLOURS + words.SIZES[:4] + ("old", "young", "clever", "wild"))
    kind = rng.choice(words.ANIMALS)
    return it(f"the {looks} {kind}" if maybe(rng, 0.5) else f"the {kind}")


def quality(rng: Random, group: str) -> str:
    """Return an adjective that suits nouns of that group."""
    if group == "place":
        return rng.choice(words.PLACE_STATES)
    if group == "idea":
        return rng.choice(("new", "old", "strange", "simple", "difficult", "good", "long", "funny"))
    if group in {"food", "plant"}:
        return rng.choice(("fresh", "ripe", "small", "big", "sweet", "fine", *words.COLOURS[:4]))
    return rng.choice(rng.choice((words.COLOURS, words.SIZES, words.STATES)))


def noun_phrase(rng: Random, group: str, owner: Referent) -> str:
    """Return an object from a noun group: with article, owner or count, often an adjective."""
    noun = rng.choice(words.NOUNS[group])
    described = f"{quality(rng, group)} {noun}" if maybe(rng, 0.45) else noun
    kind = rng.choice(_DETERMINERS)
    if kind == "the" or group == "place":
        return f"the {described}"
    if kind == "a":
        return with_article(described)
    if kind == "own":
        return f"{owner.possessive} {described}"
    return f"{counted(rng)} {plural(described)}"


def counted(rng: Random) -> str:
    """Return a number above one in words or digits, or a vague amount."""
    number = rng.randint(2, 20)
    return rng.choice((in_words(number), str(number), "several", "many", "a few", "all the"))


def place_phrase(rng: Random) -> str:
    """Return where something goes on, such as `near the old mill`."""
    name = rng.choice(words.NOUNS["place"])
    where = f"{rng.choice(words.PLACE_STATES)} {name}" if maybe(rng, 0.25) else name
    return f"{rng.choice(('near', 'behind', 'not far from', 'next to', 'in front of'))} the {where}"
