"""Lists, sums, tables and records: the drier text of the rehearsal corpus."""

import json
from collections.abc import Callable
from random import Random

from advisor.rehearsal import vocabulary as words
from advisor.rehearsal.grammar import in_words, listing, plural, sentence, with_article
from advisor.rehearsal.phrases import person_name, quality, town

Facts = dict[str, str | int | bool]


def person_facts(rng: Random) -> Facts:
    """Return what is known of an invented person."""
    return {
        "name": person_name(rng).name,
        "age": rng.randint(18, 90),
        "job": rng.choice(words.ROLES[:30]),
        "town": town(rng),
        "pet": rng.choice(words.ANIMALS),
        "colour": rng.choice(words.COLOURS),
    }


def order_facts(rng: Random) -> Facts:
    """Return an invented order."""
    item = rng.choice(words.NOUNS["thing"] + words.NOUNS["clothes"])
    return {
        "order": rng.randint(1000, 99999),
        "customer": person_name(rng).name,
        "item": f"{quality(rng, 'thing')} {item}",
        "amount": rng.randint(1, 60),
        "price": f"{rng.randint(1, 199)}.{rng.choice(('00', '50', '90', '99', '25'))}",
        "date": date(rng),
        "paid": rng.random() < 1 / 2,
    }


def date(rng: Random) -> str:
    """Return a date such as 2021-04-09."""
    return f"{rng.randint(1950, 2029)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def record(rng: Random) -> str:
    """Return one to four records in one of the usual notations."""
    facts = rng.choice((person_facts, order_facts))
    rows = [_some(rng, facts(rng)) for _ in range(rng.randint(1, 4))]
    return rng.choice(_NOTATIONS)(rows)


def _some(rng: Random, facts: Facts) -> Facts:
    kept = sorted(rng.sample(range(len(facts)), rng.randint(3, len(facts))))
    return {key: value for i, (key, value) in enumerate(facts.items()) if i in kept}


def as_json(facts: Facts) -> str:
    """Return the facts as one line of JSON."""
    return json.dumps(facts, ensure_ascii=False)


def as_lines(facts: Facts) -> str:
    """Return the facts as `key: value` lines."""
    return "\n".join(f"{key}: {str(value).lower()}" if isinstance(value, bool)
                     else f"{key}: {value}" for key, value in facts.items())  # fmt: skip


def _json_lines(rows: list[Facts]) -> str:
    return "\n".join(as_json(row) for row in rows)


def _blocks(rows: list[Facts]) -> str:
    return "\n\n".join(as_lines(row) for row in rows)


def _table(rows: list[Facts]) -> str:
    keys = list(rows[0])
    shared = [key for key in keys if all(key in row for row in rows)] or keys[:1]
    body = [",".join(str(row.get(key, "")) for key in shared) for row in rows]
    return "\n".join([",".join(shared), *body])


_NOTATIONS: tuple[Callable[[list[Facts]], str], ...] = (_json_lines, _blocks, _table)


def shopping(rng: Random) -> str:
    """Return a list of things with amounts."""
    title = rng.choice(("Shopping list", "To buy", "For the party", "Things to pack", "In the box"))
    return f"{title}:\n" + "\n".join(f"- {_amount(rng)}" for _ in range(rng.randint(3, 9)))


def _amount(rng: Random) -> str:
    if rng.random() < 1 / 3:
        unit = rng.choice(("kg of", "litres of", "bags of", "packs of"))
        return f"{rng.randint(2, 12)} {unit} {rng.choice(words.MASS)}"
    noun = rng.choice(words.NOUNS[rng.choice(("food", "thing", "clothes", "text"))])
    number = rng.randint(1, 24)
    return f"1 {noun}" if number == 1 else f"{number} {plural(noun)}"


def sum_line(rng: Random) -> str:
    """Return one true statement of arithmetic."""
    left, right = rng.randint(0, 99), rng.randint(1, 99)
    small, times = rng.randint(2, 12), rng.randint(2, 12)
    low, high = sorted((left, right))
    forms = (
        f"{left} + {right} = {left + right}",
        f"{high} - {low} = {high - low}",
        f"{small} x {times} = {small * times}",
        f"{small * times} / {times} = {small}",
        f"{sentence(in_words(small), end='')} plus {in_words(times)} is {in_words(small + times)}.",
        f"{left} is {_relation(left, right)} {right}.",
        f"Half of {2 * right} is {right}.",
        f"After {left} comes {left + 1}.",
    )
    return rng.choice(forms)


def _relation(left: int, right: int) -> str:
    if left == right:
        return "equal to"
    return "greater than" if left > right else "less than"


def sums(rng: Random) -> str:
    """Return several true statements of arithmetic."""
    return "\n".join(sum_line(rng) for _ in range(rng.randint(5, 14)))


def word_problem(rng: Random) -> tuple[str, str]:
    """Return a small problem told in words, and its answer."""
    person, noun = person_name(rng), rng.choice(words.NOUNS[rng.choice(("food", "thing"))])
    start, change = rng.randint(3, 60), rng.randint(2, 30)
    things, who = plural(noun), person.subject.capitalize()
    told = f"{person.name} has {start} {things}."
    asked = f"How many {things} does {person.name} have now?"
    if rng.random() < 1 / 2 or change >= start:
        verb = rng.choice(("buys", "finds", "gets", "makes"))
        total, sign = start + change, "+"
        told += f" {who} {verb} {change} more."
    else:
        verb = rng.choice(("loses", "sells", "gives away", "breaks"))
        total, sign = start - change, "-"
        told += f" {who} {verb} {change}."
    return f"{told} {asked}", f"{start} {sign} {change} = {total}. {person.name} has {total} now."


def word_problems(rng: Random) -> str:
    """Return a few small problems with their answers."""
    return "\n\n".join("\n".join(word_problem(rng)) for _ in range(rng.randint(2, 4)))


def person_lines(facts: Facts) -> list[str]:
    """Return the facts of a person as sentences."""
    name = facts["name"]
    return [
        f"{name} is {facts['age']} years old.",
        f"{name} works as {with_article(str(facts['job']))}.",
        f"{name} lives in {facts['town']}.",
        f"{name} has {with_article(str(facts['pet']))}.",
        f"{name} likes the colour {facts['colour']}.",
    ]


def kinds(rng: Random) -> str:
    """Return what belongs to what: animals, foods, tools and places."""
    lines = []
    for _ in range(rng.randint(3, 6)):
        label, pool = rng.choice(_POOLS)
        lines.append(f"{sentence(listing(rng.sample(pool, 3)), end='')} are {label}.")
    return " ".join(lines)


_POOLS = (
    ("animals", words.ANIMALS),
    ("colours", words.COLOURS),
    ("materials", words.MATERIALS),
    ("places", words.NOUNS["place"]),
    ("instruments", words.NOUNS["instrument"]),
    ("clothes", words.NOUNS["clothes"]),
    ("plants", words.NOUNS["plant"]),
    ("vehicles", words.NOUNS["vehicle"]),
    ("days of the week", words.DAYS),
    ("months", words.MONTHS),
    ("jobs", words.ROLES[:30]),
)
