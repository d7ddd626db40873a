"""Texts of several sentences: stories, diaries, letters, descriptions, reports and dialogues."""

from random import Random

from advisor.rehearsal import vocabulary as words
from advisor.rehearsal.clauses import PAST, action
from advisor.rehearsal.grammar import (
    SPEAKER,
    Referent,
    in_words,
    listing,
    plural,
    sentence,
    they,
    with_article,
)
from advisor.rehearsal.phrases import animal, maybe, person_name, place_phrase, quality, town
from advisor.rehearsal.sentences import Cast, fact, happening, spoken

_LOSSES = (
    "lost the {thing} {where}", "forgot the {thing} {where}", "broke the {thing} by accident",
    "could not find the {thing} any more", "had to sell the {thing}", "dropped the {thing} {where}",
)  # fmt: skip
_ENDINGS = (
    "They shared {food} and went home together.",
    "From that day on, {hero} and {friend} were friends.",
    "{hero} kept the {thing} for many years.", "{friend} laughed, and {hero} laughed too.",
    "In {town}, people still tell this story.", "{hero} never forgot what {friend} had done.",
    "That night, {hero} slept very well.", "The {thing} was never lost again.",
)  # fmt: skip
_WORKS = (("build", "building"), ("paint", "building"), ("clean", "thing"), ("repair", "vehicle"),
          ("plant", "plant"), ("bake", "food"), ("write", "text"), ("open", "container"),
          ("sew", "clothes"), ("find", "thing"))  # fmt: skip


def story(rng: Random) -> str:
    """Return a short story: someone wants a thing, loses it, and is helped."""
    hero, friend = person_name(rng), rng.choice((person_name, animal))(rng)
    cast = Cast(hero=hero, others=(friend,))
    names = _props(rng, hero, friend)
    opening = [_opening(rng, hero, names), _wish(rng, hero, names)]
    middle = [happening(rng, cast) for _ in range(rng.randint(1, 5))]
    turn = [_loss(rng, hero, names), *(happening(rng, cast) for _ in range(rng.randint(0, 3)))]
    rescue = [_rescue(rng, friend, hero, names), rng.choice(_ENDINGS).format(**names)]
    closing = [sentence(rescue[1])]
    return _paragraphs(rng, [*opening, *middle], [*turn, rescue[0], *closing])


def _props(rng: Random, hero: Referent, friend: Referent) -> dict[str, str]:
    thing = rng.choice(words.NOUNS["thing"])
    return {
        "hero": hero.name,
        "friend": friend.name,
        "thing": thing if maybe(rng, 0.4) else f"{quality(rng, 'thing')} {thing}",
        "town": town(rng),
        "where": place_phrase(rng),
        "food": with_article(rng.choice(words.NOUNS["food"])),
    }


def _opening(rng: Random, hero: Referent, names: dict[str, str]) -> str:
    role, trait = rng.choice(words.ROLES), rng.choice(words.CHARACTERS)
    start = rng.choice(("Once there was", "Long ago there lived", "In {town} there was"))
    who = with_article(f"{trait} {role}")
    home = "" if "{town}" in start else f" in {names['town']}"
    return f"{start.format(**names)} {who} named {hero.name}{home}."


def _wish(rng: Random, hero: Referent, names: dict[str, str]) -> str:
    thing, subject = with_article(names["thing"]), hero.subject.capitalize()
    years = in_words(rng.randint(2, 30))
    ways = (
        f"{subject} had {thing} that everyone liked.",
        f"For {years} years, {hero.subject} had wanted {thing}, and now {hero.subject} had one.",
        f"One day {hero.name} found {thing} {place_phrase(rng)}.",
        f"{hero.possessive.capitalize()} {rng.choice(words.KIN)} gave {hero.object} {thing}.",
    )
    return rng.choice(ways)


def _loss(rng: Random, hero: Referent, names: dict[str, str]) -> str:
    start = rng.choice(("But", "Then", "One morning,", "Sadly,", "On the way home,"))
    feeling = rng.choice(("sad", "angry", "worried", "very sad", "tired and sad"))
    return f"{start} {hero.name} {rng.choice(_LOSSES).format(**names)} and was {feeling}."


def _rescue(rng: Random, friend: Referent, hero: Referent, names: dict[str, str]) -> str:
    act = rng.choice(("found", "brought back", "repaired", "came back with"))
    deed = f"{friend.name} {act} the {names['thing']}"
    kindness = f"because {hero.name} had always been kind"
    others = (f"to help {hero.object}", "without asking for anything")
    reason = rng.choice((kindness, *others, f"on {rng.choice(words.DAYS)}"))
    return sentence(f"{rng.choice(('at last, ', 'in the end, ', 'luckily, ', ''))}{deed} {reason}")


def _paragraphs(rng: Random, *groups: list[str]) -> str:
    joint = "\n\n" if maybe(rng, 0.5) else " "
    return joint.join(" ".join(group) for group in groups)


def scene(rng: Random) -> str:
    """Return a run of events without a plot."""
    hero = rng.choice((person_name, animal))(rng)
    pair = they(f"{person_name(rng).name} and {person_name(rng).name}")
    cast = Cast(hero=hero, others=(person_name(rng), pair) if maybe(rng, 0.4) else ())
    first = action(rng, hero, cast.others).say(PAST)
    return " ".join([sentence(first), *(happening(rng, cast) for _ in range(rng.randint(3, 9)))])


def diary(rng: Random) -> str:
    """Return a dated diary entry in the first person."""
    cast = Cast(hero=SPEAKER, others=(person_name(rng), animal(rng)))
    date = f"{rng.choice(words.DAYS)}, {rng.choice(words.MONTHS)} {rng.randint(1, 28)}"
    body = " ".join(happening(rng, cast) for _ in range(rng.randint(3, 7)))
    return f"{date}\n\n{body}"


def letter(rng: Random) -> str:
    """Return a short letter with greeting and name."""
    writer, reader = person_name(rng), person_name(rng)
    greeting = rng.choice(("Dear", "Hello", "Dear"))
    body = " ".join(spoken(rng) for _ in range(rng.randint(3, 7)))
    close = rng.choice(("Best wishes,", "See you soon,", "Yours,", "Many greetings,"))
    return f"{greeting} {reader.name},\n\n{body}\n\n{close}\n{writer.name}"


def dialogue(rng: Random) -> str:
    """Return a talk between two people, a line each."""
    first, second = person_name(rng), person_name(rng)
    lines = []
    for turn in range(rng.randint(3, 8)):
        name = (first, second)[turn % 2].name
        said = [spoken(rng) for _ in range(rng.randint(1, 2))]
        reaction = rng.choice(("Yes. ", "No. ", "Really? ", "I see. ", "Good! ", "", "", "", ""))
        lines.append(f"{name}: {reaction if turn else ''}{' '.join(said)}")
    return "\n".join(lines)


def thing_description(rng: Random, noun: str | None = None) -> str:
    """Return what a thing looks like, what it is made of and who uses it."""
    noun = noun or rng.choice(words.NOUNS["thing"] + words.NOUNS["building"])
    colour, size, state = (rng.choice(g) for g in (words.COLOURS, words.SIZES, words.STATES))
    length, owner = rng.randint(2, 90), person_name(rng)
    lines = [
        f"This is {with_article(f'{size} {noun}')}.",
        f"It is {colour} and {state}.",
        f"It is made of {rng.choice(words.MATERIALS)} and {rng.choice(words.MATERIALS)}.",
        f"It is about {length} cm long and weighs {rng.randint(2, 40) * 50} grams.",
        f"{owner.name} keeps it {place_phrase(rng)}.",
        f"{owner.subject.capitalize()} bought it for {rng.randint(2, 95)} euros.",
        f"The {noun} is {in_words(rng.randint(2, 99))} years old.",
    ]
    chosen = sorted(rng.sample(range(1, len(lines)), rng.randint(2, 5)))
    return " ".join([lines[0], *(lines[i] for i in chosen)])


def place_description(rng: Random) -> str:
    """Return a town with its people, its sights and its weather."""
    name, founder = town(rng), person_name(rng)
    sights = rng.sample(words.NOUNS["place"], 3)
    people = rng.randint(3, 400) * 100
    looks = [with_article(f"{rng.choice(words.PLACE_STATES)} {sight}") for sight in sights]
    kind = with_article(f"{rng.choice(words.PLACE_STATES)} town")
    goods = f"{rng.choice(words.MATERIALS)} {plural(rng.choice(words.NOUNS['thing']))}"
    builder = f"{founder.name} the {rng.choice(words.CHARACTERS)}"
    lines = [
        f"{name} is {kind} with {people:,} people.",
        f"It has {listing(looks)}.",
        f"Most people there make {goods}.",
        f"The {sights[0]} was built in {rng.randint(1400, 1990)} by {builder}.",
        f"From {name} to {town(rng)} it is {rng.randint(3, 180)} kilometres.",
        *(fact(rng) for _ in range(rng.randint(0, 3))),
    ]
    return " ".join(lines)


def weather_report(rng: Random) -> str:
    """Return the weather of a few towns over the coming days."""
    lines = []
    for day in rng.sample(words.DAYS, rng.randint(2, 4)):
        sky = rng.choice(("sunny", "cloudy", "rainy", "foggy", "windy", "snowy", "dry", "stormy"))
        low = rng.randint(-12, 22)
        high = low + rng.randint(2, 13)
        wind = rng.choice(("north", "south", "east", "west"))
        lines.append(
            f"On {day} it will be {sky} in {town(rng)}, with {low} to {high} degrees and "
            f"{rng.choice(('a weak', 'a strong', 'a cold', 'a warm'))} wind from the {wind}."
        )
    return " ".join(lines)


def how_to(rng: Random) -> str:
    """Return numbered steps of some small work."""
    work, group = rng.choice(_WORKS)
    goal = f"{work} {with_article(rng.choice(words.NOUNS[group]))}"
    steps = [_step(rng) for _ in range(rng.randint(3, 6))]
    numbered = "\n".join(f"{i}. {step}" for i, step in enumerate(steps, 1))
    return f"How to {goal}:\n{numbered}"


def _step(rng: Random) -> str:
    verbs, group = rng.choice(words.OBJECT_FRAMES)
    order = f"{rng.choice(verbs)} the {quality(rng, group)} {rng.choice(words.NOUNS[group])}"
    extra = rng.choice((f" for {rng.randint(2, 50)} minutes", f" {rng.choice(words.MANNERS)}",
                        f" {place_phrase(rng)}", "", ""))  # fmt: skip
    return sentence(order + extra)


def gathering(rng: Random) -> str:
    """Return plain facts in the present."""
    return " ".join(fact(rng) for _ in range(rng.randint(4, 10)))
