"""English agreement: plurals, articles, verb forms, pronouns, number words and lists."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from advisor.rehearsal.vocabulary import (
    DOUBLING_VERBS,
    IRREGULAR_PLURALS,
    IRREGULAR_VERBS,
    items,
)

_HISSING = ("s", "x", "z", "ch", "sh")
_SOUNDS_LIKE_YOU = ("uni", "use", "euro", "one")
_SMALL = items("""zero, one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve,
    thirteen, fourteen, fifteen, sixteen, seventeen, eighteen, nineteen""")
_TENS = items("-, -, twenty, thirty, forty, fifty, sixty, seventy, eighty, ninety")
_TEN, _HUNDRED, _THOUSAND = 10, 100, 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Referent:
    """Someone or something that sentences can speak of, with the pronouns that stand for it."""

    name: str
    subject: str
    object: str
    possessive: str
    plural: bool = False
    animal: bool = False

    @property
    def takes_base(self) -> bool:
        """Return whether its verbs have no -s in the present: `I walk`, `they walk`."""
        return self.plural or self.subject == "I"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verb:
    """The five forms of a verb; a particle ("try on") follows each form."""

    base: str
    third: str
    past: str
    participle: str
    ing: str


def she(name: str) -> Referent:
    """Return a woman or girl."""
    return Referent(name=name, subject="she", object="her", possessive="her")


def he(name: str) -> Referent:
    """Return a man or boy."""
    return Referent(name=name, subject="he", object="him", possessive="his")


def it(name: str) -> Referent:
    """Return an animal."""
    return Referent(name=name, subject="it", object="it", possessive="its", animal=True)


def they(name: str) -> Referent:
    """Return several people."""
    return Referent(name=name, subject="they", object="them", possessive="their", plural=True)


SPEAKER = Referent(name="I", subject="I", object="me", possessive="my")
LISTENER = Referent(name="you", subject="you", object="you", possessive="your", plural=True)
WE = Referent(name="we", subject="we", object="us", possessive="our", plural=True)


@cache
def verb(words: str) -> Verb:
    """Return the forms of a verb such as `carry` or `try on`."""
    base, _, particle = words.partition(" ")
    past = _with(base, "ed")
    irregular = IRREGULAR_VERBS.get(base, (past, past))
    forms = (base, _s_form(base), *irregular, _with(base, "ing"))
    full = [f"{form} {particle}".rstrip() for form in forms]
    return Verb(base=full[0], third=full[1], past=full[2], participle=full[3], ing=full[4])


def _s_form(word: str) -> str:
    if word == "have":
        return "has"
    if word.endswith((*_HISSING, "go", "do")):
        return word + "es"
    return word[:-1] + "ies" if _ends_in_consonant_y(word) else word + "s"


def _with(base: str, ending: str) -> str:
    if base in DOUBLING_VERBS:
        return base + base[-1] + ending
    if ending == "ing":
        return _ing_form(base)
    if base.endswith("e"):
        return base + "d"
    return base[:-1] + "ied" if _ends_in_consonant_y(base) else base + "ed"


def _ing_form(base: str) -> str:
    if base.endswith("ie"):
        return base[:-2] + "ying"
    if base.endswith("e") and not base.endswith("ee"):
        return base[:-1] + "ing"
    return base + "ing"


def _ends_in_consonant_y(word: str) -> bool:
    return word.endswith("y") and word[-2] not in "aeiou"


@cache
def plural(noun: str) -> str:
    """Return the plural of a noun; of a compound, the last word changes."""
    head, space, last = noun.rpartition(" ")
    return head + space + IRREGULAR_PLURALS.get(last, _s_form(last))


@cache
def with_article(phrase: str) -> str:
    """Return the phrase with `a` or `an` in front."""
    vowel = phrase[0].lower() in "aeiou" and not phrase.lower().startswith(_SOUNDS_LIKE_YOU)
    return f"an {phrase}" if vowel or phrase.startswith("honest") else f"a {phrase}"


def in_words(number: int) -> str:
    """Return a whole number from 0 to 999,999 in words."""
    if number < len(_SMALL):
        return _SMALL[number]
    if number < _HUNDRED:
        tens, rest = divmod(number, _TEN)
        return _TENS[tens] + (f"-{_SMALL[rest]}" if rest else "")
    unit, name = (_HUNDRED, "hundred") if number < _THOUSAND else (_THOUSAND, "thousand")
    head, rest = divmod(number, unit)
    joint = " and " if rest < _HUNDRED else " "
    return f"{in_words(head)} {name}" + (joint + in_words(rest) if rest else "")


def listing(parts: Iterable[str], *, joint: str = "and") -> str:
    """Return `a, b and c`."""
    *head, last = parts
    return f"{', '.join(head)} {joint} {last}" if head else last


def sentence(words: str, *, end: str = ".") -> str:
    """Return the words with a capital first letter and an end mark."""
    closed = words.endswith((".", "!", "?", '."', '!"', '?"'))
    return words[0].upper() + words[1:] + ("" if closed else end)
