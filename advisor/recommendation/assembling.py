"""Writes down what was decided: the document of a recommendation, part by part."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from advisor.answers import Answers
from advisor.cases import similar_cases
from advisor.catalog import Catalog
from advisor.decision import Decision, Ranked, because
from advisor.estimation import Estimate, told
from advisor.explore import Swept, next_questions
from advisor.options import Option, Project
from advisor.options.settings import cautions, settings_of
from advisor.recommendation.confidence import DECIDING, confidence_in, known_of
from advisor.recommendation.documents import Recommendation
from advisor.search import Near, front_near
from advisor.tables import Rule, RuleBook, RuleSet
from advisor.units import show_gb, show_hours, show_usd


class Ground(NamedTuple):
    """All that a recommendation rests on.

    `project` has every range at its low end; `upper` is the decision at the other end, if any
    answer is a range. `documents` is what the articles alone decide.
    """

    answers: Answers
    project: Project
    decision: Decision
    documents: Decision
    upper: Decision | None
    swept: tuple[Swept, ...] | None
    rule_set: RuleSet

    @property
    def best(self) -> Ranked | None:
        """Return what is recommended, or None where nothing is feasible."""
        return self.decision.best

    @property
    def chosen(self) -> dict[str, object]:
        """Return the facts, with approach and method of what is recommended."""
        option = self.best.option if self.best else None
        method = option.method if option else None
        return {**self.project.facts, "approach": _approach(self.decision), "method": method}

    @property
    def ends_differ(self) -> bool:
        """Tell whether the two ends of a range lead to different approaches."""
        return self.upper is not None and _approach(self.upper) != _approach(self.decision)


def assembled(ground: Ground) -> Recommendation:
    """Return the document."""
    project, decision, best = ground.project, ground.decision, ground.best
    return Recommendation.model_validate(
        {
            "schema": "advisor.recommendation/1",
            "answers": ground.answers,
            "rules": ground.rule_set,
            "feasible": best is not None,
            "machine": project.machine.as_document() if project.machine else None,
            "recommended": _recommended(ground, best.option) if best else None,
            "options": [_option(ranked, project.catalog) for ranked in decision.ranked],
            "reasons": [_reason(rule, project.facts) for rule in decision.fired],
            "conflicts": [one._asdict() for one in decision.conflicts],
            "documents_only": _documents_only(ground),
            "at_upper_end": _at_upper_end(ground),
            **_explored(ground),
            "similar_cases": [
                one._asdict() for one in similar_cases(project.facts, project.rules.folder)
            ],
            "estimate": _estimate(best.option, project.catalog) if best else None,
            "checklist": [
                f"{row.outcome['item']} ({row.outcome['source']})"
                for row in project.rules.choices("checklist")
                if row.fits(ground.chosen)
            ],
            "warnings": list(_warnings(ground)),
        }
    )


def _approach(decision: Decision) -> str | None:
    return decision.best.option.approach if decision.best else None


def _recommended(ground: Ground, option: Option) -> dict[str, object]:
    stages = ground.project.rules.first("stages", ground.chosen)
    confidence, basis = _confidence(ground, option)
    return {
        "approach": option.approach,
        "method": option.method,
        "objective": option.objective,
        "stages": stages.outcome["stages"].split() if stages else [option.approach],
        "base_model": option.base_model,
        "base_reasons": option.base_reasons,
        "alternatives": option.alternatives,
        "next_step": _next_step(ground.project.rules, ground.chosen),
        "confidence": confidence,
        "confidence_basis": basis,
        "settings": [one._asdict() for one in settings_of(option, ground.project)],
        "summary": summary_of(option),
    }


def _confidence(ground: Ground, option: Option) -> tuple[float | None, str]:
    """Return the calibrated confidence, and in words what it rests on."""
    if ground.ends_differ:
        return None, "unknown: the two ends of a range lead to different approaches"
    known = known_of(ground.answers.facts())
    found = confidence_in(
        option.approach, known=known, rules=ground.project.rules, rule_set=ground.rule_set
    )
    if found is None:
        return None, "unknown: no known project got such advice"
    return found.share, (
        f"such advice was right for this share of {found.projects} known projects"
        f" when as much was known: {known} of {len(DECIDING)} deciding answers"
    )


def _next_step(rules: RuleBook, facts: Mapping[str, object]) -> str | None:
    row = rules.first("next_steps", facts)
    if row is None:
        return None
    short = 0
    if row.outcome["short_of"]:
        short = int(row.outcome["short_of"]) - int(str(facts["labelled_examples"] or 0))
    return row.outcome["step"].format(short=short)


def summary_of(option: Option) -> str:
    """Return the option in one sentence, with what it takes."""
    action = _ACTIONS[option.approach].format(
        base=option.base_model or "the strongest model that privacy allows",
        method=option.method.replace("_", "-"),
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
    "no_training": "Train nothing yet: use {base} ({method})",
}


def _estimate(option: Option, catalog: Catalog) -> Estimate | None:
    """Return the estimate of an option with all that is told of it."""
    if option.job is None or option.estimate is None:
        return None
    return told(option.estimate, option.job, catalog)


def _option(ranked: Ranked, catalog: Catalog) -> dict[str, object]:
    option = ranked.option
    return {
        "approach": option.approach,
        "method": option.method,
        "base_model": option.base_model,
        "feasible": option.feasible,
        "score": ranked.score,
        "reasons": ranked.reasons,
        "blockers": [blocker._asdict() for blocker in option.blockers],
        "estimate": _estimate(option, catalog),
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
        "strength": rule.strength or None,
    }


def _documents_only(ground: Ground) -> dict[str, object]:
    """Return what the articles alone decide; where it differs, the strongest row that turned it."""
    chosen = ground.best.option.approach if ground.best else None
    alone = ground.documents.best.option.approach if ground.documents.best else None
    turning = [rule for rule in ground.decision.fired if rule.set != "documents"]
    if chosen is None or alone is None or chosen == alone or not turning:
        return {"approach": alone, "why": None}
    rule = max(
        turning, key=lambda rule: rule.weights.get(chosen, 0.0) - rule.weights.get(alone, 0.0)
    )
    said = because(rule, ground.project.facts)
    return {"approach": alone, "why": f"{said}: {rule.says} [{rule.id}]"}


def _at_upper_end(ground: Ground) -> dict[str, object] | None:
    if ground.upper is None:
        return None
    option = ground.upper.best.option if ground.upper.best else None
    estimate = option.estimate if option else None
    return {
        "answers": dict(ground.answers.up_to),
        "approach": option.approach if option else None,
        "method": option.method if option else None,
        "base_model": option.base_model if option else None,
        "wall_hours": estimate.wall_hours if estimate else None,
        "cost_usd": estimate.cost_usd if estimate else None,
    }


def _explored(ground: Ground) -> dict[str, object]:
    swept = ground.swept
    if swept is None:
        return {"flips": None, "insensitive_to": None, "ask_next": None, "front": None}
    return {
        "flips": [
            {"change": flip.change(), "still": flip.still or None, "to": flip.to, "why": flip.why}
            for one in swept
            for flip in one.flips
        ],
        "insensitive_to": [one.question for one in swept if not one.flips],
        "ask_next": [one._asdict() for one in next_questions(ground.project, swept)],
        "front": [_near(one) for one in _front(ground)],
    }


def _front(ground: Ground) -> list[Near]:
    return front_near(ground.project, ground.best.option) if ground.best else []


def _near(one: Near) -> dict[str, object]:
    return {
        "gpu": one.gpu,
        "gpus": one.gpus,
        "wall_hours": one.estimate.wall_hours,
        "cost_usd": one.estimate.cost_usd,
        "memory_gb_per_gpu": one.estimate.memory_gb_per_gpu,
        "changes": one.changes,
        "marks": one.marks,
    }


def _warnings(ground: Ground) -> Iterator[str]:
    if ground.best is None:
        return
    if ground.ends_differ and ground.upper is not None:
        ends = ", ".join(f"{name} {value}" for name, value in ground.answers.up_to.items())
        yield f"at the other end of the range ({ends}) the advice is {_approach(ground.upper)}"
    yield from _limits_in_doubt(ground.project, ground.best.option)
    yield from _doubtful_licence(ground.project, ground.best.option)
    yield from cautions(ground.project.rules, ground.chosen)


def _limits_in_doubt(project: Project, option: Option) -> Iterator[str]:
    if option.estimate is None:
        return
    hours, cost = option.estimate.wall_hours, option.estimate.cost_usd
    deadline, budget = project.answers.gpu_budget.deadline, project.answers.gpu_budget.budget_usd
    if deadline is not None and hours.high > deadline:
        yield (
            f"the deadline of {show_hours(deadline)} may be missed: up to "
            f"{show_hours(hours.high)} within the 80 % interval"
        )
    if budget is not None and cost is not None and cost.high > budget:
        yield f"the budget of {show_usd(budget)} may be exceeded: up to {show_usd(cost.high)}"


def _doubtful_licence(project: Project, option: Option) -> Iterator[str]:
    model = project.catalog.find_model(option.base_model) if option.base_model else None
    if model is not None and model.licence_verified != "yes":
        yield f"the licence of {model.id} ({model.licence}) is not verified: read it before use"
