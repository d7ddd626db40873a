"""The plan dialogs: what is to be planned, then what a launch would do, for a second yes."""

from dataclasses import replace
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from advisor.errors import ErrorName
from advisor.planning.bases import REHEARSAL
from advisor.report.drawing import words
from advisor.tui.plan_page import plan_page, why_page
from advisor.tui.store import Planned, PlanWish, Store
from advisor.tui.widgets import BETWEEN_BUTTONS, Cycle, Pane, SafeInput, button

Choices = list[tuple[str, str | None]]
Decision = Literal["launch", "save", "rehearse", "here"]


class PlanForm(ModalScreen[PlanWish | None]):
    """Asks for the data, and what to take instead of the advice."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store

    def compose(self) -> ComposeResult:
        """Lay out one line a wish."""
        wish = self.store.wish
        where: Choices = [("as answered or advised", None), ("this machine", "here")]
        steps = SafeInput(
            str(wish.max_steps or ""), placeholder="as advised", id="steps", compact=True
        )
        data = SafeInput(wish.data, placeholder="file or folder", id="data", compact=True)
        with Vertical(classes="box"):
            yield Static(Content.styled("Plan a run", "bold"))
            yield from self._line("Data", data)
            yield from self._line("Approach", Cycle(self._approaches(), id="approach"))
            yield from self._line("Base", Cycle(self._bases(), id="base"))
            yield from self._line("Hardware", Cycle(where, id="where"))
            yield from self._line("Steps", steps)
            yield Static("Nothing is written or started yet.", classes="dim")
            with Horizontal(classes="buttons"):
                yield button("Show the plan", "show")
                yield button("Back", "back")

    def _approaches(self) -> Choices:
        found = self.store.recommendation
        advised = words(found.recommended.approach) if found.recommended else "nothing"
        others = ((words(one.approach), one.approach) for one in found.options)
        return [(f"as advised: {advised}", None), *others]

    def _bases(self) -> Choices:
        best = self.store.recommendation.recommended
        advised = (best.base_model if best else None) or "none"
        return [
            (f"as advised: {advised}", None),
            ("the embedded small one, to rehearse", REHEARSAL),
        ]

    def _line(self, label: str, field: Input | Cycle) -> ComposeResult:
        with Horizontal(classes="line"):
            yield Static(label, classes="label")
            yield field

    def on_mount(self) -> None:
        """Begin with the data."""
        wish = self.store.wish
        self.query_one("#approach", Cycle).choose(wish.approach)
        self.query_one("#base", Cycle).choose(wish.base_model)
        self.query_one("#where", Cycle).choose("here" if wish.here else None)
        for line in self.query(Input):
            line.cursor_blink = False
        self.query_one("#data").focus()

    @on(Input.Submitted)
    @on(Button.Pressed, "#show")
    def _show(self) -> None:
        steps = self.query_one("#steps", Input).value.strip()
        if steps and not (steps.isdecimal() and int(steps)):
            self.query_one("#steps").focus()
            self.notify("Steps: a whole number such as 40, or nothing", severity="warning")
            return
        self.dismiss(
            PlanWish(
                data=self.query_one("#data", Input).value,
                approach=self.query_one("#approach", Cycle).value,
                base_model=self.query_one("#base", Cycle).value,
                max_steps=int(steps) if steps else None,
                here=self.query_one("#where", Cycle).value is not None,
            )
        )

    @on(Button.Pressed, "#back")
    def _back(self) -> None:
        self.dismiss(None)


class PlanDialog(ModalScreen[Decision | None]):
    """Shows the plan; Back has the cursor, so that a launch takes a second deliberate key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back"),
        Binding("l", "decide('launch')", "Launch"),
        Binding("s", "decide('save')", "Save only"),
        Binding("w", "why", "Why these settings"),
        *BETWEEN_BUTTONS,
    ]

    def __init__(self, planned: Planned) -> None:
        super().__init__()
        self.planned = planned
        self._why = False

    def compose(self) -> ComposeResult:
        """Lay out the plan and the ways on from it."""
        obstacle = self.planned.obstacle
        with Vertical(classes="box"):
            yield Static(Content.styled("This is the plan", "bold"))
            yield Pane(self._page, id="plan")
            with Horizontal(classes="buttons"):
                if obstacle is None:
                    yield button("Launch (l)", "launch")
                    yield button("Why (w)", "why")
                elif obstacle.name is ErrorName.HARDWARE_ELSEWHERE:
                    yield button("Rehearse", "rehearse")
                    yield button("Plan for here", "here")
                yield button("Save only (s)", "save")
                yield button("Back", "back")

    def _page(self, width: int) -> Content:
        return (why_page if self._why else plan_page)(self.planned, width)

    def on_mount(self) -> None:
        """Stand on Back."""
        self.query_one("#back", Button).focus()

    def action_why(self) -> None:
        """Show every setting with its source, or the plan again."""
        self._why = not self._why
        self.query_one("#plan", Pane).paint()

    def action_decide(self, decision: Decision) -> None:
        """Leave with a decision; a launch only where nothing is in its way."""
        if decision != "launch" or self.planned.obstacle is None:
            self.dismiss(decision)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "why":
            self.action_why()
            return
        chosen: dict[str | None, Decision] = {
            "launch": "launch",
            "save": "save",
            "rehearse": "rehearse",
            "here": "here",
        }
        self.dismiss(chosen.get(event.button.id))


def instead(wish: PlanWish, decision: Decision) -> PlanWish:
    """Return the wish for a rehearsal, or for this machine."""
    if decision == "rehearse":
        return replace(wish, base_model=REHEARSAL, here=False)
    return replace(wish, here=True)
