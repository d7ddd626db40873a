"""The rehearsal corpus: repeatable, as large as asked, varied, and in good English."""

import json
import operator
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.rehearsal.clauses import FUTURE, PAST, PERFECT, PRESENT, WENT_ON, Clause
from advisor.rehearsal.corpus import write_corpus
from advisor.rehearsal.grammar import (
    SPEAKER,
    in_words,
    it,
    listing,
    plural,
    she,
    they,
    verb,
    with_article,
)

MEGABYTES = 0.5
SIGNS = {"+": operator.add, "-": operator.sub, "x": operator.mul}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return _written(tmp_path_factory.mktemp("corpus") / "corpus.jsonl", seed=1)


def _written(path: Path, *, seed: int) -> list[str]:
    write_corpus(path, megabytes=MEGABYTES, seed=seed)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert all(row.keys() == {"text"} for row in rows)
    return [row["text"] for row in rows]


def _sentences(texts: list[str]) -> list[str]:
    parts = (part for text in texts for part in re.split(r"(?<=[.!?])\s+|\n+", text))
    return [part for part in parts if len(part.split()) > 2]


def test_a_seed_decides_the_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_corpus(tmp_path / name, megabytes=0.05, seed=seed)
    first, second, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == second
    assert first != other


@pytest.mark.parametrize("megabytes", [0.05, 0.2, 1.0])
def test_the_file_is_as_large_as_asked(megabytes: float, tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    write_corpus(path, megabytes=megabytes, seed=2)
    assert path.stat().st_size == pytest.approx(megabytes * 1e6, rel=0.1)


def test_no_document_stands_twice(texts: list[str]) -> None:
    assert len(set(texts)) == len(texts)


def test_most_sentences_stand_once(texts: list[str]) -> None:
    sentences = _sentences(texts)
    assert len(set(sentences)) / len(sentences) > 0.85


def test_most_sentences_of_another_seed_are_new(texts: list[str], tmp_path: Path) -> None:
    other = _sentences(_written(tmp_path / "other.jsonl", seed=2))
    known = set(_sentences(texts))
    assert sum(sentence in known for sentence in other) / len(other) < 0.2


def test_the_text_is_nearly_all_ascii_but_not_quite(texts: list[str]) -> None:
    letters = "".join(texts)
    assert 0.98 < sum(letter.isascii() for letter in letters) / len(letters) < 1
    assert set("äöüßéèêà0123456789") <= set(letters)


def test_about_one_document_in_seven_is_a_chat(texts: list[str]) -> None:
    chats = [text for text in texts if text.startswith("### user\n")]
    assert len(chats) / len(texts) == pytest.approx(0.15, abs=0.03)
    turn = r"### user\n(?:(?!###).)+\n\n### assistant\n(?:(?!###).)+"
    assert all(re.fullmatch(rf"{turn}(?:\n\n{turn})*", text, re.DOTALL) for text in chats)


@pytest.mark.parametrize(
    "wrong",
    [
        r"  ",
        r"\{[a-z]+\}",
        r"\b[Aa] [aeio][a-z]",
        r"\b[Aa]n (?!honest)[^aeiouAEIOU]",
        r"\b([Hh]e|[Ss]he|[Ii]t) (are|were|have|do)\b",
        r"\b([Tt]hey|[Ww]e) (is|was|has|does)\b",
        r"\b(did|does|do) not \w+ed\b(?<!need)(?<!feed)",
        r"\b(the the|to to|was was)\b",
        r" [.,?!]",
    ],
)
def test_the_english_is_free_of(wrong: str, texts: list[str]) -> None:
    english = "\n".join(text for text in texts if text.isascii())
    found = [english[max(0, hit.start() - 40) : hit.end()] for hit in re.finditer(wrong, english)]
    assert not found


def test_every_sum_is_right(texts: list[str]) -> None:
    sums = re.findall(r"\b(\d+) ([-+x]) (\d+) = (\d+)\b", "\n".join(texts))
    assert len(sums) > 100
    for left, sign, right, result in sums:
        assert SIGNS[sign](int(left), int(right)) == int(result)


def test_answers_about_a_person_stand_in_the_question(texts: list[str]) -> None:
    asked = re.findall(
        r"### user\nWrite .+ as JSON: (.+)\n\n### assistant\n(\{.+\})", "\n\n".join(texts)
    )
    assert len(asked) > 10
    for told, answer in asked:
        assert all(str(value) in told for value in json.loads(answer).values())


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("carry", ("carries", "carried", "carried", "carrying")),
        ("stop", ("stops", "stopped", "stopped", "stopping")),
        ("play", ("plays", "played", "played", "playing")),
        ("write", ("writes", "wrote", "written", "writing")),
        ("catch", ("catches", "caught", "caught", "catching")),
        ("go", ("goes", "went", "gone", "going")),
        ("try on", ("tries on", "tried on", "tried on", "trying on")),
    ],
)
def test_a_verb_has_its_forms(word: str, forms: tuple[str, ...]) -> None:
    made = verb(word)
    assert (made.third, made.past, made.participle, made.ing) == forms


@pytest.mark.parametrize(
    ("noun", "many"),
    [("box", "boxes"), ("story", "stories"), ("toy", "toys"), ("knife", "knives"),
     ("apple tree", "apple trees"), ("small child", "small children")],
)  # fmt: skip
def test_a_noun_has_its_plural(noun: str, many: str) -> None:
    assert plural(noun) == many


@pytest.mark.parametrize(
    ("phrase", "shown"),
    [("apple", "an apple"), ("useful bag", "a useful bag"), ("honest cook", "an honest cook"),
     ("uniform", "a uniform"), ("red axe", "a red axe")],
)  # fmt: skip
def test_a_phrase_takes_the_article_that_it_sounds_like(phrase: str, shown: str) -> None:
    assert with_article(phrase) == shown


@pytest.mark.parametrize(
    ("actor", "tense", "negative", "said"),
    [
        (she("Mira"), PRESENT, False, "Mira reads a map"),
        (they("the girls"), PRESENT, True, "the girls do not read a map"),
        (SPEAKER, PRESENT, False, "I read a map"),
        (it("the owl"), PERFECT, False, "the owl has read a map"),
        (they("the girls"), WENT_ON, True, "the girls were not reading a map"),
        (SPEAKER, FUTURE, True, "I will not read a map"),
    ],
)
def test_a_clause_agrees_with_its_actor(actor, tense, negative, said) -> None:
    clause = Clause(actor=actor, verb=verb("read"), rest="a map")
    assert clause.say(tense, negative=negative) == said


@pytest.mark.parametrize(
    ("tense", "asked"),
    [(PAST, "was Mira late"), (FUTURE, "will Mira be late"), (PERFECT, "has Mira been late")],
)
def test_what_someone_is_like_can_be_asked(tense: str, asked: str) -> None:
    assert Clause(actor=she("Mira"), rest="late").ask(tense) == asked


@given(st.integers(0, 999_998))
def test_numbers_in_words_differ_from_their_neighbours(number: int) -> None:
    assert in_words(number) != in_words(number + 1)
    assert re.fullmatch(r"[a-z]+([ -][a-z]+)*", in_words(number))


def test_numbers_in_words_are_read_as_people_say_them() -> None:
    assert in_words(40_312) == "forty thousand three hundred and twelve"
    assert in_words(2_005) == "two thousand and five"


@given(st.lists(st.sampled_from(["ink", "oak", "elm"]), min_size=1, max_size=5))
def test_a_listing_names_every_part_in_order(parts: list[str]) -> None:
    assert re.findall(r"ink|oak|elm", listing(parts)) == parts
