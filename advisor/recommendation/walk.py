"""Walks from answers to a recommendation."""

from collections.abc import Mapping

from advisor.answers import Answers, read_answers
from advisor.catalog import Catalog, load_catalog
from advisor.decision import articles_alone, decided
from advisor.explore import sweep
from advisor.machine import Machine, detect_machine
from advisor.options import project_of
from advisor.recommendation.assembling import Ground, assembled
from advisor.recommendation.documents import Recommendation
from advisor.tables import RuleBook, RuleSet


def recommend(
    answers: Answers | Mapping[str, object],
    machine: Machine | None = None,
    *,
    rule_set: RuleSet = "all",
    catalog: Catalog | None = None,
    rules: RuleBook | None = None,
    explore: bool = True,
) -> Recommendation:
    """Return the recommendation for one project.

    A pure function of the answers, the tables, the catalogue and the machine's facts; the machine
    is looked at only where the answers say `gpu: local` and none is given. A range is decided at
    its low end, which is what the project surely has, and again at the other. Without `explore` no
    other answers are tried: flips and open questions stay null, which is some ten times faster.

    Raises:
        AdvisorError: `answers_invalid`, `rules_invalid` or `profiles_invalid`.
    """
    read = answers if isinstance(answers, Answers) else read_answers(answers)
    if read.gpu_budget.gpu == "local" and machine is None:
        machine = detect_machine()
    project = project_of(
        read.low_end(),
        catalog=catalog or load_catalog(),
        rules=rules or RuleBook(),
        machine=machine,
    )
    decision = decided(project, rule_set=rule_set)
    upper = read.other_end()
    return assembled(
        Ground(
            answers=read,
            project=project,
            decision=decision,
            documents=decision if rule_set == "documents" else articles_alone(decision),
            upper=decided(project.answering(upper), rule_set=rule_set) if upper else None,
            swept=tuple(sweep(project, decision, rule_set=rule_set)) if explore else None,
            rule_set=rule_set,
        )
    )
