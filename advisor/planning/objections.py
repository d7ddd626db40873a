"""What speaks against a plan: the lead's own values that suit another method, and the data."""

import math
from collections.abc import Iterator, Mapping

from advisor.catalog import Catalog
from advisor.estimation.shape import lora_params
from advisor.estimation.training_job import LORA_METHODS
from advisor.options.project import facts_of
from advisor.options.settings import cautions
from advisor.planning.defaults import advised
from advisor.planning.draft import Draft, LeadChoices, Workshop
from advisor.planning.inputs import GENERAL, TEXT
from advisor.planning.purpose import TUNED
from advisor.recommendation import Recommendation
from advisor.units import show_count

# What a rate may have been meant for, in words.
KINDS: Mapping[tuple[str, str], str] = {
    ("full_finetune", "full"): "full fine-tuning",
    ("lora", "lora"): "LoRA",
    ("continued_pretrain", "full"): "continued pretraining",
    ("pretrain", "full"): "pretraining",
}


def objections(
    recommendation: Recommendation, draft: Draft, choices: LeadChoices, workshop: Workshop
) -> Iterator[str]:
    """Yield each thing that the lead should know before the plan is launched."""
    yield from _against_the_advice(recommendation, draft, choices, workshop)
    yield from _rate(draft, choices, workshop.catalog)
    yield from _rank(draft, choices)
    yield from _epochs(draft, choices, workshop.catalog)
    yield from _length(draft, choices)
    advised = draft.order.option.method
    if choices.method is None and draft.method != advised:
        yield f"{advised} needs CUDA: {draft.method} is run here instead"
    if _tunes(draft) and _form(draft) == TEXT and draft.objective == "clm":
        yield "the data is plain text: loss counts every token, not only answers"
    if draft.approach == "continued_pretrain":
        yield from _for_reading_on(recommendation, draft, workshop)


def _against_the_advice(
    recommendation: Recommendation, draft: Draft, choices: LeadChoices, workshop: Workshop
) -> Iterator[str]:
    """Yield where the lead chose otherwise, and what that has cost others."""
    best = recommendation.recommended
    for name in ("approach", "method", "base_model"):
        value, advised = getattr(choices, name), getattr(best, name, None)
        if value is not None and value != advised:
            yield f"{name} is {value} as you chose; the advice is {advised}"
    facts = facts_of(recommendation.answers, workshop.rules)
    told = cautions(workshop.rules, {**facts, **_kind(best)}) if best else ()
    for caution in cautions(
        workshop.rules, {**facts, **_kind(draft.order.option), "method": draft.method}
    ):
        if caution not in told:
            yield caution


def _for_reading_on(
    recommendation: Recommendation, draft: Draft, workshop: Workshop
) -> Iterator[str]:
    """Yield what is advised for reading on and needs something of the lead: text, or a number."""
    facts = facts_of(recommendation.answers, workshop.rules)
    facts |= {"approach": draft.approach, "method": draft.method}
    replay = advised(workshop.rules, facts, "replay_share")
    if replay and not draft.order.inputs.has(GENERAL):
        share = float(replay.value)
        yield f"replay of {share:.0%} is advised and needs --general-data: {replay.source}"
    extends = advised(workshop.rules, facts, "vocabulary_extension")
    if extends and extends.value == "yes" and not draft.order.choices.new_tokens:
        yield f"a larger vocabulary is advised (--new-tokens): {extends.source}"


def _kind(chosen: object) -> dict[str, object]:
    return {name: getattr(chosen, name) for name in ("approach", "method")}


def _rate(draft: Draft, choices: LeadChoices, catalog: Catalog) -> Iterator[str]:
    rate, recipe = choices.learning_rate, draft.recipe
    if rate is None or recipe.learning_rate_low <= rate <= recipe.learning_rate_high:
        return
    usual = draft.defaults.of("learning_rate")
    kind = (recipe.approach, recipe.method)
    own = KINDS.get(kind) or " with ".join(kind)
    other = _meant_for(rate, draft, catalog)
    if other:
        yield (
            f"learning rate {rate:g} is one for {other}; {own} starts from"
            f" {usual.value:g} at this size ({usual.source})"
        )
    else:
        yield (
            f"learning rate {rate:g} is far from the {usual.value:g} that suits {own}"
            f" ({usual.source})"
        )


def _meant_for(rate: float, draft: Draft, catalog: Catalog) -> str | None:
    """Return the kind of training whose rate at this size is nearest, if its range has `rate`."""
    rows = {
        words: catalog.recipe(*kind, params=draft.job.shape.params) for kind, words in KINDS.items()
    }
    fitting = {
        words: abs(math.log(rate / row.learning_rate))
        for words, row in rows.items()
        if row.learning_rate_low <= rate <= row.learning_rate_high
    }
    return min(fitting, key=lambda words: fitting[words], default=None)


def _rank(draft: Draft, choices: LeadChoices) -> Iterator[str]:
    rank, recipe = choices.lora_rank, draft.recipe
    if rank is None:
        return
    if draft.method not in LORA_METHODS:
        yield f"lora rank {rank} changes nothing: {draft.method} trains no LoRA"
        return
    params, wanted = _adapter_params(draft, rank), draft.completion_tokens
    if params < wanted:
        yield (
            f"lora rank {rank} gives {show_count(params)} parameters, too few to hold the"
            f" {show_count(wanted)} tokens to be learned: {draft.rank} suits this data"
        )
    elif rank < (recipe.lora_rank or rank):
        yield f"lora rank {rank} is below the {recipe.lora_rank} that suits ({recipe.source})"
    if rank > (recipe.lora_rank_most or rank):
        yield (
            f"lora rank {rank} is above {recipe.lora_rank_most}, the highest that was tried at this"
            f" size; {draft.rank} suits this data"
        )


def _adapter_params(draft: Draft, rank: int) -> float:
    return lora_params(draft.job.shape, rank, draft.job.lora_targets)


def _epochs(draft: Draft, choices: LeadChoices, catalog: Catalog) -> Iterator[str]:
    """Yield where so many passes over-fit; raw text is raw text, whatever it is trained with."""
    if choices.epochs is None or choices.max_steps is not None:
        return
    recipe = draft.recipe
    if _form(draft) == TEXT and _tunes(draft):
        recipe = catalog.recipe("continued_pretrain", "full", params=draft.job.shape.params)
    if choices.epochs > recipe.epochs_most:
        over = "raw text" if _form(draft) == TEXT else "the examples"
        yield (
            f"{choices.epochs:g} epochs over {over} are more than the {recipe.epochs_most} after"
            f" which repeats stop paying ({recipe.epochs_source})"
        )


def _length(draft: Draft, choices: LeadChoices) -> Iterator[str]:
    length, most = draft.job.seq_len, draft.job.shape.max_context
    if choices.seq_len is not None and most is not None and length > most:
        yield f"seq_len {length} is more than the {most} tokens that the base was made for"
    if cut := draft.sample.cut(length):
        yield f"{cut:.0%} of the examples exceed {length} tokens and are cut: see --seq-len"


def _tunes(draft: Draft) -> bool:
    return draft.approach in TUNED


def _form(draft: Draft) -> str:
    return draft.order.inputs.train.form
