"""The questions as a list: answered in place by arrows, by Enter, or by a click."""

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from advisor.answers import Question
from advisor.safe_text import safe_text
from advisor.tui.page import Page
from advisor.tui.store import Store

GROUPS = {
    "Decides most": (),
    "The task": (
        "task",
        "breadth",
        "language",
        "model_kind",
        "vocabulary_control",
        "architecture_control",
        "facts_change",
        "keep_general_ability",
        "prompt_tried",
        "commercial_use",
    ),
    "Where it is bought": ("provider", "spot", "region"),
    "In use": ("variants", "latency_ms", "calls_per_day"),
    "For the record": ("project", "success_metric", "acceptable_failure"),
}
NOT_ANSWERED = "not answered"
SAID = {"true": "yes", "false": "no", "": NOT_ANSWERED}
LABEL_CELLS = 18


class Questions(OptionList):
    """One row a question; headings between the groups cannot be chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "cycle(1)", "Next choice"),
        Binding("left", "cycle(-1)", "Choice before"),
        Binding("delete,backspace", "clear", "Take the answer back"),
        Binding("n", "next_open", "Next open question"),
        Binding("a", "everything", "Show every question, or only those that matter"),
    ]

    class Answered(Message):
        """An answer changed in place."""

    def __init__(self, store: Store) -> None:
        super().__init__(id="questions", markup=False, compact=True)
        self.store = store
        self.everything = False
        self._shown: dict[str, Question] = {}

    @property
    def question(self) -> Question | None:
        """Return the question under the cursor."""
        option = self.highlighted_option
        return self._shown.get(option.id or "") if option else None

    def show(self) -> None:
        """Show the questions as the store has them; the cursor stays on its question."""
        asked = {one.name: one for one in self.store.asked(everything=self.everything)}
        grouped = {one.path: one for _, group in _groups(asked) for one in group}
        if list(grouped) == list(self._shown):
            for question in grouped.values():
                self._show_again(question)
            return
        kept = self.question
        self._shown = grouped
        self.set_options(self._rows(asked))
        path = kept.path if kept and kept.path in grouped else next(iter(grouped))
        self.highlighted = self.get_option_index(path)

    def _show_again(self, question: Question) -> None:
        """Replace a row that reads otherwise now: each replaced one is laid out anew."""
        row = self._row(question)
        if row.plain != str(self.get_option(question.path).prompt):
            self.replace_option_prompt(question.path, row)

    def _rows(self, asked: dict[str, Question]) -> Iterator[Option]:
        for title, group in _groups(asked):
            yield Option(Content.styled(title, "bold underline"), disabled=True)
            for question in group:
                yield Option(self._row(question), id=question.path)

    def _row(self, question: Question) -> Content:
        page, wrong = Page(self._cells()), self.store.entries.wrong.get(question.path)
        value = self.store.entries.valid.get(question.path, "")
        shown = SAID.get(value, value.replace("_", " ") if question.choices else value)
        style = "" if value else "dim"
        decides = any(one.question == question.name for one in self.store.ask_next)
        mark = "?" if decides else " " if value else "·"
        if wrong:
            mark, shown, style = "✗", wrong.text, "bold"
        label = question.name.replace("_", " ")
        if len(label) > LABEL_CELLS:
            label = f"{label[: LABEL_CELLS - 1]}…"
        page.row((f"{mark} {label:<{LABEL_CELLS}} ", ""), (safe_text(shown), style))
        return page.content()

    def _cells(self) -> int:
        """Return the cells of a row; before the first layout, those of the narrow screen."""
        return self.scrollable_content_region.width or 34

    def action_cycle(self, by: int) -> None:
        """Answer with the next or the previous choice."""
        if self.question is not None and self.question.choices:
            self.store.cycle(self.question, by)
            self.post_message(self.Answered())

    def action_clear(self) -> None:
        """Take the answer back: the question is open again."""
        if self.question is not None:
            self.store.enter(self.question.path, "")
            self.post_message(self.Answered())

    def action_next_open(self) -> None:
        """Go to the next question without an answer."""
        paths = list(self._shown)
        at = paths.index(self.question.path) if self.question else 0
        for path in (*paths[at + 1 :], *paths[:at]):
            if not self.store.is_answered(self._shown[path]):
                self.highlighted = self.get_option_index(path)
                return

    def action_everything(self) -> None:
        """Show every question, or only those that matter."""
        self.everything = not self.everything
        self.show()


def _groups(asked: dict[str, Question]) -> Iterator[tuple[str, list[Question]]]:
    for title, names in GROUPS.items():
        if names:
            group = [asked[name] for name in names if name in asked and not asked[name].leads]
        else:
            group = [one for one in asked.values() if one.leads]
        if group:
            yield title, group
