"""Which open model to start from: the candidates of the tables, judged by facts."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from advisor.catalog import Catalog, Model
from advisor.catalog.languages import Coverage, names_in
from advisor.estimation.memory import USABLE_RAM_SHARE, USABLE_SHARE
from advisor.estimation.states import QUANTIZED_BYTES
from advisor.options.project import Project
from advisor.units import GB, show_count, show_gb

# A base that is not this much smaller fits no more often than the one before it.
STEP_DOWN = 0.75
# What stands against a model, from what is most easily lived with to what is least.
OBJECTIONS = ("context", "gated", "language", "licence")
PLAIN_BYTES = 2.0
FOUR_BIT_BYTES = QUANTIZED_BYTES["nf4"]
# Answering takes about a fifth more memory than the weights. Source: EleutherAI, Transformer
# Math 101, section Inference.
SERVING_FACTOR = 1.2


class Base(NamedTuple):
    """A model to start from, and why this one."""

    name: str
    why: tuple[str, ...]


class Bases(NamedTuple):
    """The bases to try, best first and each a step smaller; what else was looked at, in words."""

    tried: tuple[Base, ...]
    others: tuple[str, ...]


class Prompted(NamedTuple):
    """The open model to prompt and why; `base` is None where none fits or any service may do.

    `smallest_gb` and `memory_gb` tell what the smallest takes and what the hardware holds.
    """

    base: Base | None
    others: tuple[str, ...]
    smallest_gb: float
    memory_gb: float


class _Needs(NamedTuple):
    """What the project asks of any base, and why it wants that variant."""

    variant: str
    variant_why: str
    context: int
    languages: tuple[str, ...]
    commercial: bool
    privacy: str | None


class _Judged(NamedTuple):
    model: Model
    objections: dict[str, str]

    @property
    def weight(self) -> int:
        """How much stands against it: one heavier objection outweighs all lighter ones."""
        return sum(1 << OBJECTIONS.index(name) for name in self.objections)


def bases_for(project: Project, approach: str) -> Bases:
    """Return the models to start an approach from; none where it starts from nothing."""
    facts = {**project.facts, "approach": approach}
    row = None if approach == "pretrain" else project.rules.first("base_models", facts)
    if row is None:
        return Bases((), ())
    outcome = row.outcome
    return _chosen(project.catalog, outcome["candidates"], outcome["why"], _needs(project, facts))


@lru_cache(maxsize=256)
def _chosen(catalog: Catalog, candidates: str, why: str, needs: _Needs) -> Bases:
    """Return those with the least against them; only a marked step down is another try."""
    judged = [_judge(catalog, name, needs) for name in candidates.split()]
    least = min(one.weight for one in judged)
    tried: list[Base] = []
    others: list[str] = []
    smallest = float("inf")
    for one in judged:
        name, params = one.model.id, one.model.params
        if one.weight == least and params <= smallest * STEP_DOWN:
            reasons = _reasons(catalog, one, needs)
            place = f", the next step below {tried[-1].name}" if tried else ""
            size = f"{show_count(params)} parameters{place}"
            tried.append(Base(name, (*(() if tried else (why,)), *reasons, size)))
            smallest = params
        elif one.weight > least:
            others.append(f"{name}: {'; '.join(one.objections.values())}")
        else:
            others.append(name)
    return Bases(tuple(tried), tuple(others))


def prompted_base(project: Project) -> Prompted:
    """Return the largest open model to prompt that the hardware holds.

    Where any service may be used that is the better choice, and no open model is named.
    """
    if project.answers.privacy not in ("internal", "on_prem", "air_gapped"):
        return Prompted(None, (), 0.0, 0.0)
    memory, where = _serving_memory(project)
    found = bases_for(project, "no_training")
    smallest = float("inf")
    for number, base in enumerate(found.tried):
        params = project.catalog.model(base.name).params
        for bytes_each, form in ((PLAIN_BYTES, "in 16 bit"), (FOUR_BIT_BYTES, "in 4 bit")):
            smallest = params * bytes_each * SERVING_FACTOR / GB
            if smallest <= memory:
                why = (*base.why, f"takes about {show_gb(smallest)} {form} on {where}")
                larger = (f"{one.name}: too large for {where}" for one in found.tried[:number])
                smaller = (one.name for one in found.tried[number + 1 : number + 2])
                others = (*larger, *smaller, *found.others)
                return Prompted(Base(base.name, why), others, smallest, memory)
    return Prompted(None, found.others, smallest, memory)


def _serving_memory(project: Project) -> tuple[float, str]:
    """Return how many GB the hardware that is named, or a usual single GPU, can fill."""
    budget, machine = project.answers.gpu_budget, project.machine
    if budget.gpu == "local" and machine is not None:
        total = sum(gpu.memory_gb for gpu in machine.gpus) * USABLE_SHARE
        return total or machine.ram_gb * USABLE_RAM_SHARE, "this machine"
    count = budget.gpus or 1
    if budget.gpu is not None and budget.gpu != "local":
        gpu = project.catalog.gpu(budget.gpu)
    else:
        row = project.rules.first("hardware", project.facts)
        rungs = (rung.split(":") for rung in row.outcome["gpus_tried"].split()) if row else ()
        single = [project.catalog.gpu(name) for name, gpus in rungs if gpus == "1"]
        if not single:
            return 0.0, "no GPU that is known"
        gpu = max(single, key=lambda one: one.memory_gb)
    return gpu.memory_gb * count * USABLE_SHARE, f"{count} × {gpu.id}"


def _needs(project: Project, facts: dict[str, object]) -> _Needs:
    found: dict[str, tuple[str, str]] = {}
    for row in project.rules.choices("base_needs"):
        if row.outcome["need"] not in found and row.fits(facts):
            found[row.outcome["need"]] = row.outcome["value"], row.outcome["why"]
    variant, why = found.get("variant", ("base", ""))
    answers = project.answers
    return _Needs(
        variant=variant,
        variant_why=why,
        context=int(found.get("context", ("0", ""))[0]),
        languages=names_in(answers.language),
        commercial=answers.commercial_use is not False,
        privacy=answers.privacy,
    )


def _judge(catalog: Catalog, name: str, needs: _Needs) -> _Judged:
    """Return the model, in the variant that is wanted, with what stands against it by name."""
    chat = catalog.chat_variants.get(name) if needs.variant == "chat" else None
    model = catalog.model(chat or name)
    objections = {}
    if needs.commercial and model.commercial_use == "no":
        objections["licence"] = f"{model.licence} forbids commercial use"
    missing = [name for name in needs.languages if _coverage(catalog, model, name) == "no"]
    if missing:
        objections["language"] = f"not trained on {', '.join(missing)}"
    if model.gated and needs.privacy == "air_gapped":
        objections["gated"] = "gated: its weights are given to an account only"
    if model.max_context is not None and model.max_context < needs.context:
        objections["context"] = f"reads {show_count(model.max_context)} tokens at most"
    return _Judged(model, objections)


def _coverage(catalog: Catalog, model: Model, language: str) -> Coverage:
    return catalog.languages.coverage(model.languages, language)


def _reasons(catalog: Catalog, judged: _Judged, needs: _Needs) -> Iterator[str]:
    """Yield what speaks for a model and what to know of it: language, licence, access, variant."""
    model = judged.model
    if needs.languages and "language" not in judged.objections:
        yield _language(catalog, model, needs.languages)
    if "licence" not in judged.objections:
        yield _licence(model)
    if model.gated and "gated" not in judged.objections:
        yield "gated: its weights are given to an account that accepted the terms"
    if needs.privacy == "air_gapped":
        yield f"carry its weights in: about {show_gb(model.params * PLAIN_BYTES / GB)}"
    if needs.variant_why and model.variant == needs.variant:
        yield f"the {model.variant} variant: {needs.variant_why}"
    yield from judged.objections.values()


def _language(catalog: Catalog, model: Model, languages: Sequence[str]) -> str:
    names = ", ".join(languages)
    if all(_coverage(catalog, model, name) == "yes" for name in languages):
        return f"trained on {names}"
    return f"trained on {model.languages}; whether {names} is among them is not known here"


def _licence(model: Model) -> str:
    if model.commercial_use == "yes":
        return f"{model.licence} allows commercial use"
    if model.commercial_use == "no":
        return f"{model.licence} forbids commercial use, which is not asked for"
    terms = model.commercial_use.removeprefix("conditional").strip(" ()")
    return f"{model.licence} allows commercial use with conditions: {terms}"
