"""The project that is decided for: its answers with all that choosing looks up."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from advisor.answers import Answers
from advisor.catalog import Catalog
from advisor.machine import Machine
from advisor.options.priced import Prices
from advisor.tables import RuleBook

Setting = Literal["owned", "cloud"]


class Project(NamedTuple):
    """The answers with all that the choice of candidates looks up; made by `project_of`."""

    answers: Answers
    facts: Mapping[str, object]
    catalog: Catalog
    rules: RuleBook
    machine: Machine | None
    prices: Prices

    @property
    def setting(self) -> Setting:
        """Tell whether the hardware is the project's own, where only energy is paid for."""
        budget = self.answers.gpu_budget
        private = self.answers.privacy in ("on_prem", "air_gapped")
        own = budget.provider == "owned" or (budget.provider is None and private)
        return "owned" if own or budget.gpu == "local" else "cloud"

    def answering(self, answers: Answers) -> "Project":
        """Return the same project with other answers; what was priced stays known."""
        return self._replace(answers=answers, facts=facts_of(answers, self.rules))


def project_of(
    answers: Answers, *, catalog: Catalog, rules: RuleBook, machine: Machine | None
) -> Project:
    """Return the project that the answers describe."""
    return Project(
        answers=answers,
        facts=facts_of(answers, rules),
        catalog=catalog,
        rules=rules,
        machine=machine,
        prices=Prices(catalog, machine),
    )


def facts_of(answers: Answers, rules: RuleBook) -> dict[str, object]:
    """Return what the tables test: the answers by name, the kind of model chosen where it must be.

    It is chosen where it was left out, and where the kind that was answered cannot do the task.
    """
    facts = answers.facts()
    row = rules.first("model_kind", facts)
    facts["model_kind"] = (row and row.outcome["kind"]) or facts["model_kind"] or "generative"
    return facts
