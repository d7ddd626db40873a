"""The list of runs: how each stands, predicted and measured."""

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Resize, ScreenResume
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from advisor.tui.run_page import run_row
from advisor.tui.run_screen import RunScreen
from advisor.tui.store import Store
from advisor.tui.widgets import KeyLine

KEYS = (
    ("?", "help", "app.help"),
    ("Enter", "open", "screen.open"),
    ("Esc", "back", "app.pop_screen"),
    ("q", "quit", "app.quit"),
    ("^p", "all", "app.command_palette"),
)
SECONDS_BETWEEN_LOOKS = 2.0


class RunsScreen(Screen[None]):
    """All runs of this user, the newest first; Enter opens one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.pop_screen", "Back")]

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self._folders: list[Path] = []

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        yield Static(Content.styled("Runs: predicted → measured", "bold"), id="head")
        yield OptionList(id="runs", markup=False, compact=True)
        yield Static(id="empty")
        yield KeyLine(KEYS)

    def on_mount(self) -> None:
        """Look again from time to time, as runs go on."""
        self.set_interval(SECONDS_BETWEEN_LOOKS, self.look)

    def on_screen_resume(self, _: ScreenResume) -> None:
        """Show how the runs stand now."""
        self.call_after_refresh(self.look)

    def on_resize(self, _: Resize) -> None:
        """Lay the rows out for the new width."""
        self.call_after_refresh(self.look)

    def look(self) -> None:
        """Read the history and show it; the cursor stays on its run."""
        if not self.is_current:
            return
        runs, shown = self.store.runs(), self.query_one(OptionList)
        width = max(40, self.size.width - 4)
        at = shown.highlighted or 0
        folders = [Path(one.folder) for one in runs]
        if folders == self._folders:
            for index, entry in enumerate(runs):
                shown.replace_option_prompt_at_index(index, run_row(entry, width))
        else:
            self._folders = folders
            shown.set_options(Option(run_row(entry, width)) for entry in runs)
            shown.highlighted = min(at, len(runs) - 1) if runs else None
        shown.display = bool(runs)
        self.query_one("#empty", Static).update(
            "" if runs else "No runs yet: Esc, then p plans one."
        )
        if runs:
            shown.focus()

    def action_open(self) -> None:
        """Open the run under the cursor."""
        at = self.query_one(OptionList).highlighted
        if at is not None:
            self.app.push_screen(RunScreen(self.store, self._folders[at]))

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_open()
