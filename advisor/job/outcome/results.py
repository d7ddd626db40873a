"""What a finished run leaves: the model or adapter with its card, and result.json."""

from pathlib import Path
from typing import Any, Final

from ..checkpoints import published
from ..files import private, write_json
from ..measuring.assessing import Assessment, samples_of
from ..measuring.evaluation import perplexity
from ..measuring.tallies import Difference, Tally
from ..models.saving import merged, save_model
from ..training.loop import Task
from .card import card_of, licence_of
from .outcome import Outcome
from .verdict import verdict_of

SCHEMA: Final = "advisor.result/1"
DIGITS: Final = 6


def export(task: Task) -> None:
    """Write `adapter/` or `model/`: safetensors and tokenizer; whole or not at all."""
    _save(task, task.model, "adapter" if task.settings.adds else "model")


def export_merged(task: Task) -> None:
    """Write `model/` with the adapter in the base's weights; `task.model` is used up."""
    _save(task, merged(task.model), "model")


def _save(task: Task, model: Any, name: str) -> None:  # noqa: ANN401
    model.config.use_cache = True  # the stock loop turns it off
    with published(task.folder / name) as target:
        save_model(model, target)
        task.tokenizer.save_pretrained(str(target))


def write_card(outcome: Outcome, base: Path | None) -> None:
    """Write the card beside the weights, in `adapter/` and in `model/` as far as they are there."""
    licence = licence_of(base)
    for name in ("adapter", "model"):
        target = outcome.folder / name
        if target.is_dir():
            text = card_of(outcome, licence=licence, adapter=name == "adapter")
            beside = target / ".tmp-README.md"
            with private(beside) as file:
                file.write(text)
            beside.replace(target / "README.md")


def write_result(outcome: Outcome) -> None:
    """Write result.json, with what was predicted beside what was measured."""
    progress = outcome.progress
    document = {
        "schema": SCHEMA,
        "run_id": outcome.plan.run_id,
        "status": "done",
        "steps": progress.step if progress else 0,
        "tokens": progress.all.tokens if progress else 0,
        "best_step": progress.best_step if progress else None,
        "ended_early": progress.ended_early if progress else None,
        "train_loss": {
            "first": progress.first_loss if progress else None,
            "last": progress.last_loss if progress else None,
            "mean": progress.all.loss / progress.all.steps if progress and progress.step else None,
        },
        "validation": _validation(outcome),
        "metrics": _metrics(outcome),
        "forgetting": _before_and_after(outcome, "general"),
        "out_of_domain": _before_and_after(outcome, "out_of_domain"),
        "predicted": {one.name: one.interval for one in outcome.predictions},
        "measured": outcome.measured,
        "predictions_held": {
            one.name: {"ratio": _round(one.ratio), "place": one.place}
            for one in outcome.predictions
        },
        "devices": outcome.devices,
        "device": outcome.device,
        "skipped_records": dict(outcome.skipped),
        "ladder": [dict(rung) for rung in outcome.ladder],
        "profile": outcome.profile,
        "samples": _samples(outcome),
        "verdict": verdict_of(outcome),
    }
    write_json(outcome.folder / "result.json", document)


def _validation(outcome: Outcome) -> dict[str, float | None]:
    """Return the losses on held-out rows, after and `…_before` training."""
    found: dict[str, float | None] = {}
    for tail, one in (("", outcome.tuned), ("_before", outcome.base)):
        losses = one.losses.get("validation") if one else None
        names = ("loss", "perplexity", "bits_per_byte", "perplexity_per_byte")
        told = losses.to_dict() if losses else dict.fromkeys(names)
        found |= {f"{name}{tail}": value for name, value in told.items()}
    return found


def _metrics(outcome: Outcome) -> dict[str, Any]:
    name, metric = outcome.metric
    tuned, base, prompted = outcome.tuned, outcome.base, outcome.prompted
    known = outcome.tally(tuned) or outcome.tally(base)
    notes = []
    if outcome.stage.settings.objective == "mlm":
        notes.append("perplexity is a pseudo-perplexity, over the masked tokens")
    return {
        "headline": {
            "name": name,
            "title": metric.title,
            "higher_is_better": metric.higher,
            "examples": known.examples if known else 0,
            "tuned": _value(outcome.tally(tuned)),
            "base": _value(outcome.tally(base)),
            "prompted_base": _value(outcome.tally(prompted)),
            "tuned_minus_base": _difference(outcome.gain(tuned, base)),
            "tuned_minus_prompted_base": _difference(outcome.gain(tuned, prompted)),
            "prompted_base_minus_base": _difference(outcome.gain(prompted, base)),
        },
        "tuned": _scores(tuned),
        "base": _scores(base),
        "prompted_base": _scores(prompted),
        "notes": notes,
    }


def _scores(one: Assessment | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"name": one.name, "shots": one.shots, **one.scores()}


def _before_and_after(outcome: Outcome, role: str) -> dict[str, Any] | None:
    """Return the loss on another kind of text before and after; None where it was not measured."""
    tuned, base = (
        one.losses[role].loss if one and role in one.losses else None
        for one in (outcome.tuned, outcome.base)
    )
    if tuned is None and base is None:
        return None
    after, before = _value(tuned), _value(base)
    return {
        "loss": after,
        "loss_before": before,
        "perplexity": perplexity(after),
        "perplexity_before": perplexity(before),
        "change": _difference(outcome.moved(tuned, base)),
    }


def _value(tally: Tally | None) -> float | None:
    return tally.value if tally else None


def _difference(found: Difference | None) -> dict[str, Any] | None:
    if found is None:
        return None
    value, low, high = map(_round, found)
    return {"value": value, "low": low, "high": high, "certain": found.certain}


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def _samples(outcome: Outcome) -> list[dict[str, str | None]]:
    return [
        {
            "prompt": one.prompt,
            "reference": one.reference,
            "base": _answer(outcome.base, number),
            "prompted": _answer(outcome.prompted, number),
            "tuned": _answer(outcome.tuned, number),
        }
        for number, one in enumerate(samples_of(outcome.exam))
    ]


def _answer(one: Assessment | None, number: int) -> str | None:
    return one.answers[number] if one and number < len(one.answers) else None
