"""A loss chart of characters: braille dots, or stars where the terminal has ASCII alone."""

import math
from collections.abc import Iterator, Sequence

Point = tuple[float, float]
AXIS = 8
BRAILLE = 0x2800
# The bit of each dot of a braille cell, by column and row (Unicode standard, block U+2800).
BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


def draw(
    points: Sequence[Point],
    *,
    width: int,
    height: int,
    marks: Sequence[Point] = (),
    ascii_only: bool = False,
) -> list[str]:
    """Return `height` lines that show losses by step, with `marks` (validation) as diamonds.

    However many points there are, each column of dots shows their least and greatest, so that the
    cost of drawing does not grow with the run. What is not finite is left out.
    """
    shown = [point for point in points if math.isfinite(point[1])]
    marked = [point for point in marks if math.isfinite(point[1])]
    if not shown:
        return ["no loss logged yet", *[""] * (height - 1)]
    across, down = (1, 1) if ascii_only else (2, 4)
    columns, rows = max(1, width - AXIS), max(1, height - 1)
    scale = _Scale(shown + marked, columns * across, rows * down)
    cells = [[0] * columns for _ in range(rows)]
    for x, y in _dots(shown, scale):
        cells[y // down][x // across] |= BITS[x % across][y % down]
    lines = [[_character(bits, ascii_only=ascii_only) for bits in row] for row in cells]
    for step, value in marked:
        x, y = scale.place(step, value)
        lines[y // down][x // across] = "o" if ascii_only else "◆"
    return [*_with_axis(lines, scale, rows, ascii_only=ascii_only)]


class _Scale:
    """Where a step and a value lie among the dots; the greatest value is on row 0."""

    def __init__(self, points: Sequence[Point], width: int, height: int) -> None:
        steps, values = zip(*points, strict=True)
        self.width, self.height = width, height
        self.first, self.last = min(steps), max(steps)
        self.low, self.high = min(values), max(values)

    def place(self, step: float, value: float) -> tuple[int, int]:
        """Return column and row of a point."""
        across = (step - self.first) / ((self.last - self.first) or 1.0)
        # Halved first: between the ends of what a float holds lies more than one holds.
        up = (value / 2 - self.low / 2) / ((self.high / 2 - self.low / 2) or 1.0)
        return round(across * (self.width - 1)), round((1 - up) * (self.height - 1))


def _dots(points: Sequence[Point], scale: _Scale) -> Iterator[tuple[int, int]]:
    """Yield the dots of the line: a column from its least to its greatest, joined to the next."""
    spans: dict[int, tuple[int, int]] = {}
    for point in points:
        x, y = scale.place(*point)
        top, bottom = spans.get(x, (y, y))
        spans[x] = (min(top, y), max(bottom, y))
    before: tuple[int, int] | None = None
    for x, (top, bottom) in sorted(spans.items()):
        middle = (top + bottom) // 2
        if before is not None:
            yield from _joined(before, (x, middle))
        yield from ((x, y) for y in range(top, bottom + 1))
        before = (x, middle)


def _joined(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the dots of a line without gaps, its columns filled where it is steep."""
    steps, last = end[0] - start[0], start[1]
    for one in range(1, steps + 1):
        y = round(start[1] + (end[1] - start[1]) * one / steps)
        yield from ((start[0] + one, dot) for dot in range(min(last, y), max(last, y) + 1))
        last = y


def _character(bits: int, *, ascii_only: bool) -> str:
    if ascii_only:
        return "*" if bits else " "
    return chr(BRAILLE + bits) if bits else " "


def _with_axis(
    lines: Sequence[Sequence[str]], scale: _Scale, rows: int, *, ascii_only: bool
) -> Iterator[str]:
    side, corner = ("|", "+") if ascii_only else ("│", "└")
    for row, line in enumerate(lines):
        value = scale.high - (scale.high - scale.low) * row / max(1, rows - 1)
        label = _label(value) if row % 2 == 0 or row == rows - 1 else ""
        yield f"{label:>{AXIS - 1}}{side}{''.join(line)}".rstrip()
    ends = f"step {scale.first:g}", f"{scale.last:g}"
    yield f"{corner:>{AXIS}}{ends[0]}{ends[1]:>{max(1, len(lines[0]) - len(ends[0]))}}"


def _label(value: float) -> str:
    """Return a value in at most one cell less than the axis has."""
    label = f"{value:.3g}"
    return label if len(label) < AXIS else f"{value:.0e}"
