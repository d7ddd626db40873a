"""The dialog that asks one question: a list of choices, or a line to type in."""

from collections.abc import Iterator
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from advisor.answers import Question
from advisor.safe_text import safe_text
from advisor.tui.page import Page
from advisor.tui.questions import SAID
from advisor.tui.store import Store
from advisor.tui.widgets import SafeInput, button

WIDTH = 36


class AskDialog(ModalScreen[None]):
    """Asks one question; what is entered goes to the store, which says whether it is understood."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back without a change"),
        Binding("down", "to_list", show=False),
    ]

    def __init__(self, store: Store, question: Question) -> None:
        super().__init__()
        self.store = store
        self.question = question
        wrong = store.entries.wrong.get(question.path)
        self._before = safe_text(
            wrong.text if wrong else store.entries.valid.get(question.path, ""), 10_000
        )
        self._names = question.choices or store.suggestions(question)

    def compose(self) -> ComposeResult:
        """Lay out title, help, the ways to answer, the fault and the buttons."""
        with Vertical(classes="box"):
            yield Static(Content.styled(self.question.name.replace("_", " "), "bold"))
            page = Page(WIDTH - 4)
            page.add(self.question.help)
            yield Static(page.content())
            yield from self._ways()
            yield Static(id="fault")
            with Horizontal(classes="buttons"):
                if not self.question.choices:
                    yield button("Keep", "keep")
                yield button("Back", "back")

    def _ways(self) -> Iterator[Widget]:
        if not self.question.choices:
            yield SafeInput(self._before, placeholder=self.question.expected, compact=True)
        if self._names:
            yield OptionList(*self._options(""), markup=False, compact=True)

    def _options(self, typed: str) -> list[Option]:
        if not self.question.choices:
            near = [name for name in self._names if typed.lower() in name]
            return [Option(name, id=name) for name in near]
        ring = ("", *self._names)
        return [Option(SAID.get(name, name.replace("_", " ")), id=name or "-") for name in ring]

    def on_mount(self) -> None:
        """Put the cursor where the answer is."""
        for line in self.query(Input):
            line.cursor_blink = False
            line.focus()
            return
        choices = self.query_one(OptionList)
        choices.highlighted = choices.get_option_index(self._before or "-")
        choices.focus()

    def action_to_list(self) -> None:
        """Go from the line to the names below it."""
        for names in self.query(OptionList):
            names.focus()

    @on(Input.Changed)
    def _narrow(self, event: Input.Changed) -> None:
        for names in self.query(OptionList):
            typed = "" if event.value == self._before else event.value.strip()
            names.set_options(self._options(typed))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        name = event.option.id or ""
        self._enter("" if name == "-" else name)

    @on(Input.Submitted)
    @on(Button.Pressed, "#keep")
    def _typed(self) -> None:
        value = self.query_one(Input).value
        if value == self._before and self.question.path not in self.store.entries.wrong:
            # What is shown is filtered: an answer that was not touched stays as it is.
            self.dismiss()
            return
        self._enter(value)

    @on(Button.Pressed, "#back")
    def _back(self) -> None:
        self.dismiss()

    def _enter(self, text: str) -> None:
        wrong = self.store.enter(self.question.path, text)
        if wrong is None:
            self.dismiss()
            return
        page = Page(WIDTH - 4)
        page.add(f"expected {wrong.expected}", mark="✗", style="bold")
        self.query_one("#fault", Static).update(page.content())
