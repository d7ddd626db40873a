"""The state behind the screen: entries, verdict, what moved, plans and runs. It knows no screen."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from advisor.answers import Answers, Question, questions
from advisor.catalog import Catalog, load_catalog
from advisor.decision import decided
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation.training_job import LOCAL, Device
from advisor.explore import Asked, Swept, next_questions, questions_that_apply, sweep
from advisor.launching import Proposal, launch, propose, require_startable, write
from advisor.machine import Machine, detect_machine
from advisor.options import Project, project_of
from advisor.planning import LeadChoices
from advisor.recommendation import Recommendation, recommend
from advisor.runs.history import RunEntry, all_runs
from advisor.tables import RuleBook
from advisor.tui.entries import Entries, Wrong, entries_of
from advisor.tui.moves import Measure, Moves, moves_between

MOST_UNDONE = 100
OWNED = "owned"
# Which hardware is rented matters where some is; these tell no row of a table but licence, text
# or report.
BOUGHT = frozenset({"provider", "spot", "region"})
ALWAYS_ASKED = frozenset(
    {"language", "commercial_use", "project", "success_metric", "acceptable_failure"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanWish:
    """What the lead wants planned; None follows the advice. `here` plans for this machine."""

    data: str = ""
    approach: str | None = None
    base_model: str | None = None
    max_steps: int | None = None
    here: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A proposal, and what keeps it from being started on this machine, if anything does."""

    proposal: Proposal
    obstacle: AdvisorError | None


Proposer = Callable[..., Proposal]


class Store:
    """All that the screens show, changed by what the lead does."""

    def __init__(
        self,
        *,
        answers: Answers | None = None,
        machine: Machine | None = None,
        proposer: Proposer = propose,
    ) -> None:
        self.catalog: Catalog = load_catalog()
        self.rules = RuleBook()
        self.entries = entries_of(answers or Answers())
        self.answers = answers or Answers()
        self.moves = Moves()
        self.swept: tuple[Swept, ...] | None = None
        self.ask_next: tuple[Asked, ...] = ()
        self.wish = PlanWish()
        self._machine = machine
        self._proposer = proposer
        self._past: list[Entries] = []
        self._children: set[int] = set()
        self.recommendation = self._recommend(self.answers)

    @property
    def machine(self) -> Machine:
        """Return the facts of this machine, looked up once."""
        if self._machine is None:
            self._machine = detect_machine()
        return self._machine

    @property
    def known_machine(self) -> Machine | None:
        """Return the facts of this machine if they have been looked up already."""
        return self._machine

    def enter(self, path: str, text: str) -> Wrong | None:
        """Answer a question, or unanswer it with empty text; return what is wrong with the entry.

        A wrong entry is kept and marked; the last valid answers and their verdict stay.
        """
        text = text.strip()
        entered = self.entries.with_valid(path, text)
        try:
            answers = entered.read()
            found = self._recommend(answers)
        except AdvisorError as error:
            wrong = Wrong(text=text, error=error)
            self.entries = self.entries.with_wrong(path, wrong)
            return wrong
        if entered != self.entries:
            self._past = [*self._past[-MOST_UNDONE:], self.entries]
        self._show(entered, answers, found)
        return None

    def undo(self) -> bool:
        """Take the last change back; return whether there was one."""
        if not self._past:
            return False
        entries = self._past.pop()
        answers = entries.read()
        self._show(entries, answers, self._recommend(answers))
        return True

    def _show(self, entries: Entries, answers: Answers, found: Recommendation) -> None:
        self.moves = moves_between(self.recommendation, found)
        self.entries, self.answers, self.recommendation = entries, answers, found
        self.swept, self.ask_next = None, ()

    def _recommend(self, answers: Answers) -> Recommendation:
        machine = self.machine if answers.gpu_budget.gpu == LOCAL else None
        return recommend(answers, machine, catalog=self.catalog, rules=self.rules, explore=False)

    def cycle(self, question: Question, by: int) -> None:
        """Go to the next or the previous choice; before the first is the open question."""
        if not question.choices:
            return
        ring = ("", *question.choices)
        now = self.entries.valid.get(question.path, "")
        self.enter(question.path, ring[(ring.index(now) + by) % len(ring)])

    def is_answered(self, question: Question) -> bool:
        """Tell whether a question has a valid answer."""
        return question.path in self.entries.valid

    def asked(self, *, everything: bool = False) -> tuple[Question, ...]:
        """Return the questions that lead, are answered, or matter as the others stand."""
        project = self.project()
        applying = questions_that_apply(project)
        if self.recommendation.estimate is not None and project.setting == "cloud":
            applying |= BOUGHT
        return tuple(
            question
            for question in questions()
            if everything or question.leads or self._matters(question, applying)
        )

    def _matters(self, question: Question, applying: frozenset[str]) -> bool:
        if self.is_answered(question) or question.path in self.entries.wrong:
            return True
        return question.name in applying or question.name in ALWAYS_ASKED

    def suggestions(self, question: Question) -> tuple[str, ...]:
        """Return the names that the catalogue knows for a question that is answered with one."""
        if question.name == "gpu":
            return (LOCAL, *self.catalog.gpus)
        if question.name == "provider":
            return (OWNED, *sorted(self.catalog.providers))
        return ()

    def limit(self, measure: Measure) -> float | None:
        """Return what a range must stay under: deadline, budget or the memory of one GPU."""
        budget = self.answers.gpu_budget
        if measure == "time":
            return budget.deadline
        if measure == "cost":
            return budget.budget_usd
        estimate = self.recommendation.estimate
        gpu = estimate.request.gpu if estimate else None
        return Device.of_gpu(self.catalog.gpu(gpu)).memory_gb if gpu and gpu != LOCAL else None

    def project(self) -> Project:
        """Return the answers with all that deciding looks up."""
        return project_of(
            self.answers,
            catalog=self.catalog,
            rules=self.rules,
            machine=self.machine if self.answers.gpu_budget.gpu == LOCAL else None,
        )

    def sweep(self) -> Iterator[Swept]:
        """Yield what other answers would do, question by question; this takes a moment."""
        project = self.project()
        yield from sweep(project, decided(project))

    def keep_swept(self, swept: tuple[Swept, ...]) -> None:
        """Take what other answers would do, as found for the answers that stand."""
        self.swept, self.ask_next = swept, next_questions(self.project(), swept)

    def plan(self, wish: PlanWish) -> Planned:
        """Return the plan for the answers and the wish; nothing is written.

        Raises:
            AdvisorError: what is wrong with the wish, the data or the base model.
        """
        self.wish = wish
        if not wish.data.strip():
            fault = Fault(
                field="data",
                expected="a file or folder of text, JSONL, CSV or Parquet",
                found="none",
                hint="type its path",
            )
            raise AdvisorError(ErrorName.USAGE, "there is no data to train on", [fault])
        choices = LeadChoices(
            approach=wish.approach, base_model=wish.base_model, max_steps=wish.max_steps
        )
        data = [Path(wish.data.strip()).expanduser()]
        proposal = self._proposer(self._planned_answers(wish), data, choices=choices)
        return Planned(proposal=proposal, obstacle=_obstacle(proposal))

    def _planned_answers(self, wish: PlanWish) -> Answers:
        if not wish.here:
            return self.answers
        answers = self.answers.low_end()
        budget = answers.gpu_budget
        local = budget.model_copy(update={"gpu": LOCAL, "gpus": 1, "provider": None})
        return answers.model_copy(update={"gpu_budget": local})

    def save(self, planned: Planned) -> Path:
        """Write the run folder of a plan; nothing is started."""
        return write(planned.proposal).resolve()

    def start(self, planned: Planned) -> Path:
        """Write the run folder and start its job as a process that outlives this one."""
        folder = self.save(planned)
        self._children.add(int(launch(folder, detached=True)["pid"]))
        return folder

    def reap(self) -> None:
        """Take note of jobs of this process that have ended, so that they do not seem to live."""
        for pid in tuple(self._children):
            try:
                ended = os.waitpid(pid, os.WNOHANG)[0]
            except ChildProcessError:
                ended = pid
            if ended:
                self._children.discard(pid)

    def runs(self) -> list[RunEntry]:
        """Return the runs of this user's history, the newest first."""
        self.reap()
        return all_runs()


def _obstacle(proposal: Proposal) -> AdvisorError | None:
    try:
        require_startable(proposal.plan, proposal.machine)
    except AdvisorError as error:
        return error
    return None
