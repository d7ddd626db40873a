"""Lines of a pane: filtered, wrapped with a hanging indent, and styled; nothing is markup."""

from textwrap import wrap

from textual.content import Content

from advisor.safe_text import safe_text

LONGEST = 600
NARROWEST = 20


class Page:
    """Lines for a width in cells; all text passes the filter for foreign text here."""

    def __init__(self, width: int) -> None:
        self.width = max(NARROWEST, width)
        self._lines: list[Content] = []

    def add(self, text: object, *, mark: str = "", style: str = "", indent: int = 0) -> None:
        """Add a paragraph; what follows its first line hangs under the text, not the mark."""
        first = " " * indent + (f"{mark} " if mark else "")
        words = safe_text(text, longest=LONGEST)
        lines = wrap(
            words,
            self.width,
            initial_indent=first,
            subsequent_indent=" " * len(first),
        ) or [first]
        self._lines += [Content.styled(line, style) for line in lines]

    def head(self, title: str) -> None:
        """Add a heading, set off from what stands above it."""
        if self._lines:
            self.gap()
        self.add(title, style="bold underline")

    def gap(self) -> None:
        """Add an empty line."""
        self._lines.append(Content(""))

    def row(self, *parts: tuple[object, str]) -> None:
        """Add one line of styled parts, cut where the width ends."""
        line = Content.assemble(*((safe_text(text), style) for text, style in parts))
        self._lines.append(line.truncate(self.width, ellipsis=True))

    def content(self) -> Content:
        """Return the whole page."""
        return Content("\n").join(self._lines)
