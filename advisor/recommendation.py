"""The recommendation: the document, and the one walk from answers to it."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from advisor.answers import Answers, read_answers
from advisor.catalog import Catalog, load_catalog
from advisor.decision import Decision, Ranked, articles_alone, because, decide
from advisor.estimation.documents import Estimate
from advisor.explore import questions_that_matter
from advisor.machine import Machine, detect_machine
from advisor.options import Option, Project, build_options, facts_of
from advisor.tables import Approach, Rule, RuleBook, RuleSet
from advisor.units import show_gb, show_hours, show_usd


class Document(BaseModel):
    """A part of the recommendation; nothing changes once it is made."""

    # Built as one when the whole is first made: each part alone would cost every start its share.
    model_config = ConfigDict(
        frozen=True, protected_namespaces=(), serialize_by_alias=True, defer_build=True
    )


class Recommended(Document):
    """The answer: what to train and how."""

    approach: Approach
    method: str
    objective: str
    stages: tuple[Approach, ...]
    base_model: str | None
    next_step: str | None
    confidence: float | None
    summary: str


class BlockerEntry(Document):
    """What stands in the way of an option."""

    what: Literal["memory", "time", "money", "data", "licence", "privacy"]
    needs: str
    has: str
    nearest_fix: str


class OptionEntry(Document):
    """One approach with its score; `estimate` is null where there is nothing to price."""

    approach: Approach
    method: str
    base_model: str | None
    feasible: bool
    score: float
    reasons: tuple[str, ...]
    blockers: tuple[BlockerEntry, ...]
    estimate: Estimate | None


class SourceEntry(Document):
    """Where a rule comes from."""

    article: str
    publisher: str
    title: str
    section: str
    date: str


class Reason(Document):
    """A rule row that fired: what it says, and what it weighs for each approach."""

    rule: str
    set: str
    favours: Approach
    weight: float
    weights: dict[str, float]
    because: str
    says: str
    reading: str | None
    source: SourceEntry
    evidence: Literal["supported", "conditional", "contradicted", "untested"]


class ConflictEntry(Document):
    """Rows that disagree and what resolved it."""

    rules: tuple[str, ...]
    resolved_by: str
    why: str


class DocumentsOnly(Document):
    """What the articles' tables alone would have said."""

    approach: Approach | None


class AskNext(Document):
    """An unanswered question that could still change the approach."""

    question: str
    why: str


class Recommendation(Document):
    """What to do, why, at what price, and what was left behind.

    `flips` and `similar_cases` are null: not computed here. `advisor.explore.flips` and the screen
    tell the flips, which take some half a second.
    """

    schema_: Literal["advisor.recommendation/1"] = Field(
        default="advisor.recommendation/1", alias="schema"
    )
    answers: Answers
    rules: RuleSet
    feasible: bool
    machine: dict[str, Any] | None
    recommended: Recommended | None
    options: tuple[OptionEntry, ...]
    reasons: tuple[Reason, ...]
    conflicts: tuple[ConflictEntry, ...]
    documents_only: DocumentsOnly
    flips: None = None
    ask_next: tuple[AskNext, ...]
    similar_cases: None = None
    estimate: Estimate | None
    checklist: tuple[str, ...]
    warnings: tuple[str, ...]


def recommend(
    answers: Answers | Mapping[str, object],
    machine: Machine | None = None,
    *,
    rule_set: RuleSet = "all",
    catalog: Catalog | None = None,
    rules: RuleBook | None = None,
) -> Recommendation:
    """Return the recommendation for one project.

    A pure function of the answers, the tables, the catalogue and the machine's facts; the machine
    is looked at only where the answers say `gpu: local` and none is given.

    Raises:
        AdvisorError: `answers_invalid`, `rules_invalid` or `profiles_invalid`.
    """
    project = _project(answers, machine, catalog or load_catalog(), rules or RuleBook())
    options = build_options(project)
    decision = decide(project.facts, options, rules=project.rules, rule_set=rule_set)
    documents = decision if rule_set == "documents" else articles_alone(decision)
    return _document(project, decision, documents, rule_set)


def _project(
    answers: Answers | Mapping[str, object],
    machine: Machine | None,
    catalog: Catalog,
    rules: RuleBook,
) -> Project:
    read = answers if isinstance(answers, Answers) else read_answers(answers)
    facts = facts_of(read, rules)
    if read.gpu_budget.gpu == "local" and machine is None:
        machine = detect_machine()
    return Project(answers=read, facts=facts, catalog=catalog, rules=rules, machine=machine)


def _document(
    project: Project, decision: Decision, documents: Decision, rule_set: RuleSet
) -> Recommendation:
    best = decision.best
    chosen = {**project.facts, "approach": best.option.approach if best else None}
    return Recommendation.model_validate(
        {
            "schema": "advisor.recommendation/1",
            "answers": project.answers,
            "rules": rule_set,
            "feasible": best is not None,
            "machine": project.machine.as_document() if project.machine else None,
            "recommended": _recommended(project, decision, best, rule_set) if best else None,
            "options": [_option(ranked) for ranked in decision.ranked],
            "reasons": [_reason(rule, project.facts) for rule in decision.fired],
            "conflicts": [one._asdict() for one in decision.conflicts],
            "documents_only": {
                "approach": documents.best.option.approach if documents.best else None
            },
            "ask_next": [
                {"question": question, "why": why}
                for question, why in questions_that_matter(project, decision, rule_set=rule_set)
            ],
            "estimate": best.option.estimate if best else None,
            "checklist": [
                f"{row.outcome['item']} ({row.outcome['source']})"
                for row in project.rules.choices("checklist")
                if row.fits(chosen)
            ],
            "warnings": _warnings(project, best),
        }
    )


def _recommended(
    project: Project, decision: Decision, best: Ranked, rule_set: RuleSet
) -> dict[str, object]:
    option = best.option
    facts = {**project.facts, "approach": option.approach}
    stages = project.rules.first("stages", facts)
    return {
        "approach": option.approach,
        "method": option.method,
        "objective": option.objective,
        "stages": stages.outcome["stages"].split() if stages else [option.approach],
        "base_model": option.base_model,
        "next_step": _next_step(project.rules, facts),
        "confidence": _confidence(project.rules, decision, rule_set),
        "summary": summary_of(option),
    }


def _next_step(rules: RuleBook, facts: Mapping[str, object]) -> str | None:
    row = rules.first("next_steps", facts)
    if row is None:
        return None
    short = 0
    if row.outcome["short_of"]:
        short = int(row.outcome["short_of"]) - int(str(facts["labelled_examples"] or 0))
    return row.outcome["step"].format(short=short)


def _confidence(rules: RuleBook, decision: Decision, rule_set: RuleSet) -> float | None:
    """Return the share of known projects with such a lead that got this advice right."""
    feasible = [one.score for one in decision.ranked if one.option.feasible]
    lead = feasible[0] - feasible[1] if len(feasible) > 1 else float("inf")
    for row in rules.choices("confidence"):
        if row.outcome["rule_set"] == rule_set and lead >= float(row.outcome["lead_from"]):
            return float(row.outcome["share_right"])
    return None


def summary_of(option: Option) -> str:
    """Return the option in one sentence, with what it takes."""
    action = _ACTIONS[option.approach].format(
        base=option.base_model, method=option.method.replace("_", "-")
    )
    if option.estimate is None:
        return f"{action}."
    estimate = option.estimate
    request = estimate.request
    takes = [f"about {show_hours(estimate.wall_hours.mid)}"]
    if estimate.cost_usd is not None:
        takes.append(show_usd(estimate.cost_usd.mid))
    takes.append(f"{show_gb(estimate.memory_gb_per_gpu.mid)} on each GPU")
    return f"{action} on {request.gpus or 1} × {request.gpu}: {', '.join(takes)}."


_ACTIONS = {
    "pretrain": "Pretrain a model of your own",
    "continued_pretrain": "Continue the pretraining of {base} ({method})",
    "full_finetune": "Fine-tune all weights of {base}",
    "lora": "Tune {base} with LoRA ({method})",
    "no_training": "Train nothing yet: use the strongest model that privacy allows ({method})",
}


def _option(ranked: Ranked) -> dict[str, object]:
    option = ranked.option
    return {
        "approach": option.approach,
        "method": option.method,
        "base_model": option.base_model,
        "feasible": option.feasible,
        "score": ranked.score,
        "reasons": ranked.reasons,
        "blockers": [blocker._asdict() for blocker in option.blockers],
        "estimate": option.estimate,
    }


def _reason(rule: Rule, facts: Mapping[str, object]) -> dict[str, object]:
    return {
        "rule": rule.id,
        "set": rule.set,
        "favours": rule.favours,
        "weight": rule.weights[rule.favours],
        "weights": dict(rule.weights),
        "because": because(rule, facts),
        "says": rule.says,
        "reading": rule.reading or None,
        "source": rule.source._asdict(),
        "evidence": rule.evidence,
    }


def _warnings(project: Project, best: Ranked | None) -> list[str]:
    if best is None or best.option.estimate is None:
        return []
    warnings = []
    estimate = best.option.estimate
    deadline = project.answers.gpu_budget.deadline
    if deadline is not None and estimate.wall_hours.high > deadline:
        warnings.append(
            f"the deadline of {show_hours(deadline)} may be missed: up to "
            f"{show_hours(estimate.wall_hours.high)} within the 80 % interval"
        )
    budget = project.answers.gpu_budget.budget_usd
    cost = estimate.cost_usd
    if budget is not None and cost is not None and cost.high > budget:
        warnings.append(
            f"the budget of {show_usd(budget)} may be exceeded: up to {show_usd(cost.high)}"
        )
    base = best.option.base_model
    model = project.catalog.find_model(base) if base else None
    if model is not None and model.licence_verified != "yes":
        warnings.append(
            f"the licence of {model.id} ({model.licence}) is not verified: read it before use"
        )
    return warnings
