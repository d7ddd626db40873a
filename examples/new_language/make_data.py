"""Makes documents in Oŧari, an invented agglutinative language with vowel harmony.

Sounds: back vowels a o u, front vowels æ ø y, neutral e i. A word has either back or front
vowels; suffixes follow its root: A stands for a or æ, O for o or ø, U for u or y.

Nouns: root + plural -tU + owner (-ni mine, -vi his or hers) + case: none (what is acted on, or
who does something without an object), -kA (who acts on something), -rUn to, -ʃA in, -ŧOn from,
-jAl with, -lOs of. An adjective follows its noun and takes its plural.

Verbs: root + -me not + tense (-nA past, -li present, -rO future) + -vUʃ if only heard of + plural
-tU. The verb comes first: place, verb, doer, object, means.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from generators import arguments, write  # noqa: E402

RECORDS = 110
SHORTEST_DOCUMENT = 1000
BACK, FRONT, NEUTRAL = "aou", "æøy", "ei"
HARMONY = {True: {"A": "a", "O": "o", "U": "u"}, False: {"A": "æ", "O": "ø", "U": "y"}}
ONSETS, CODAS = "ptkmnŋsʃlrvjŧ", "nlrsŋ"
CASES = {"to": "rUn", "in": "ʃA", "from": "ŧOn", "with": "jAl", "of": "lOs", "doer": "kA"}
TENSES = {"past": "nA", "present": "li", "future": "rO"}
PLURAL, NOT, HEARD = "tU", "me", "vUʃ"
OWNERS = ("", "", "", "ni", "vi")
AND, BUT, BECAUSE, WHETHER = "eŋ", "ʃi", "mir", "keli"
PRONOUN = "ŋe"
CLASS_SIZES = {
    "person": 28, "animal": 28, "thing": 36, "food": 20, "place": 24, "quality": 30,
    "rest": 16, "move": 10, "use": 20, "eat": 6, "meet": 16, "number": 6, "time": 8,
}  # fmt: skip


def lexicon() -> dict[str, list[str]]:
    """Return the roots of each class; they belong to the language, so no seed changes them."""
    rng = Random("Oŧari")
    taken = {AND, BUT, BECAUSE, WHETHER, PRONOUN}
    return {name: [_root(rng, taken) for _ in range(size)] for name, size in CLASS_SIZES.items()}


def _root(rng: Random, taken: set[str]) -> str:
    while True:
        vowels = rng.choice((BACK, FRONT)) + NEUTRAL
        syllables = [_syllable(rng, vowels) for _ in range(rng.choice((1, 2, 2, 2, 3)))]
        root = "".join(syllables) + rng.choice(("", rng.choice(CODAS)))
        if root not in taken and len(root) > len(PRONOUN):
            taken.add(root)
            return root


def _syllable(rng: Random, vowels: str) -> str:
    return rng.choice(ONSETS) + rng.choice(vowels)


def inflected(root: str, *suffixes: str) -> str:
    """Return root and suffixes in harmony; a root with only neutral vowels counts as front."""
    sounds = HARMONY[any(letter in BACK for letter in root)]
    return root + "".join(sounds.get(letter, letter) for letter in "".join(suffixes))


@dataclass(frozen=True, kw_only=True, slots=True)
class Doer:
    """Who a document is about: a root, one or many, perhaps with a quality."""

    root: str
    plural: bool
    quality: str


class Narrator:
    """Tells documents about a few doers at a few places."""

    def __init__(self, rng: Random, roots: dict[str, list[str]]) -> None:
        self.rng = rng
        self.roots = roots
        self.doers = [self._doer(root) for root in rng.sample(roots["person"] + roots["animal"], 3)]
        self.places = rng.sample(roots["place"], 3)
        self.things = rng.sample(roots["thing"], 5)
        self.tense = rng.choice(list(TENSES))
        self.heard = rng.random() < 1 / 4

    def document(self) -> str:
        """Return sentences, about one doer after the other, until the document is long enough."""
        told: list[str] = []
        while sum(map(len, told)) + len(told) <= SHORTEST_DOCUMENT:
            doer = self.rng.choice(self.doers)
            told.append(self._sentence(doer, named=True))
            told += [self._sentence(doer, named=False) for _ in range(self.rng.randint(0, 2))]
        return " ".join(told)

    def _sentence(self, doer: Doer, *, named: bool) -> str:
        clause = self._clause(doer, named=named)
        kind = self.rng.choice(("plain", "plain", "plain", AND, BUT, BECAUSE, WHETHER))
        if kind == WHETHER:
            return f"{clause} {WHETHER}?"
        if kind == "plain":
            return f"{clause}."
        other = self.rng.choice(self.doers)
        return f"{clause} {kind} {self._clause(other, named=other != doer)}."

    def _clause(self, doer: Doer, *, named: bool) -> str:
        action = self.rng.choice(("rest", "move", "use", "use", "eat", "meet"))
        verb = self._verb(self.rng.choice(self.roots[action]), plural=doer.plural)
        acts = action not in {"rest", "move"}
        subject = self._subject(doer, named=named, case=CASES["doer"] if acts else "")
        parts = [
            self._setting(action),
            verb,
            subject,
            self._object(action, doer),
            self._means(action),
        ]
        return " ".join(part for part in parts if part)

    def _doer(self, root: str) -> Doer:
        quality = self.rng.choice(self.roots["quality"]) if self.rng.random() < 1 / 2 else ""
        return Doer(root=root, plural=self.rng.random() < 1 / 3, quality=quality)

    def _verb(self, root: str, *, plural: bool) -> str:
        denied = NOT if self.rng.random() < 1 / 6 else ""
        heard = HEARD if self.heard else ""
        return inflected(root, denied, TENSES[self.tense], heard, PLURAL if plural else "")

    def _subject(self, doer: Doer, *, named: bool, case: str) -> str:
        many = PLURAL if doer.plural else ""
        if not named:
            return inflected(PRONOUN, many, case)
        noun = inflected(doer.root, many, case)
        return f"{noun} {inflected(doer.quality, many)}" if doer.quality else noun

    def _setting(self, action: str) -> str:
        if action == "move":
            return ""
        place = inflected(self.rng.choice(self.places), CASES["in"])
        return self.rng.choice((place, self.rng.choice(self.roots["time"]), "", ""))

    def _object(self, action: str, doer: Doer) -> str:
        if action == "move":
            way = self.rng.choice(("to", "to", "from"))
            return inflected(self.rng.choice(self.places), CASES[way])
        if action == "meet":
            other = self.rng.choice([one for one in self.doers if one != doer])
            return self._subject(other, named=True, case="")
        pools = {"use": self.things, "eat": self.roots["food"]}
        return self._noun(self.rng.choice(pools[action])) if action in pools else ""

    def _noun(self, root: str) -> str:
        if self.rng.random() < 1 / 5:
            return f"{self.rng.choice(self.roots['number'])} {inflected(root, PLURAL)}"
        if self.rng.random() < 1 / 6:
            owner = self.rng.choice(self.doers)
            return f"{inflected(root)} {inflected(owner.root, CASES['of'])}"
        noun = inflected(root, self.rng.choice(OWNERS))
        if self.rng.random() < 1 / 4:
            return f"{noun} {self.rng.choice(self.roots['quality'])}"
        return noun

    def _means(self, action: str) -> str:
        if action in {"use", "eat"} and self.rng.random() < 1 / 4:
            return inflected(self.rng.choice(self.things), CASES["with"])
        return ""


def documents(records: int, seed: int) -> Iterator[str]:
    """Yield that many documents."""
    rng = Random(seed)
    roots = lexicon()
    for _ in range(records):
        yield Narrator(rng, roots).document()


def data(records: int, seed: int) -> str:
    """Return the documents as text, with a blank line between them."""
    return "\n\n".join(documents(records, seed)) + "\n"


if __name__ == "__main__":
    chosen = arguments(HERE / "data.txt", records=RECORDS)
    write(chosen.output, data(chosen.records, chosen.seed))
