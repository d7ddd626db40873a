"""What is shown where the terminal is too small: that, and nothing else."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize, ScreenResume
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Static

COLUMNS, ROWS = 80, 24


def is_too_small(size: Size) -> bool:
    """Tell whether the screens do not fit."""
    return size.width < COLUMNS or size.height < ROWS


class TooSmall(ModalScreen[None]):
    """Takes no key but quit, so that nothing is done unseen."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,ctrl+q", "app.quit", "Quit")]

    def compose(self) -> ComposeResult:
        """Lay out the sentence."""
        yield Static(id="too-small")

    def on_screen_resume(self, _: ScreenResume) -> None:
        """Say it, or leave where there is room by now."""
        self._say(self.app.size)

    def on_resize(self, event: Resize) -> None:
        """Say it again for the new size, or leave where there is room."""
        self._say(event.size)

    def _say(self, size: Size) -> None:
        if not is_too_small(size):
            if self.is_current:
                self.dismiss()
            return
        self.query_one(Static).update(
            f"advisor needs a terminal of {COLUMNS} × {ROWS}; this one is {size.width} ×"
            f" {size.height}. Make it larger, or press q and use: advisor recommend"
        )
