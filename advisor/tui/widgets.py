"""Small widgets that the screens share: a line of keys, a filtered input, a choice, a page."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Click, Resize
from textual.message import Message
from textual.style import Style
from textual.widgets import Button, Input, Static

from advisor.answers import LONGEST_TEXT
from advisor.safe_text import safe_text

Paint = Callable[[int], Content]
BETWEEN_BUTTONS: tuple[BindingType, ...] = (
    Binding("left", "app.focus_previous", show=False),
    Binding("right", "app.focus_next", show=False),
)


class KeyLine(Static):
    """The keys of a screen on one line; each can be clicked."""

    def __init__(self, keys: Sequence[tuple[str, str, str]]) -> None:
        """Take (key as shown, what it does, action) of each."""
        parts: list[Content] = []
        for key, label, action in keys:
            click = Style.from_meta({"@click": action})
            parts.append(Content.assemble((key, "bold"), f" {label}").stylize(click))
        super().__init__(Content("  ").join(parts), classes="keys")


class SafeInput(Input):
    """An input that holds nothing invisible: what is pasted passes the filter first."""

    def validate_value(self, value: str) -> str:
        """Return the value with control and direction characters escaped."""
        return safe_text(value, longest=LONGEST_TEXT)


class Pane(VerticalScroll):
    """A scrolling page that is painted for its width, and again when that changes."""

    def __init__(self, paint: Paint, *, id: str, title: str = "") -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._paint = paint
        self._page = Static()
        self._painted = 0
        self._laid_out = (0, 0)
        if title:
            self.border_title = Content(title)

    def compose(self) -> ComposeResult:
        """Lay out the one child."""
        yield self._page

    def on_resize(self, event: Resize) -> None:
        """Paint again where the width has changed."""
        if event.size.width and event.size.width != self._painted:
            self.paint()

    def paint(self) -> None:
        """Paint the page, if there is room for one."""
        width = self.scrollable_content_region.width
        if not width:
            return
        page = self._paint(width)
        # A layout costs more than the painting: only another height needs one.
        height = page.plain.count("\n")
        moves = (width, height) != self._laid_out
        self._painted, self._laid_out = self.size.width, (width, height)
        self._page.update(page, layout=moves)


class Cycle(Static, can_focus=True):
    """One of several choices on a line; arrows, Enter and clicks go through them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,enter,space", "turn(1)", "Next choice", show=False),
        Binding("left", "turn(-1)", "Choice before", show=False),
    ]

    class Changed(Message):
        """Another choice was made."""

    def __init__(self, choices: Sequence[tuple[str, str | None]], *, id: str) -> None:  # noqa: A002
        """Take (as shown, value) of each choice; the first holds at first."""
        super().__init__(id=id)
        self._choices = list(choices)
        self._at = 0

    @property
    def value(self) -> str | None:
        """Return the value that holds."""
        return self._choices[self._at][1]

    def choose(self, value: str | None) -> None:
        """Make a value hold; one that is no choice changes nothing."""
        values = [one for _, one in self._choices]
        self._at = values.index(value) if value in values else self._at
        self.refresh()

    def render(self) -> Content:
        """Return the choice that holds, between arrows."""
        return Content(f"◂ {safe_text(self._choices[self._at][0])} ▸")

    def action_turn(self, by: int) -> None:
        """Go on by some choices, round in a ring."""
        self._at = (self._at + by) % len(self._choices)
        self.refresh(layout=True)
        self.post_message(self.Changed())

    def on_click(self, event: Click) -> None:
        """Go to the next choice."""
        event.stop()
        self.focus()
        self.action_turn(1)


def button(label: str, name: str) -> Button:
    """Return a button of one row that is seen as one without colour."""
    return Button(Content(f"[ {label} ]"), id=name, compact=True)
