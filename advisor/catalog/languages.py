"""Which languages an answer names, and whether a model was trained on them."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Literal

from advisor.catalog.facts import Language

# Whether a model knows a language.
Coverage = Literal["yes", "perhaps", "no"]

# A model of so many languages names but some of them; one of a hundred and more knows at least
# what every list of that length has.
MANY_LANGUAGES = 20
BROAD_LANGUAGES = 100
BROAD_LISTS = frozenset({"100 languages", "101 languages", "119 languages"})

_CODE = re.compile(r"\b(?:[a-z]{2,3}|code)\b")
_COUNT = re.compile(r"^\d+")
_OPEN = re.compile(r"multilingual|dozens|incl\.|\.\.\.")
_BETWEEN = re.compile(r"[,/;+&]|\band\b|\bincl\.")
_ASIDE = re.compile(r"\(.*?\)")


def names_in(answer: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return the names in an answer: "English, German" and a list say the same."""
    texts = (answer,) if isinstance(answer, str) else tuple(answer or ())
    parts = (part.strip() for text in texts for part in _BETWEEN.split(_ASIDE.sub("", text)))
    return tuple(part for part in parts if part)


class Languages:
    """Every language that is known, by code and by name."""

    def __init__(self, rows: Iterable[Language]) -> None:
        self._by_name: dict[str, Language] = {}
        lists: set[str] = set()
        for row in rows:
            for name in (row.code, row.name, *row.other_names.split("|")):
                self._by_name[name.casefold()] = row
            lists.update(row.lists.split("|"))
        self._lists = frozenset(lists - {""})

    def find(self, name: str) -> Language | None:
        """Return the language of this name or ISO 639 code, in any case; None where unknown."""
        return self._by_name.get(name.casefold())

    @cache  # noqa: B019 - as long as the catalogue that holds it
    def coverage(self, trained_on: str, name: str) -> Coverage:
        """Return whether a model that says it was `trained_on` something knows the language."""
        language = self.find(name)
        if language is not None and language.code in _CODE.findall(trained_on):
            return "yes"
        lists = [phrase for phrase in self._lists if phrase in trained_on]
        if language is not None and lists:
            return "yes" if lists[0] in language.lists.split("|") else "no"
        return _guessed(trained_on, language)


def _guessed(trained_on: str, language: Language | None) -> Coverage:
    """Return the coverage by a model whose languages are counted, not listed."""
    count = _COUNT.match(trained_on)
    number = int(count[0]) if count else 0
    in_lists = frozenset(language.lists.split("|")) if language else frozenset()
    if number >= BROAD_LANGUAGES and in_lists >= BROAD_LISTS:
        return "yes"
    return "perhaps" if number >= MANY_LANGUAGES or _OPEN.search(trained_on) else "no"
