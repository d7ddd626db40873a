"""The help: what the screen shows, and every key."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from advisor.tui.page import Page
from advisor.tui.widgets import KeyLine, Pane

TEXT = (
    "Answer what you know; the rest stays open. Each change is weighed at once.",
    "The verdict has 80 % ranges for time, cost and memory, and reasons with their sources.",
    "·  open question      ?  open, and could change the answer      ✗  not understood",
    "◆ ▲ ▼  what the last change moved, and what it was",
    "A run is a process of its own: it goes on when this program ends, and r finds it again.",
)
KEYS = {
    "Questions": (
        ("↑ ↓", "move"),
        ("← →", "go through the choices"),
        ("Enter, click", "answer"),
        ("Delete", "take the answer back"),
        ("u, ^z", "undo the last change"),
        ("n", "next open question"),
        ("a", "show every question, or only those that matter"),
    ),
    "Answer": (
        ("1 2 3 4", "Why, Cost, What-if, Others"),
        ("Tab", "to the pane, to scroll it; back"),
    ),
    "Runs": (
        ("p, F5", "plan a run"),
        ("l, s", "in the plan: launch, save only"),
        ("r, F4", "list of runs; Enter opens one"),
        ("d, Esc", "leave a run's screen; it goes on"),
        ("s", "stop a run, with a checkpoint"),
    ),
    "Everywhere": (
        ("?, F1", "this help"),
        ("^p", "every action by name"),
        ("Esc", "back"),
        ("q, ^q", "quit"),
    ),
}


class HelpScreen(ModalScreen[None]):
    """A page to scroll."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q", "dismiss(None)", "Back")
    ]

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        with Vertical(classes="box"):
            yield Static(Content.styled("Help", "bold"))
            yield Pane(self._page, id="help")
            yield KeyLine((("Esc", "back", "screen.dismiss"), ("↑ ↓", "scroll", "screen.focus")))

    def _page(self, width: int) -> Content:
        page = Page(width)
        for paragraph in TEXT:
            page.add(paragraph)
        for title, keys in KEYS.items():
            page.head(title)
            for key, does in keys:
                page.add(does, mark=f"{key:<13}")
        return page.content()

    def on_mount(self) -> None:
        """Let the arrows scroll."""
        self.query_one(Pane).focus()
