import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.safe_text import LONGEST, safe_text

HOSTILE = {
    "title change": "\x1b]0;owned\x07",
    "clipboard write": "\x1b]52;c;AAAA\x07",
    "clear screen": "\x1b[2J",
    "C1 control": "\x9b2J",
    "NUL": "a\x00b",
    "right-to-left override": "safe\u202eexe.txt",
    "line separator": "one\u2028two",
    "new line": "one\ntwo",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_reaches_no_terminal_raw(text: str) -> None:
    assert safe_text(text).isprintable()


@given(st.text(max_size=400))
def test_no_control_or_format_character_survives(text: str) -> None:
    shown = safe_text(text)
    kinds = {unicodedata.category(character) for character in shown}
    assert not kinds & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text(alphabet=st.characters(categories=["L", "N", "P"]), max_size=LONGEST))
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert safe_text(text) == text


def test_a_name_that_would_fill_the_screen_is_cut_and_marked() -> None:
    shown = safe_text("x" * 10_000)
    assert len(shown) == LONGEST + 1
    assert shown.endswith("…")
