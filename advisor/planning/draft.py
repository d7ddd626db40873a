"""The job that one stage is for: base, hardware, data counted, sizes and steps settled."""

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

from advisor.answers import Answers
from advisor.catalog import Catalog, PretrainingShape, Recipe
from advisor.estimation.documents import EstimateRequest
from advisor.estimation.shape import Shape
from advisor.estimation.training_job import LORA_METHODS, TrainingJob
from advisor.job.bounds import HEADS, PROMPT_METHODS
from advisor.machine import Machine
from advisor.options.layout import complete_request
from advisor.options.named import look_up
from advisor.options.project import facts_of
from advisor.options.recipes import chosen_epochs, chosen_rank, recipe_of
from advisor.options.shapes import filled_shapes, passes_over, shape_fields
from advisor.planning.counting import Layout, Sample, sample_of
from advisor.planning.defaults import Chosen, Defaults, Kind, advised
from advisor.planning.holding import held_out
from advisor.planning.inputs import GENERAL, OUT_OF_DOMAIN, VALIDATION, Inputs
from advisor.planning.plan import LOCAL
from advisor.planning.purpose import (
    DECODER,
    KIND_OF,
    Matter,
    disagreements,
    objective_of,
    require_method,
)
from advisor.recommendation import OptionEntry
from advisor.tables import RuleBook

NO_REPLAY = Chosen(0.0, "no general text is mixed in")


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadChoices:
    """What the lead settles himself; each is applied as given, None where it is left open.

    Where a run has several stages, method, rate, rank and epochs are those of the last one.
    """

    approach: str | None = None
    method: str | None = None
    base_model: str | None = None
    seed: int | None = None
    max_steps: int | None = None
    epochs: float | None = None
    seq_len: int | None = None
    micro_batch: int | None = None
    learning_rate: float | None = None
    lora_rank: int | None = None
    save_every_steps: int | None = None
    new_tokens: int | None = None
    merge: bool | None = None
    group_by: str | None = None
    skip_bad_records: bool | None = None
    validation_data: Path | None = None
    general_data: Path | None = None
    out_of_domain_data: Path | None = None

    def made(self) -> dict[str, object]:
        """Return the choices that were made, by name."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in chosen.items() if value is not None}

    def data_by_role(self) -> dict[str, tuple[Path, ...]]:
        """Return the data that is not trained on, by role."""
        given = {
            VALIDATION: self.validation_data,
            GENERAL: self.general_data,
            OUT_OF_DOMAIN: self.out_of_domain_data,
        }
        return {role: (path,) for role, path in given.items() if path is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Workshop:
    """What a plan is made with: facts of the catalogue and of this machine, and the tables."""

    catalog: Catalog
    machine: Machine
    rules: RuleBook = field(default_factory=RuleBook)


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What a stage starts from: its base as the job finds it, and what it is like.

    `like` is priced in its place; None where a model of one's own is yet to be sized.
    """

    base_model: str | None
    like: str | PretrainingShape | None
    kind: str

    @property
    def tokenizer(self) -> str | None:
        """Return the model whose tokenizer counts; a model of one's own has none yet."""
        return self.like if isinstance(self.like, str) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One stage to be drafted: the option, what it starts from, its data, where it runs."""

    option: OptionEntry
    answers: Answers
    start: Start
    inputs: Inputs
    gpu: str
    gpus: int
    choices: LeadChoices


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """The job of one stage with its data counted, before its settings are written down.

    `tokens` are those of one pass over the data. `rank` is the one that suits the data, whatever
    the lead chose. `remarks` say where data and advice disagree.
    """

    order: Order
    method: str
    objective: str
    like: str | PretrainingShape
    sample: Sample
    layout: Layout
    tokens: int
    rank: int
    epochs: float
    steps: int
    recipe: Recipe
    defaults: Defaults
    held: Chosen
    replay: Chosen
    job: TrainingJob
    remarks: tuple[str, ...]

    @property
    def approach(self) -> str:
        """Return the approach of the stage."""
        return self.order.option.approach

    @property
    def fill(self) -> float:
        """Return the share of a row that holds tokens and no padding."""
        return self.sample.fill(self.layout)

    @property
    def completion_tokens(self) -> float:
        """Return the tokens of one pass that the loss counts."""
        return float(self.order.inputs.train.records * self.sample.learned_per_record)


class _Ground(NamedTuple):
    """What a stage rests on, before its sizes are settled."""

    order: Order
    method: str
    objective: str
    remarks: tuple[str, ...]
    sample: Sample
    tokens: int
    like: str | PretrainingShape
    request: EstimateRequest
    shape: Shape
    recipe: Recipe
    defaults: Defaults

    @property
    def packing(self) -> bool:
        """Whether rows are joined: where nothing stands before each of them."""
        return self.objective in ("clm", "mlm") and self.method not in PROMPT_METHODS

    @property
    def epochs(self) -> float:
        """The passes over the data."""
        records = self.order.inputs.train.records
        approach = self.order.option.approach
        return self.order.choices.epochs or _epochs(
            approach, self.recipe, self.like, records, self.tokens
        )

    @property
    def rank(self) -> int:
        """The rank of LoRA that suits the data."""
        learned = self.order.inputs.train.records * self.sample.learned_per_record
        return chosen_rank(self.recipe, self.shape, learned)


def draft_job(order: Order, workshop: Workshop) -> Draft:
    """Return the job of one stage."""
    ground = _ground(order, workshop)
    sized = _sized(ground, workshop)
    layout = Layout(packing=ground.packing, seq_len=sized.seq_len, micro_batch=sized.micro_batch)
    replay = _replay(order, ground.method, workshop.rules)
    rows_per_step = sized.step_tokens / layout.seq_len
    rows = _rows(ground, layout) / (1 - float(replay.value))
    steps = order.choices.max_steps or max(1, math.ceil(rows / rows_per_step))
    worked = steps * rows_per_step * ground.sample.row_tokens(layout)
    job = complete_request(
        sized.request.model_copy(update={"tokens": worked}),
        catalog=workshop.catalog,
        machine=workshop.machine,
    )
    return Draft(
        order=order,
        method=ground.method,
        objective=ground.objective,
        like=ground.like,
        sample=ground.sample,
        layout=layout,
        tokens=ground.tokens,
        rank=ground.rank,
        epochs=ground.epochs,
        steps=steps,
        recipe=ground.recipe,
        defaults=ground.defaults,
        held=held_out(order.inputs, ground.sample, layout, ground.defaults),
        replay=replay,
        job=job._replace(labelled_share=_labelled(ground.objective, ground.sample, layout)),
        remarks=ground.remarks,
    )


def _ground(order: Order, workshop: Workshop) -> _Ground:
    catalog, train = workshop.catalog, order.inputs.train
    approach, method = order.option.approach, _method(order, workshop.machine)
    matter = matter_of(order, workshop.rules)
    objective = objective_of(matter)
    require_method(matter, method, objective)
    sample = sample_of(order.start.tokenizer, train, objective)
    tokens = max(1, round(train.records * sample.tokens_per_record))
    # A model of one's own is sized by the text that is really there, not by what was answered.
    like = order.start.like or filled_shapes(tokens, catalog)[0]
    request = _request(order, method, objective, like)
    shape = look_up(request, catalog=catalog, machine=workshop.machine).shape
    recipe = recipe_of(catalog, approach, method, params=shape.params)
    return _Ground(
        order=order,
        method=method,
        objective=objective,
        remarks=tuple(disagreements(matter, objective)),
        sample=sample,
        tokens=tokens,
        like=like,
        request=request,
        shape=shape,
        recipe=recipe,
        defaults=Defaults(catalog, Kind(approach, method, objective, shape.params), recipe),
    )


def _sized(ground: _Ground, workshop: Workshop) -> TrainingJob:
    """Return the job with its rows and batches settled, for one pass over the data."""
    choices = ground.order.choices
    seq_len = choices.seq_len or _seq_len(ground)
    rank = choices.lora_rank or ground.rank
    request = ground.request.model_copy(
        update={
            "tokens": ground.tokens,
            "seq_len": seq_len,
            "global_batch_tokens": _batch_tokens(ground, seq_len),
            "lora_rank": rank if ground.method in LORA_METHODS else None,
            # What is recomputed would miss the keys and values of a prefix.
            "gradient_checkpointing": "no" if ground.method == "prefix" else None,
        }
    )
    return complete_request(request, catalog=workshop.catalog, machine=workshop.machine)


def _rows(ground: _Ground, layout: Layout) -> float:
    """Return the rows that are trained on in all passes."""
    inputs, sample = ground.order.inputs, ground.sample
    held = held_out(inputs, sample, layout, ground.defaults)
    rows = inputs.train.records * sample.rows_per_record(layout)
    return rows * (1 - float(held.value)) * ground.epochs


def matter_of(order: Order, rules: RuleBook) -> Matter:
    """Return what decides the objective of a stage."""
    return Matter(
        approach=order.option.approach,
        base=Path(order.start.base_model or "a model of its own").name,
        kind=order.start.kind,
        wanted=wanted_kind(order.answers, rules),
        form=order.inputs.train.form,
        labels=order.inputs.train.labels,
    )


def wanted_kind(answers: Answers, rules: RuleBook) -> str:
    """Return the kind of model that the answers lead to."""
    return KIND_OF.get(str(facts_of(answers, rules)["model_kind"]), DECODER)


def _method(order: Order, machine: Machine) -> str:
    """Return the method; advised 4-bit weights need CUDA, elsewhere 16-bit ones are taken."""
    if order.choices.method is not None:
        return order.choices.method
    has_cuda = any(one.vendor == "NVIDIA" for one in machine.gpus)
    if order.option.method == "qlora" and order.gpu == LOCAL and not has_cuda:
        return "lora"
    return order.option.method


def _request(
    order: Order, method: str, objective: str, like: str | PretrainingShape
) -> EstimateRequest:
    """Return what to price: the option's place and price, this base, the lead's own sizes."""
    option, choices = order.option, order.choices
    advised_request = option.estimate.request if option.estimate else EstimateRequest()
    chosen = {
        "approach": option.approach,
        "method": method,
        "objective": "classification" if objective in HEADS else objective,
        "provider": advised_request.provider,
        "spot": advised_request.spot,
        "region": advised_request.region,
        "scope": advised_request.scope,
        "micro_batch": choices.micro_batch,
        "gpu": order.gpu,
        "gpus": order.gpus,
        "gradient_checkpointing": "no" if method == "prefix" else None,
        **(shape_fields(like) if isinstance(like, PretrainingShape) else {"model": like}),
    }
    return EstimateRequest.model_validate(
        {name: value for name, value in chosen.items() if value is not None}
    )


def _seq_len(ground: _Ground) -> int:
    """Return the recipe's length, within what the base reads; padded rows are no longer than any.

    Virtual tokens take their part of what the base reads.
    """
    virtual = ground.defaults.find("virtual_tokens")
    length = ground.recipe.seq_len
    if ground.shape.max_context:
        length = min(length, ground.shape.max_context - int(virtual.value if virtual else 0))
    if not ground.packing and not ground.sample.splits:
        length = min(length, ground.sample.row_for_the_longest)
    return length


def _batch_tokens(ground: _Ground, seq_len: int) -> float | None:
    """Return the tokens of a step where they are not the recipe's own.

    Padded rows that are shorter than the recipe's are as many a step, not more; and little data
    takes smaller steps, so that there are enough of them. Each device has a row at least.
    """
    tokens = wanted = ground.defaults.number("tokens_per_step")
    if not ground.packing:
        tokens *= min(1.0, seq_len / ground.recipe.seq_len)
    layout = Layout(packing=ground.packing, seq_len=seq_len)
    most = _rows(ground, layout) * seq_len / ground.defaults.number("least_steps")
    tokens = max(min(tokens, most), float(seq_len * ground.order.gpus))
    return None if tokens == wanted == ground.recipe.tokens_per_step else tokens


def _replay(order: Order, method: str, rules: RuleBook) -> Chosen:
    """Return the share of general text to mix in, where a base reads on and there is such text."""
    if order.option.approach != "continued_pretrain" or not order.inputs.has(GENERAL):
        return NO_REPLAY
    facts = facts_of(order.answers, rules)
    found = advised(
        rules, {**facts, "approach": order.option.approach, "method": method}, "replay_share"
    )
    return found or NO_REPLAY


def _epochs(
    approach: str, recipe: Recipe, model: str | PretrainingShape, records: int, tokens: int
) -> float:
    """Return the passes over the data that is really there: its text, or its examples."""
    if approach == "pretrain" and isinstance(model, PretrainingShape):
        return float(passes_over(tokens, model))
    return float(chosen_epochs(recipe, tokens if approach == "continued_pretrain" else records))


def _labelled(objective: str, sample: Sample, layout: Layout) -> float:
    """Return the share of positions that the vocabulary is scored at."""
    return sample.labelled(layout) if objective in ("clm", "mlm") else 1.0
