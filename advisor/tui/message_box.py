"""A box with a message: it is read and left, or it asks for a yes."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from advisor.tui.page import Page
from advisor.tui.widgets import BETWEEN_BUTTONS, Pane, button


class MessageBox(ModalScreen[bool]):
    """Shows lines until it is left; with `yes` it asks, and Back is where the cursor stands."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(False)", "Back"),
        *BETWEEN_BUTTONS,
    ]

    def __init__(self, title: str, lines: Sequence[str], *, yes: str | None = None) -> None:
        super().__init__()
        self._heading = title
        self._lines = lines
        self._yes = yes

    def compose(self) -> ComposeResult:
        """Lay out title, lines and buttons."""
        with Vertical(classes="box"):
            yield Static(Content.styled(self._heading, "bold"))
            page = Pane(self._page, id="message")
            # A question is short: the cursor has only its answers to go to.
            page.can_focus = self._yes is None
            yield page
            with Horizontal(classes="buttons"):
                if self._yes:
                    yield button(self._yes, "yes")
                yield button("Back", "back")

    def _page(self, width: int) -> Content:
        page = Page(width)
        for line in self._lines:
            page.add(line)
        return page.content()

    def on_mount(self) -> None:
        """Stand on Back."""
        self.query_one("#back", Button).focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")
