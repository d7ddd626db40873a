"""What a run came to, in two or three sentences: better or not, at what price, as predicted?"""

from typing import Final

from ..measuring.assessing import Assessment
from ..measuring.tallies import Difference, spread
from .outcome import Outcome, Prediction

TOLD: Final = {"wall_hours": "time", "memory_gb_per_gpu": "memory"}


def verdict_of(outcome: Outcome) -> str:
    """Return the verdict; every figure in it was measured."""
    if outcome.tuned is None:
        parts = [_untrained(outcome), _target(outcome)]
    else:
        parts = [_against_base(outcome), _forgetting(outcome)]
    return " ".join(filter(None, [*parts, _predicted(outcome)]))


def _against_base(outcome: Outcome) -> str:
    """Say whether the tuned model is better than the base and than the prompted base."""
    tuned, base = outcome.tally(outcome.tuned), outcome.tally(outcome.base)
    if tuned is None:
        return _by_training_loss(outcome)
    _, metric = outcome.metric
    value = _shown(outcome, outcome.tuned)
    if base is None:
        return f"The tuned model reaches {metric.title} {value} on {_count(outcome)}; {_no_base()}."
    gain = outcome.gain(outcome.tuned, outcome.base)
    assert gain is not None  # noqa: S101 - both were measured
    text = (
        f"The tuned model is {_word(outcome, gain)} {outcome.base_title}: {metric.title} {value} "
        f"against {_shown(outcome, outcome.base)} on {_count(outcome)} ({_told(outcome, gain)})"
    )
    return f"{text}{_against_prompted(outcome)}."


def _against_prompted(outcome: Outcome) -> str:
    gain = outcome.gain(outcome.tuned, outcome.prompted)
    if gain is None or outcome.prompted is None:
        return ""
    return (
        f"; it is {_word(outcome, gain)} the base shown {outcome.prompted.shots:.2g} examples, "
        f"which reaches {_shown(outcome, outcome.prompted)} ({_told(outcome, gain)})"
    )


def _by_training_loss(outcome: Outcome) -> str:
    progress = outcome.progress
    if progress is None or progress.first_loss is None or progress.last_loss is None:
        return "Nothing was measured."
    return (
        f"The training loss went from {progress.first_loss:.2f} to {progress.last_loss:.2f}; "
        "no data was held out, so whether the model is better was not measured."
    )


def _untrained(outcome: Outcome) -> str:
    """Say what the base reaches without training."""
    if outcome.tally(outcome.base) is None:
        return "Nothing was measured: no held-out record has an answer to compare with."
    _, metric = outcome.metric
    text = (
        f"Without training {outcome.base_title} reaches {metric.title} "
        f"{_with_spread(outcome, outcome.base)} on {_count(outcome)}"
    )
    gain = outcome.gain(outcome.prompted, outcome.base)
    if gain is None or outcome.prompted is None:
        return f"{text}."
    return (
        f"{text}; shown {outcome.prompted.shots:.2g} examples "
        f"{_with_spread(outcome, outcome.prompted)} ({_told(outcome, gain)})."
    )


def _target(outcome: Outcome) -> str:
    if outcome.tally(outcome.base) is None:
        return ""
    return "Whether that is enough cannot be judged without a target."


def _with_spread(outcome: Outcome, one: Assessment | None) -> str:
    tally = outcome.tally(one)
    known = spread(tally, seed=outcome.stage.settings.seed) if tally else None
    digits = outcome.metric[1].digits
    tail = f" ({known[0]:.{digits}f} to {known[1]:.{digits}f})" if known else ""
    return f"{_shown(outcome, one)}{tail}"


def _word(outcome: Outcome, gain: Difference) -> str:
    if not gain.certain:
        return "not certainly better than"
    up = gain.value > 0
    return "better than" if up == outcome.metric[1].higher else "worse than"


def _told(outcome: Outcome, gain: Difference) -> str:
    digits = outcome.metric[1].digits
    value = f"{gain.value:+.{digits}f}"
    if gain.low is None:
        return f"{value}, too few examples to be certain"
    return f"{value}, 95 % interval {gain.low:+.{digits}f} to {gain.high:+.{digits}f}"


def _shown(outcome: Outcome, one: Assessment | None) -> str:
    tally = outcome.tally(one)
    value = tally.value if tally else None
    return "not measured" if value is None else f"{value:.{outcome.metric[1].digits}f}"


def _count(outcome: Outcome) -> str:
    tally = outcome.tally(outcome.tuned) or outcome.tally(outcome.base)
    assert tally is not None  # noqa: S101 - asked for where one was measured
    rows = outcome.metric[0] in ("loss", "bits_per_byte")
    return f"{tally.examples} held-out {'rows' if rows else 'examples'}"


def _no_base() -> str:
    return "the base was not measured"


def _forgetting(outcome: Outcome) -> str:
    """Say what training cost on general text; a model from scratch knew nothing to forget."""
    if not outcome.stage.settings.base_model:
        return ""
    tuned, base = (
        one.losses["general"].loss if one and "general" in one.losses else None
        for one in (outcome.tuned, outcome.base)
    )
    moved = outcome.moved(tuned, base)
    if moved is None or tuned is None or base is None:
        return "Forgetting was not measured: it takes general text that the base knows."
    figures = f"from {base.value:.2f} to {tuned.value:.2f} nats per token"
    if moved.certain and moved.value > 0:
        return f"It forgot: the loss on general text rose {figures}."
    return f"No forgetting was seen: the loss on general text went {figures}."


def _predicted(outcome: Outcome) -> str:
    told = [text for one in outcome.predictions if one.name in TOLD and (text := _prediction(one))]
    text = "; ".join(told)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _prediction(one: Prediction) -> str:
    if one.place is None or one.interval is None or one.measured is None:
        return ""
    low, high = one.interval["low"], one.interval["high"]
    if one.name == "wall_hours":
        span = f"{_time(one.measured)}, predicted {_time(low)} to {_time(high)}"
    else:
        span = f"{one.measured:.3g} GB, predicted {low:.3g} to {high:.3g}"
    where = "as predicted" if one.place == "inside" else f"{one.place} the prediction"
    return f"{TOLD[one.name]} was {where} ({span})"


def _time(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.3g} h"
    return f"{hours * 60:.3g} min" if hours * 60 >= 1 else f"{hours * 3600:.3g} s"
