"""Which stages a run has: what is advised, as far as the data is for it, or what the lead chose."""

from dataclasses import replace
from typing import NamedTuple

from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.job.bounds import ADDING_METHODS, METHODS_OF
from advisor.planning.draft import LeadChoices
from advisor.planning.inputs import TEXT, Inputs
from advisor.recommendation import OptionEntry, Recommendation

NO_TRAINING = "no_training"
ON_TEXT = ("pretrain", "continued_pretrain")


class Stages(NamedTuple):
    """The approach and the data of each stage in order, and what the lead should know of it."""

    stages: tuple[tuple[str, Inputs], ...]
    remarks: tuple[str, ...]


def stages_of(recommendation: Recommendation, inputs: Inputs, choices: LeadChoices) -> Stages:
    """Return the stages of a run.

    Raises:
        AdvisorError: `will_not_fit` where nothing is feasible as answered.
    """
    chosen = choices.approach or _approach_of_method(recommendation, choices.method)
    if chosen is not None:
        return Stages(((chosen, inputs),), ())
    if recommendation.recommended is None:
        raise _infeasible(recommendation)
    advised = recommendation.recommended.stages
    trained = tuple(one for one in advised if one != NO_TRAINING) or (NO_TRAINING,)
    retrieves = NO_TRAINING in advised and trained != (NO_TRAINING,)
    found = _by_data(trained, inputs) if len(trained) > 1 else Stages(((trained[0], inputs),), ())
    told = "the advice ends with retrieval, which a run does not set up: see recommendation.json"
    return Stages(found.stages, (*found.remarks, *((told,) if retrieves else ())))


def _by_data(advised: tuple[str, ...], inputs: Inputs) -> Stages:
    """Return the stages that there is data for: plain text for the first, the rest for the last."""
    text, taught = inputs.train.of_forms(TEXT), inputs.train.but(TEXT)
    if text.files and taught.files:
        parts = (text if one in ON_TEXT else taught for one in advised)
        pairs = zip(advised, map(inputs.training_on, parts), strict=True)
        return Stages(tuple(pairs), ())
    only = advised[0] if text.files else advised[-1]
    lacks = "is plain text alone" if text.files else "has no plain text"
    words = ", then ".join(one.replace("_", " ") for one in advised)
    told = (
        f"the advice is {words}; the data {lacks}, so {only.replace('_', ' ')} is planned alone:"
        " give --data again for the other"
    )
    return Stages(((only, inputs),), (told,))


def _approach_of_method(recommendation: Recommendation, method: str | None) -> str | None:
    """Return the approach that a method belongs to, where it is not one of what is advised."""
    best = recommendation.recommended
    if method is None or (best and method in METHODS_OF[best.approach]):
        return None
    if method in ADDING_METHODS:
        return "lora"
    return next(one for one in ("full_finetune", NO_TRAINING) if method in METHODS_OF[one])


def option_of(recommendation: Recommendation, approach: str) -> OptionEntry:
    """Return the option of an approach."""
    return next(one for one in recommendation.options if one.approach == approach)


def of_earlier_stage(choices: LeadChoices) -> LeadChoices:
    """Return what of the lead's choices holds for a stage before the last one."""
    return replace(
        choices, method=None, learning_rate=None, lora_rank=None, epochs=None, merge=True
    )


def of_later_stage(choices: LeadChoices) -> LeadChoices:
    """Return what of the lead's choices holds for a stage after the first one."""
    return replace(choices, new_tokens=None)


def _infeasible(recommendation: Recommendation) -> AdvisorError:
    fixes = [blocker.nearest_fix for one in recommendation.options for blocker in one.blockers]
    fault = Fault(
        field="approach", expected="a feasible option", found="none", hint="; ".join(fixes[:3])
    )
    return AdvisorError(ErrorName.WILL_NOT_FIT, "nothing is feasible as answered", [fault])
