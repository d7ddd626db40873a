"""Instructions with answers that can be told from the question alone."""

from collections.abc import Callable
from random import Random

from advisor.rehearsal import vocabulary as words
from advisor.rehearsal.clauses import FUTURE, PAST, PRESENT, action
from advisor.rehearsal.foreign import translated
from advisor.rehearsal.grammar import in_words, listing, plural, sentence, verb
from advisor.rehearsal.passages import how_to, letter, story, thing_description
from advisor.rehearsal.phrases import person_name, someone
from advisor.rehearsal.records import (
    as_json,
    as_lines,
    order_facts,
    person_facts,
    person_lines,
    sum_line,
    word_problem,
)

Turn = tuple[str, str]
_ASKED = {
    "age": "How old is {name}?",
    "job": "What is the job of {name}?",
    "town": "Where does {name} live?",
    "pet": "Which animal does {name} have?",
    "colour": "Which colour does {name} like?",
}


def chat(rng: Random) -> str:
    """Return one to three turns in the form of a chat between user and assistant."""
    turns = rng.choices((1, 2, 3), (6, 2, 1))[0]
    return "\n\n".join(as_chat(*_turn(rng)) for _ in range(turns))


def as_chat(question: str, answer: str) -> str:
    """Return a question and its answer under the two headings of the chat form."""
    return f"### user\n{question}\n\n### assistant\n{answer}"


def quiz(rng: Random) -> str:
    """Return questions and answers as plain text."""
    turns = [_turn(rng) for _ in range(rng.randint(2, 4))]
    return "\n\n".join(f"Question: {question}\nAnswer: {answer}" for question, answer in turns)


def _turn(rng: Random) -> Turn:
    return rng.choice(_TURNS)(rng)


def _arithmetic(rng: Random) -> Turn:
    left, right = rng.randint(0, 99), rng.randint(0, 99)
    low, high = sorted((left, right))
    if rng.random() < 1 / 2:
        return f"What is {left} + {right}?", f"{left} + {right} = {left + right}."
    return f"What is {high} - {low}?", f"{high} - {low} = {high - low}."


def _comparison(rng: Random) -> Turn:
    left, right = rng.sample(range(1000), 2)
    answer = "Yes" if left > right else "No"
    relation = "greater" if left > right else "less"
    return f"Is {left} greater than {right}?", f"{answer}, {left} is {relation} than {right}."


def _sorting(rng: Random) -> Turn:
    numbers = rng.sample(range(100), rng.randint(3, 6))
    shown = ", ".join(map(str, numbers))
    return f"Sort these numbers: {shown}", ", ".join(map(str, sorted(numbers)))


def _alphabet(rng: Random) -> Turn:
    pool = rng.choice((words.ANIMALS, words.NOUNS["food"], words.NOUNS["thing"]))
    chosen = rng.sample(pool, rng.randint(3, 5))
    return f"Put these words in order: {', '.join(chosen)}", ", ".join(sorted(chosen))


def _plural(rng: Random) -> Turn:
    noun = rng.choice(words.NOUNS[rng.choice(tuple(words.NOUNS))] + words.ANIMALS)
    return f'What is the plural of "{noun}"?', f'The plural of "{noun}" is "{plural(noun)}".'


def _past(rng: Random) -> Turn:
    act = verb(rng.choice(rng.choice(words.OBJECT_FRAMES)[0] + words.MOVE_VERBS))
    return f'What is the past of "{act.base}"?', f'The past of "{act.base}" is "{act.past}".'


def _opposite(rng: Random) -> Turn:
    pair = list(rng.choice(words.OPPOSITES))
    rng.shuffle(pair)
    return f'What is the opposite of "{pair[0]}"?', f'The opposite of "{pair[0]}" is "{pair[1]}".'


def _rewriting(rng: Random) -> Turn:
    clause = action(rng, someone(rng))
    given = sentence(clause.say(PRESENT))
    aim, answer = rng.choice(
        (
            ("in the past", sentence(clause.say(PAST))),
            ("in the future", sentence(clause.say(FUTURE))),
            ("as a question", sentence(clause.ask(PRESENT), end="?")),
            ("as a denial", sentence(clause.say(PRESENT, negative=True))),
        )
    )
    return f"Write this {aim}: {given}", answer


def _reading(rng: Random) -> Turn:
    people = [person_facts(rng) for _ in range(rng.randint(1, 2))]
    lines = [line for facts in people for line in person_lines(facts)]
    rng.shuffle(lines)
    asked = rng.choice(people)
    position, key = rng.choice(list(enumerate(_ASKED)))
    question = _ASKED[key].format(**asked)
    return f"{' '.join(lines)}\n{question}", person_lines(asked)[position]


def _extraction(rng: Random) -> Turn:
    facts = person_facts(rng)
    lines = person_lines(facts)
    rng.shuffle(lines)
    keys = ["name", *rng.sample(list(_ASKED), rng.randint(1, 4))]
    wanted = {key: facts[key] for key in keys}
    return f"Write {listing(keys)} as JSON: {' '.join(lines)}", as_json(wanted)


def _conversion(rng: Random) -> Turn:
    facts = rng.choice((person_facts, order_facts))(rng)
    if rng.random() < 1 / 2:
        return f"Write this as JSON:\n{as_lines(facts)}", as_json(facts)
    return f"Write this as lines:\n{as_json(facts)}", as_lines(facts)


def _translation(rng: Random) -> Turn:
    said = translated(rng)
    source, target = rng.sample(list(said), 2)
    return f"Translate into {target}: {said[source]}", said[target]


def _number_words(rng: Random) -> Turn:
    number = rng.randint(0, 10 ** rng.randint(1, 5))
    if rng.random() < 1 / 2:
        return f"Write {number} in words.", sentence(in_words(number))
    return f"Write {in_words(number)} in digits.", str(number)


def _naming(rng: Random) -> Turn:
    label = rng.choice(("place", "food", "vehicle", "plant", "instrument"))
    count = rng.randint(2, 5)
    names = rng.sample(words.NOUNS[label], count)
    asked = f"{in_words(count)} {plural(label)}" if label != "food" else f"{count} foods"
    return f"Name {asked}.", sentence(listing(names))


def _membership(rng: Random) -> Turn:
    label = rng.choice(("place", "food", "plant", "instrument"))
    noun = rng.choice(words.NOUNS[label])
    options = listing(("an animal", "a place", "a food", "a plant", "an instrument"), joint="or")
    article = "an" if label == "instrument" else "a"
    return (
        f'Is "{noun}" the name of {options}?',
        f'"{sentence(noun, end="")}" is {article} {label}.',
    )


def _next_day(rng: Random) -> Turn:
    names = rng.choice((words.DAYS, words.MONTHS))
    place = rng.randrange(len(names))
    after = names[(place + 1) % len(names)]
    return f"What comes after {names[place]}?", f"{after} comes after {names[place]}."


def _checking(rng: Random) -> Turn:
    line = sum_line(rng)
    return f"Repeat this: {line}", line


def _storytelling(rng: Random) -> Turn:
    return "Tell me a short story.", story(rng)


def _describing(rng: Random) -> Turn:
    noun = rng.choice(words.NOUNS["thing"])
    return f"Describe a {noun}." if noun[0] not in "aeiou" else f"Describe an {noun}.", (
        thing_description(rng, noun)
    )


def _explaining(rng: Random) -> Turn:
    title, steps = how_to(rng).split(":\n", 1)
    return f"{title}?", steps


def _letter_writing(rng: Random) -> Turn:
    written = letter(rng)
    names = (written.splitlines()[-1], written.splitlines()[0].split()[-1].rstrip(","))
    return f"Write a letter from {names[0]} to {names[1]}.", written


def _greeting(rng: Random) -> Turn:
    name = person_name(rng).name
    return rng.choice(
        (
            (f"Hello, I am {name}.", f"Hello {name}! How can I help you?"),
            (f"My name is {name}. What is my name?", f"Your name is {name}."),
            (f"Thank you! Greetings, {name}", f"You are welcome, {name}."),
        )
    )


_TURNS: tuple[Callable[[Random], Turn], ...] = (
    _arithmetic, _comparison, _sorting, _alphabet, _plural, _past, _opposite, _rewriting,
    _rewriting, _reading, _reading, _reading, _extraction, _extraction, _extraction, _conversion,
    _conversion, _translation, _translation, _number_words, _naming, _membership, _next_day,
    _checking, _storytelling, _storytelling, _describing, _explaining, _letter_writing, _greeting,
    word_problem, word_problem,
)  # fmt: skip
