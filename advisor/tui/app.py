"""The app: its screens, the actions that are everywhere, and the way in."""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar, TypeVar

from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.screen import Screen

from advisor.answers import Answers
from advisor.errors import AdvisorError, ErrorName
from advisor.tui.dashboard import Dashboard
from advisor.tui.help_screen import HelpScreen
from advisor.tui.message_box import MessageBox
from advisor.tui.plan_dialog import Decision, PlanDialog, PlanForm, instead
from advisor.tui.plan_page import fault_lines
from advisor.tui.run_screen import RunScreen
from advisor.tui.runs_screen import RunsScreen
from advisor.tui.store import Planned, PlanWish, Store
from advisor.tui.too_small import TooSmall, is_too_small

T = TypeVar("T")
SWITCH_SECONDS = 0.0005


class AdvisorApp(App[None]):
    """Explore, decide, launch and watch."""

    CSS_PATH = Path(__file__).with_name("advisor.tcss")
    TITLE = "advisor"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "help", "Help"),
        Binding("p,f5", "plan", "Plan a run"),
        Binding("r,f4", "runs", "Runs"),
        Binding("q,ctrl+q", "quit", "Quit; runs go on"),
    ]

    def __init__(self, store: Store) -> None:
        # With ansi_color the NoColor filter of Textual applies, which leaves no colour at all.
        super().__init__(ansi_color=True if os.environ.get("NO_COLOR") else None)
        self.store = store
        self.dashboard = Dashboard(store)
        self.animation_level = "none"

    def get_default_screen(self) -> Screen[None]:
        """Return the dashboard."""
        return self.dashboard

    def on_mount(self) -> None:
        """Find out about this machine while the first screen is there."""
        self._look_at_machine()

    @work(thread=True, exit_on_error=False)
    def _look_at_machine(self) -> None:
        _ = self.store.machine
        self.call_from_thread(self.dashboard.repaint)

    def on_resize(self, event: Resize) -> None:
        """Say so where the terminal is too small, until it is not."""
        if is_too_small(event.size) and not isinstance(self.screen, TooSmall):
            self.push_screen(TooSmall())

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield every action that the screen's keys offer, then the theme."""
        seen = set()
        for node, binding, enabled, _ in screen.active_bindings.values():
            if enabled and binding.description and binding.action not in seen:
                seen.add(binding.action)
                yield SystemCommand(
                    binding.description,
                    f"key {binding.key}",
                    lambda action=binding.action, node=node: self._do(action, node),
                )
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)

    async def _do(self, action: str, node: object) -> None:
        await self.run_action(action, node)  # type: ignore[arg-type]

    def action_help(self) -> None:
        """Show the help."""
        self.push_screen(HelpScreen())

    def action_runs(self) -> None:
        """Show the runs."""
        if not isinstance(self.screen, RunsScreen):
            self.push_screen(RunsScreen(self.store))

    def action_plan(self) -> None:
        """Ask what to plan."""
        self.push_screen(PlanForm(self.store), self._wished)

    def _wished(self, wish: PlanWish | None) -> None:
        if wish is not None:
            self.notify("Reading the data and planning …", timeout=2)
            self._attempt(lambda: self.store.plan(wish), self._show_plan)

    def _show_plan(self, planned: Planned) -> None:
        self.push_screen(PlanDialog(planned), lambda decision: self._decided(planned, decision))

    def _decided(self, planned: Planned, decision: Decision | None) -> None:
        if decision == "launch":
            self._attempt(lambda: self.store.start(planned), self._started)
        elif decision == "save":
            self._attempt(lambda: self.store.save(planned), self._saved)
        elif decision is not None:
            self._wished(instead(self.store.wish, decision))

    def _started(self, folder: Path) -> None:
        self.push_screen(RunScreen(self.store, folder))

    def _saved(self, folder: Path) -> None:
        lines = [f"The run folder is {folder}.", f"Start it with: advisor launch {folder}"]
        self.push_screen(MessageBox("Saved; nothing is started", lines))

    @work(thread=True, exclusive=True, group="attempt", exit_on_error=False)
    def _attempt(self, do: Callable[[], T], then: Callable[[T], None]) -> None:
        """Do what may take a while beside the screen; an error becomes a box, and the app lives."""
        try:
            done = do()
        except AdvisorError as error:
            self.call_from_thread(self._show_error, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the app must live on
            told = AdvisorError(ErrorName.BUG, f"a bug of ours ({type(error).__name__}: {error})")
            self.call_from_thread(self._show_error, told)
        else:
            self.call_from_thread(then, done)

    def _show_error(self, error: AdvisorError) -> None:
        self.push_screen(MessageBox(f"✗ {error.name.replace('_', ' ')}", fault_lines(error)))


def open_screen(answers: Answers | None = None) -> int:
    """Run the app until it is left and return its exit code."""
    # Painting waits for the interpreter lock at every write while another thread reckons.
    sys.setswitchinterval(SWITCH_SECONDS)
    # An empty NO_COLOR asks for nothing, but Textual would take it as set.
    if not os.environ.get("NO_COLOR"):
        os.environ.pop("NO_COLOR", None)
    app = AdvisorApp(Store(answers=answers))
    app.run()
    return app.return_code or 0
