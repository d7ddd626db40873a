"""One run, live: progress, loss, predicted beside actual; left running, or stopped with a save."""

import locale
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from advisor.errors import AdvisorError
from advisor.tui.chart import draw
from advisor.tui.message_box import MessageBox
from advisor.tui.page import Page
from advisor.tui.plan_page import fault_lines
from advisor.tui.run_page import compared_page, head_page
from advisor.tui.store import Store
from advisor.tui.watching import RunView, RunWatch, stop
from advisor.tui.widgets import KeyLine

KEYS = (
    ("?", "help", "app.help"),
    ("d", "detach: leave it running", "screen.detach"),
    ("s", "stop and save", "screen.stop"),
    ("q", "quit: leave it running", "app.quit"),
    ("^p", "all", "app.command_palette"),
)
SECONDS_BETWEEN_LOOKS = 1.0


class LossChart(Widget):
    """The losses by step, drawn for whatever room the head above leaves."""

    _view: RunView | None = None

    def show(self, view: RunView) -> None:
        """Draw another look at the run."""
        self._view = view
        self.refresh()

    def render(self) -> Content:
        """Return the chart for the size that it has now."""
        view = self._view
        if view is None:
            return Content("")
        lines = draw(
            view.losses,
            width=self.content_size.width,
            height=max(3, self.content_size.height - 1),
            marks=view.validation,
            ascii_only="utf" not in locale.getpreferredencoding().lower(),
        )
        title = "loss by step" + (", ◆ validation" if view.validation else "")
        return Content("\n".join([title, *lines]))


class RunScreen(Screen[None]):
    """Reads the run's files once a second; the job itself is another process."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d,escape", "detach", "Back; the run goes on"),
        Binding("s", "stop", "Stop and save"),
    ]

    def __init__(self, store: Store, folder: Path) -> None:
        super().__init__()
        self.store = store
        self.folder = folder
        self._watch = RunWatch(folder)
        self._view: RunView | None = None

    def compose(self) -> ComposeResult:
        """Lay out head, chart and comparison."""
        yield Static(id="run-head")
        with Horizontal(id="run-body"):
            yield LossChart(id="chart")
            yield Static(id="compared")
        yield KeyLine(KEYS)

    def on_mount(self) -> None:
        """Look at once, then again and again."""
        self.call_after_refresh(self.look)
        self.set_interval(SECONDS_BETWEEN_LOOKS, self.look)

    def on_resize(self, _: Resize) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self._paint)

    def look(self) -> None:
        """Read how the run stands and paint it where that is news."""
        self.store.reap()
        try:
            view = self._watch.look()
        except AdvisorError as error:
            self._tell(fault_lines(error))
            return
        if view != self._view:
            self._view = view
            self._paint()

    def _tell(self, lines: list[str]) -> None:
        head = self.query_one("#run-head", Static)
        page = Page(head.content_region.width)
        for line in lines:
            page.add(line, mark="✗")
        head.update(page.content())

    def _paint(self) -> None:
        view = self._view
        if view is None:
            return
        head, compared = (self.query_one(name, Static) for name in ("#run-head", "#compared"))
        machine = self.store.known_machine
        head.update(head_page(view, head.content_region.width))
        compared.update(
            compared_page(view, machine.gpus if machine else None, compared.content_region.width)
        )
        self.query_one(LossChart).show(view)

    def action_detach(self) -> None:
        """Leave the screen; the run goes on."""
        self.dismiss(None)

    def action_stop(self) -> None:
        """Ask, then stop the run with a checkpoint."""
        if self._view is None or not self._view.alive:
            self.app.push_screen(MessageBox("Stop", ["This run is not running on this machine."]))
            return
        lines = ["The run saves a checkpoint after its step and ends.", "It can be resumed."]
        self.app.push_screen(MessageBox("Stop this run?", lines, yes="Stop and save"), self._stop)

    def _stop(self, agreed: bool | None) -> None:  # noqa: FBT001 - Textual passes the result
        if agreed:
            stop(self.folder)
            self.look()
