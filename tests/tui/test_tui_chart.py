import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.tui.chart import draw

FALLING = [(step, 10.0 / step) for step in range(1, 101)]


def ink(lines: list[str]) -> list[tuple[int, int]]:
    """Return the places of all characters right of the axis that are not blank."""
    return [
        (row, column)
        for row, line in enumerate(lines[:-1])
        for column, character in enumerate(line[8:])
        if character not in " ⠀"
    ]


@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_falling_loss_falls_from_the_upper_left_to_the_lower_right(ascii_only: bool) -> None:
    lines = draw(FALLING, width=60, height=12, ascii_only=ascii_only)
    places = ink(lines)
    assert (0, 0) in places
    assert (10, 51) in places
    assert (0, 51) not in places
    assert lines[-1].split() == [("+" if ascii_only else "└") + "step", "1", "100"]


def test_ascii_means_ascii() -> None:
    lines = draw(FALLING, marks=[(50, 1.0)], width=60, height=12, ascii_only=True)
    assert "\n".join(lines).isascii()
    assert "o" in "\n".join(lines)


def test_a_line_has_no_gap() -> None:
    places = ink(draw([(0, 1.0), (50, 9.0), (100, 2.0)], width=48, height=10))
    assert {column for _, column in places} == set(range(40))


@pytest.mark.parametrize("points", [[], [(1, math.nan)], [(1, math.inf)]])
def test_without_a_finite_loss_it_says_so(points: list[tuple[float, float]]) -> None:
    assert draw(points, width=40, height=5)[0] == "no loss logged yet"


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.floats(allow_nan=True, allow_infinity=True))),
    st.integers(1, 200),
    st.integers(2, 60),
)
@settings(max_examples=200, deadline=None)
def test_whatever_is_logged_the_chart_keeps_its_size(
    points: list[tuple[float, float]], width: int, height: int
) -> None:
    lines = draw(points, width=width, height=height)
    assert len(lines) == height
    drawn = lines if any(math.isfinite(value) for _, value in points) else []
    assert all(len(line) <= max(width, 40) for line in drawn)


def test_the_cost_of_drawing_does_not_grow_with_the_run() -> None:
    many = [(step, 5.0 + math.sin(step)) for step in range(50_000)]
    lines = draw(many, width=60, height=10)
    assert len(ink(lines)) <= 52 * 9
