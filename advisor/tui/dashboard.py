"""The dashboard: questions left, the verdict and what it rests on right, live."""

from collections.abc import Iterator
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.events import Resize, ScreenResume
from textual.screen import Screen
from textual.style import Style
from textual.widgets import OptionList, Static
from textual.worker import get_current_worker

from advisor.answers import Answers
from advisor.explore import Swept
from advisor.tui.ask_dialog import AskDialog
from advisor.tui.page import Page
from advisor.tui.panes import cost_page, flips_page, others_page, verdict_page, why_page
from advisor.tui.questions import Questions
from advisor.tui.store import Store
from advisor.tui.widgets import KeyLine, Pane

TABS = {"why": "1 Why", "cost": "2 Cost", "what-if": "3 What-if", "others": "4 Others"}
WIDE_FROM = 130
SECONDS_BEFORE_FLIPS = 0.4
KEYS = (
    ("?", "help", "app.help"),
    ("Enter", "answer", "screen.answer"),
    ("n", "next open", "screen.next_open"),
    ("u", "undo", "screen.undo"),
    ("p", "plan", "app.plan"),
    ("r", "runs", "app.runs"),
    ("q", "quit", "app.quit"),
    ("^p", "all", "app.command_palette"),
)


class Dashboard(Screen[None]):
    """Every change of an answer repaints verdict, ranges and panes at once."""

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - as Textual declares it
        (0, "-narrow"),
        (WIDE_FROM, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "tab('why')", "Why this is the answer"),
        Binding("2", "tab('cost')", "What it costs, and how that comes about"),
        Binding("3", "tab('what-if')", "What would change the answer"),
        Binding("4", "tab('others')", "The other approaches"),
        Binding("u,ctrl+z", "undo", "Undo the last change"),
    ]

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.tab = "why"
        self.questions = Questions(store)

    def compose(self) -> ComposeResult:
        """Lay out the two sides."""
        yield Static(id="head")
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield self.questions
                yield Static(id="hint")
            with Vertical(id="right"):
                yield Static(id="verdict")
                yield Static(id="tabs")
                with Container(id="panes"):
                    yield from self._panes()
        yield KeyLine(KEYS)

    def _panes(self) -> Iterator[Pane]:
        store = self.store
        yield Pane(lambda width: why_page(store, width), id="why", title="Why")
        yield Pane(lambda width: cost_page(store, width), id="cost", title="Cost")
        yield Pane(lambda width: flips_page(store, width), id="what-if", title="What-if")
        yield Pane(lambda width: others_page(store, width), id="others", title="Others")

    def on_mount(self) -> None:
        """Show the first tab and the questions."""
        self._rest = self.set_timer(0, self._refresh_flips)
        self.questions.show()
        self._show_tab()
        self.questions.focus()

    def on_screen_resume(self, _: ScreenResume) -> None:
        """Show what may have changed meanwhile."""
        self.repaint()

    def on_resize(self, _: Resize) -> None:
        """Lay the lines out for the new size."""
        self.call_after_refresh(self.repaint)

    def repaint(self) -> None:
        """Paint all that shows answers or the recommendation."""
        self.questions.show()
        self._paint_head()
        self._paint_hint()
        verdict = self.query_one("#verdict", Static)
        page = verdict_page(self.store, verdict.content_region.width or 44)
        verdict.update(page, layout=False)
        for pane in self.query(Pane):
            if pane.display:
                pane.paint()
        self._refresh_flips()

    def _paint_head(self) -> None:
        store = self.store
        leading = [one for one in store.asked() if one.leads]
        done = sum(store.is_answered(one) for one in leading)
        machine = store.known_machine
        gpus = ", ".join(gpu.name for gpu in machine.gpus) if machine else ""
        here = "looking …" if machine is None else gpus or "no GPU"
        page = Page(self.size.width - 2)
        page.row(
            ("advisor  ", "bold"),
            (store.answers.project or "new project", "bold"),
            (f"  answers {len(store.entries.valid)}, leading {done}/{len(leading)}", ""),
            (f"  here: {here}", ""),
        )
        self.query_one("#head", Static).update(page.content(), layout=False)

    @on(OptionList.OptionHighlighted, "#questions")
    def _paint_hint(self) -> None:
        question, hint = self.questions.question, self.query_one("#hint", Static)
        if question is None:
            return
        page = Page(hint.content_region.width or 32)
        wrong = self.store.entries.wrong.get(question.path)
        if wrong:
            page.add(f"expected {wrong.expected}", mark="✗", style="bold")
        page.add(question.help)
        if not wrong:
            page.add("◂ ▸ choose · Enter list" if question.choices else question.expected)
        hint.update(page.content(), layout=False)

    def _show_tab(self) -> None:
        for name in TABS:
            self.set_class(name == self.tab, f"-tab-{name}")
        parts = []
        for name, label in TABS.items():
            click = Style.from_meta({"@click": f"screen.tab('{name}')"})
            style = Style(bold=True, reverse=True) if name == self.tab else Style(dim=True)
            parts.append(Content(f" {label} ").stylize(click + style))
        self.query_one("#tabs", Static).update(Content(" ").join(parts), layout=False)

    def action_tab(self, name: str) -> None:
        """Show one pane; where all are shown, go to it."""
        self.tab = name
        self._show_tab()
        pane = self.query_one(f"#{name}", Pane)
        self.call_after_refresh(pane.paint)
        if self.has_class("-wide"):
            pane.focus()
        self._refresh_flips()

    def action_undo(self) -> None:
        """Take the last change back."""
        if self.store.undo():
            self._answered()

    def action_next_open(self) -> None:
        """Go to the next open question."""
        self.questions.focus()
        self.questions.action_next_open()

    def action_answer(self) -> None:
        """Answer the question under the cursor."""
        if self.questions.question is not None:
            self.app.push_screen(
                AskDialog(self.store, self.questions.question), lambda _: self._answered()
            )

    @on(OptionList.OptionSelected, "#questions")
    def _ask(self) -> None:
        self.action_answer()

    @on(Questions.Answered)
    def _answered(self) -> None:
        self.repaint()

    def _refresh_flips(self) -> None:
        """Try other answers once those that stand rest for a moment; each change begins anew."""
        self._rest.stop()
        if self.store.swept is None:
            self._rest = self.set_timer(SECONDS_BEFORE_FLIPS, self._find_flips)

    @work(thread=True, exclusive=True, group="flips", exit_on_error=False)
    def _find_flips(self) -> None:
        worker, answers, found = get_current_worker(), self.store.answers, []
        for swept in self.store.sweep():
            if worker.is_cancelled:
                return
            found.append(swept)
        self.app.call_from_thread(self._show_flips, answers, tuple(found))

    def _show_flips(self, answers: Answers, found: tuple[Swept, ...]) -> None:
        if answers is not self.store.answers:
            return
        self.store.keep_swept(found)
        self.questions.show()
        self.query_one("#what-if", Pane).paint()
