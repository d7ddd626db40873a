"""Where nothing is trained: the base is measured on the data, with and without examples."""

from typing import Any

from advisor.estimation.documents import EstimateRequest
from advisor.estimation.shape import Shape
from advisor.job.settings import Settings
from advisor.options.named import look_up
from advisor.planning.counting import LEAST_ROW, Sample, sample_of
from advisor.planning.defaults import Defaults, Kind
from advisor.planning.draft import Order, Workshop, matter_of
from advisor.planning.inputs import VALIDATION
from advisor.planning.plan import Predictions
from advisor.planning.purpose import objective_of
from advisor.planning.sources import YOURS
from advisor.planning.writing import checked

FEW_SHOT = "few_shot"
BATCH = 8
MOST_TOKENS = 1024
# The settings allow no more to be held out; the rest serves as examples in the prompt.
MOST_HELD_OUT = 0.9
NOT_ESTIMATED = "what measuring a base takes is not estimated"
UNKNOWN = Predictions(
    wall_hours=None,
    memory_gb_per_gpu=None,
    tokens_per_second_per_gpu=None,
    cost_usd=None,
    price_per_gpu_hour_usd=None,
)


def measured_settings(order: Order, workshop: Workshop) -> tuple[Settings, dict[str, str], int]:
    """Return the settings of a measurement with their sources, and the tokens of the data."""
    objective = objective_of(matter_of(order, workshop.rules))
    sample = sample_of(order.start.tokenizer, order.inputs.train, objective)
    shape = look_up(
        EstimateRequest(model=str(order.start.like)),
        catalog=workshop.catalog,
        machine=workshop.machine,
    ).shape
    method = order.choices.method or FEW_SHOT
    kind = Kind("no_training", method, objective, shape.params)
    defaults = Defaults(workshop.catalog, kind, None)
    shots = defaults.count("shots")
    values: dict[str, Any] = {
        "approach": "no_training",
        "method": method,
        "objective": objective,
        "task": order.answers.task or "other",
        "base_model": order.start.base_model,
        "seq_len": order.choices.seq_len or _seq_len(shape, sample, shots),
        "micro_batch": order.choices.micro_batch or BATCH,
        "gradient_accumulation": 1,
        "packing": False,
        "learning_rate": 0.0,
        "schedule": "constant",
        "warmup_share": 0.0,
        "weight_decay": 0.0,
        "max_grad_norm": 0.0,
        "optimizer": "adamw",
        "validation_share": _held_out(order, defaults.count("eval_examples")),
        "seed": defaults.count("seed") if order.choices.seed is None else order.choices.seed,
        "log_every_steps": 1,
        "save_every_steps": 1,
        "bad_records": "skip" if order.choices.skip_bad_records else "stop",
        "group_by": order.choices.group_by,
        "eval_examples": defaults.count("eval_examples"),
        "shots": shots,
        "samples": defaults.count("samples"),
    }
    tokens = max(1, round(order.inputs.train.records * sample.tokens_per_record))
    return checked(values), _sources(order, defaults), tokens


def _seq_len(shape: Shape, sample: Sample, shots: int) -> int:
    """Return what holds the longest prompt with its examples, within what the base reads."""
    wanted = 1 << (max(LEAST_ROW, *sample.lengths) * (shots + 1) - 1).bit_length()
    return min(wanted, shape.max_context or MOST_TOKENS, max(MOST_TOKENS, *sample.lengths))


def _held_out(order: Order, examples: int) -> float:
    """Return the share to measure on: up to so many examples, none where they are given apart."""
    if order.inputs.has(VALIDATION):
        return 0.0
    return min(MOST_HELD_OUT, examples / order.inputs.train.records)


def _sources(order: Order, defaults: Defaults) -> dict[str, str]:
    held_out = f"as many as are asked for, {MOST_HELD_OUT:.0%} at most: the rest are examples"
    told = {
        "objective": f"the base and its data: {order.inputs.train.form}",
        "seq_len": f"the longest prompt with its examples, at most {MOST_TOKENS} tokens",
        "micro_batch": "nothing is kept for a backward pass",
        "validation_share": held_out,
        **{
            name: defaults.of(name).source for name in ("eval_examples", "shots", "samples", "seed")
        },
    }
    return {**told, **dict.fromkeys(set(order.choices.made()) & set(told), YOURS)}
