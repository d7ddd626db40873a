"""The one filter in front of everything foreign that is shown on a terminal or in a report."""

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
LONGEST = 200


def safe_text(text: object, longest: int = LONGEST) -> str:
    """Return `text` on one line with control, format and bidirectional characters escaped.

    What goes beyond `longest` characters is cut and marked, so that one name fills no screen.
    """
    words = str(text)[: longest + 1]
    shown = "".join(_escaped(character) for character in words[:longest])
    return shown + "…" if len(words) > longest else shown


def _escaped(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape").decode("ascii")
