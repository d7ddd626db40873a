"""Reads a JSON array row by row, in memory that does not grow with the file."""

import re
from collections.abc import Iterator
from typing import Any, Final, TextIO

from .opening import FileFault
from .rows import MOST_ROW, Row, RowFault, json_value, object_of

CHUNK: Final = 1 << 18
SPACE: Final = re.compile(r"[ \t\n\r]*")
# A string that is closed, else one mark; of a string that is not closed only the quote is found.
MARKS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|["\[\]{},]', re.DOTALL)
HINT: Final = "an array of objects, or one JSON object a line"


def array_rows(file: TextIO) -> Iterator[tuple[int, Row | RowFault]]:
    """Yield each row of the array in `file` with its line, or why it is none.

    Raises:
        FileFault: where the array itself is damaged, so that its next row cannot be found.
    """
    text = _Text(file)
    mark = _after(text, "[")
    while mark != "]":
        yield text.line, _row(text)
        mark = text.mark()
        if mark == ",":
            mark = _after(text, ",")
            if mark == "]":
                raise FileFault("not JSON: no row after the last comma", HINT, text.line)
        elif mark != "]":
            reason = "a comma is missing" if mark else "cut off: the array is not closed"
            raise FileFault(f"not JSON: {reason}", HINT, text.line)
    if _after(text, "]"):
        raise FileFault("not JSON: more text after the array", HINT, text.line)


class _Text:
    """The part of a file that is looked at: from `at` on, which lies on `line`."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.seen = ""
        self.at = 0
        self.line = 1

    def grow(self) -> bool:
        """Read on; return whether there was more to read."""
        self.seen = self.seen[self.at :]
        self.at = 0
        if len(self.seen) > MOST_ROW:
            reason = f"a row of more than {MOST_ROW:,} characters, or one that is not closed"
            raise FileFault(reason, HINT, self.line)
        more = self._file.read(max(CHUNK, len(self.seen)))
        self.seen += more
        return bool(more)

    def take(self, end: int) -> None:
        """Go on to `end`."""
        self.line += self.seen.count("\n", self.at, end)
        self.at = end

    def mark(self) -> str:
        """Pass over white space; return the character behind it, "" at the end of the file."""
        while True:
            self.take(SPACE.match(self.seen, self.at).end())  # type: ignore[union-attr]
            if self.at < len(self.seen):
                return self.seen[self.at]
            if not self.grow():
                return ""


def _after(text: _Text, mark: str) -> str:
    """Pass over `mark`; return the next one."""
    text.mark()
    text.take(text.at + len(mark))
    return text.mark()


def _row(text: _Text) -> Row | RowFault:
    """Return the value that begins here, if it is a row, and go on behind it."""
    while True:
        found: Any
        try:
            found, end = json_value(text.seen, text.at)
        except RowFault as fault:
            found, end = fault, _end_of_value(text.seen, text.at)
        if 0 <= end < len(text.seen):
            break
        if not text.grow():
            if end < 0:
                raise FileFault("not JSON: cut off within this row", HINT, text.line)
            break
    text.take(end)
    if isinstance(found, RowFault):
        return found
    try:
        return object_of(found)
    except RowFault as fault:
        return fault


def _end_of_value(seen: str, start: int) -> int:
    """Return where the damaged value ends that begins at `start`, by its brackets; -1 if unseen."""
    depth = 0
    for match in MARKS.finditer(seen, start):
        mark = match[0]
        if mark in "[{":
            depth += 1
        elif mark == '"':
            return -1
        elif depth == 0 and mark in ",]":
            return match.start()
        elif mark in "]}":
            depth -= 1
            if depth <= 0:
                return match.end()
    return -1
