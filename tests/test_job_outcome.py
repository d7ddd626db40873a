"""What a finished run says of itself: result, verdict and model card."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import job_runs as runs
import numpy as np
import pytest
import yaml

from advisor.job.measuring.assessing import Assessment, Exam, ExamRows, Losses
from advisor.job.measuring.questions import Question
from advisor.job.measuring.tallies import Tally, mean_of, ratio_of
from advisor.job.outcome.card import card_of, licence_of
from advisor.job.outcome.outcome import Outcome, Prediction
from advisor.job.outcome.results import write_card, write_result
from advisor.job.outcome.verdict import verdict_of
from advisor.job.plan import DataFile, Plan, Stage
from advisor.job.settings import Settings
from advisor.job.training.progress import Progress

COUNT = 40
LOW, HIGH = np.arange(COUNT) % 4 == 0, np.arange(COUNT) % 4 != 0  # a quarter right, three quarters
PREDICTIONS = {
    "wall_hours": {"low": 0.5, "mid": 1.0, "high": 1.5},
    "memory_gb_per_gpu": {"low": 1.0, "mid": 2.0, "high": 3.0},
    "tokens_per_second_per_gpu": None,
    "price_per_gpu_hour_usd": 2.0,
}


def assessment(
    right: Sequence[float], *, loss: float = 2.0, general: float | None = None, **more: Any
) -> Assessment:
    """Return an assessment of as many answers, right or wrong, and of losses around a mean."""
    losses = {"validation": losses_of(loss)}
    if general is not None:
        losses["general"] = losses_of(general)
    tallies: dict[str, Tally] = {"exact_match": mean_of(right), "loss": losses["validation"].loss}
    details = {"chrf": 12.5, "diversity": {"distinct_1": 0.5}}
    answers = ("yes", "no | <b>")
    return Assessment(
        name="x", losses=losses, tallies=tallies, details=details, answers=answers, **more
    )


def losses_of(mean: float) -> Losses:
    tokens = np.full(COUNT, 10.0)
    wobble = np.sin(np.arange(COUNT)) - np.sin(np.arange(COUNT)).mean()
    return Losses(ratio_of(tokens * (mean + 0.1 * wobble), tokens), None)


def progress() -> Progress:
    found = Progress(memory_gb=2.5, first_loss=3.0, last_loss=1.0)
    for _ in range(4):
        found.add_step(tokens=100, loss=2.0, seconds=1.0, steady=True)
    return found


def outcome(folder: Path = Path(), changes: dict[str, Any] | None = None, **known: Any) -> Outcome:
    settings = Settings.from_dict(
        runs.settings(**{"eval_examples": COUNT, "task": "classification", **(changes or {})})
    )
    file = DataFile(path="a|b`<i>.jsonl", bytes=9, records=3, sha256="ab" * 32)
    stage = Stage(settings=settings, files=(file,))
    exam = Exam(
        tokenizer=None,
        settings=settings,
        collate=dict,
        rows=ExamRows(train=()),
        questions=tuple(
            Question(f"{n}?", ("yes", "no")[n % 2], ({"role": "user", "content": "?"},))
            for n in range(COUNT)
        ),
        scored=COUNT,
    )
    plan = Plan(run_id="run-1", last=stage, earlier=(), predictions=PREDICTIONS)
    given = {"tuned": assessment(HIGH), "base": assessment(LOW), "progress": progress()} | known
    return Outcome(
        folder=folder, plan=plan, stage=stage, exam=exam, hours=1.2, device="cpu", **given
    )


def test_better_is_said_with_its_interval_where_it_is_certain() -> None:
    text = verdict_of(outcome())
    assert text.startswith(
        "The tuned model is better than the base: exact match 0.750 against 0.250 on "
        "40 held-out examples (+0.500, 95 % interval +"
    )
    worse = verdict_of(outcome(tuned=assessment(LOW), base=assessment(HIGH)))
    assert worse.startswith("The tuned model is worse than the base: exact match 0.250")


def test_no_certainty_is_claimed_where_the_interval_holds_nothing() -> None:
    barely = LOW | (np.arange(COUNT) == 1)
    for tuned in (LOW, barely):
        assert "not certainly better than the base" in verdict_of(outcome(tuned=assessment(tuned)))
    few = verdict_of(outcome(tuned=assessment([1.0] * 6), base=assessment([0.0] * 6)))
    assert "not certainly better than the base: exact match 1.000 against 0.000" in few
    assert "too few examples to be certain" in few


def test_a_lower_loss_is_better() -> None:
    changes = {"eval_examples": 0, "task": "other"}
    made = outcome(
        changes=changes, tuned=assessment(HIGH, loss=1.0), base=assessment(HIGH, loss=2.0)
    )
    object.__setattr__(made.exam, "scored", 0)
    assert made.metric[0] == "loss"
    assert verdict_of(made).startswith(
        "The tuned model is better than the base: validation loss 1.00 against 2.00 on 40 held-out"
    )


def test_the_prompted_base_is_named_with_what_it_was_shown() -> None:
    text = verdict_of(outcome(prompted=assessment(HIGH, shots=3.0)))
    assert "not certainly better than the base shown 3 examples, which reaches 0.750" in text
    assert "prompt" not in verdict_of(outcome())


FORGETTING = [
    (2.0, 2.6, "It forgot: the loss on general text rose from 2.00 to 2.60 nats per token."),
    (2.0, 1.9, "No forgetting was seen: the loss on general text went from 2.00 to 1.90"),
    (2.0, 2.0, "No forgetting was seen"),
    (None, None, "Forgetting was not measured"),
]


@pytest.mark.parametrize(("before", "after", "told"), FORGETTING)
def test_forgetting_is_told_as_it_was_measured(
    before: float | None, after: float | None, told: str
) -> None:
    base, tuned = assessment(LOW, general=before), assessment(HIGH, general=after)
    assert told in verdict_of(outcome(base=base, tuned=tuned))


def test_the_prediction_is_held_against_what_was_measured() -> None:
    text = verdict_of(outcome())
    assert text.endswith(
        "Time was as predicted (1.2 h, predicted 30 min to 1.5 h); "
        "memory was as predicted (2.5 GB, predicted 1 to 3)."
    )
    interval = {"low": 1.0, "mid": 2.0, "high": 3.0}
    assert [Prediction("x", interval, one).place for one in (0.5, 2, 4, None)] == [
        "below", "inside", "above", None,
    ]  # fmt: skip
    assert Prediction("x", interval, 4.0).ratio == 2
    assert Prediction("x", None, 4.0).ratio is None


def test_without_training_the_base_is_told_and_no_target_is_made_up() -> None:
    changes = {"approach": "no_training", "method": "few_shot", "shots": 3, "max_steps": None}
    text = verdict_of(
        outcome(changes=changes, tuned=None, progress=None, prompted=assessment(HIGH, shots=2.5))
    )
    assert text.startswith("Without training the base reaches exact match 0.250 (")
    assert "shown 2.5 examples 0.750 (" in text
    assert "Whether that is enough cannot be judged without a target." in text
    assert "forg" not in text.lower()


def test_where_nothing_was_held_out_the_training_loss_is_all_there_is() -> None:
    empty = Assessment(name="tuned")
    text = verdict_of(outcome(tuned=empty, base=empty))
    assert text.startswith("The training loss went from 3.00 to 1.00; no data was held out")


def test_the_result_holds_every_field_and_no_figure_that_nobody_measured(tmp_path: Path) -> None:
    write_result(
        outcome(
            tmp_path,
            prompted=assessment(LOW, shots=2.0),
            skipped={"a.jsonl": 2},
            ladder=[{"changes": {"micro_batch": [4, 2]}}],
            profile="bound by compute",
        )
    )
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["schema"] == "advisor.result/1"
    assert (result["status"], result["steps"], result["tokens"]) == ("done", 4, 400)
    assert result["train_loss"] == {"first": 3.0, "last": 1.0, "mean": 2.0}
    assert result["validation"]["loss"] == pytest.approx(2)
    assert result["validation"]["bits_per_byte"] is None
    assert all(one is None or isinstance(one, float) for one in result["validation"].values())
    head = result["metrics"]["headline"]
    assert (head["name"], head["tuned"], head["base"]) == ("exact_match", 0.75, 0.25)
    assert head["tuned_minus_base"]["certain"]
    assert head["tuned_minus_base"]["low"] < 0.5 < head["tuned_minus_base"]["high"]
    assert result["metrics"]["prompted_base"]["shots"] == 2
    assert result["metrics"]["tuned"]["chrf"] == 12.5
    assert result["forgetting"] is result["out_of_domain"] is None
    assert result["predicted"]["tokens_per_second_per_gpu"] is None
    assert result["measured"]["cost_usd"] == pytest.approx(2.4)
    assert result["measured"]["tokens_per_second_per_gpu"] == 100
    assert result["predictions_held"]["wall_hours"] == {"ratio": 1.2, "place": "inside"}
    assert result["predictions_held"]["cost_usd"] == {"ratio": None, "place": None}
    assert result["skipped_records"] == {"a.jsonl": 2}
    assert [set(one) for one in result["samples"]] == [
        {"prompt", "reference", "base", "prompted", "tuned"}
    ] * 2
    assert result["verdict"] == verdict_of(outcome(prompted=assessment(LOW, shots=2.0)))


def test_a_run_without_training_has_a_result_too(tmp_path: Path) -> None:
    changes = {"approach": "no_training", "method": "zero_shot", "max_steps": None}
    write_result(outcome(tmp_path, changes=changes, tuned=None, progress=None))
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["steps"], result["metrics"]["tuned"]) == (0, None)
    assert set(result["train_loss"].values()) == {None}
    assert result["measured"]["memory_gb_per_gpu"] is None
    assert result["samples"][0]["tuned"] is None


CARDS = [
    ({}, False),
    ({"base_model": "some-org/some-base", **runs.LORA}, True),
    ({**runs.LORA, "objective": "classification", "labels": ["a", "b"], "packing": False}, True),
    (
        {"approach": "lora", "method": "adapter", "bottleneck": 8, "base_model": "x/y"},
        True,
    ),
    (runs.PRETRAIN, False),
]


@pytest.mark.parametrize(("changes", "adapter"), CARDS)
def test_a_card_tells_base_data_figures_limits_and_how_to_load(
    changes: dict[str, Any], adapter: bool
) -> None:
    made = outcome(changes=changes)
    card = card_of(made, licence="apache-2.0", adapter=adapter)
    _, head, body = card.split("---\n", 2)
    facts = yaml.safe_load(head)
    assert facts["license"] == "apache-2.0"
    settings = made.stage.settings
    assert set(facts["tags"]) == {settings.approach, settings.method, settings.objective}
    is_hub_name = "/" in (settings.base_model or "")
    assert facts.get("base_model") == (settings.base_model if is_hub_name else None)
    assert "what it forgot was not measured" in body
    assert "safety, bias and fairness were not measured" in body
    assert "ab" * 32 in body
    code = body.split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
    loader = "load_trained" if changes.get("method") == "adapter" else "from_pretrained"
    assert loader in code


def test_foreign_text_breaks_no_card() -> None:
    card = card_of(outcome(), licence="mit", adapter=False)
    (row,) = [line for line in card.splitlines() if line.endswith(f"| 3 | {'ab' * 32} |")]
    assert row.startswith("| a\\|b\\`\\<i\\>.jsonl | train |")


LICENCES = [
    ("---\nlicense: apache-2.0\n---\n# x", "apache-2.0"),
    ('---\nlanguage: en\nlicense: "MIT"\n---\n', "mit"),
    ("# no head\nlicense: mit\n", "unknown"),
    ("---\nlicense: a\x1b[31m\n---\n", "unknown"),
    ("---\ntags: x\n---\nlicense: mit\n", "unknown"),
]


@pytest.mark.parametrize(("card", "licence"), LICENCES)
def test_the_licence_is_that_of_the_bases_card(tmp_path: Path, card: str, licence: str) -> None:
    (tmp_path / "README.md").write_text(card)
    assert licence_of(tmp_path) == licence


def test_a_base_without_a_card_has_an_unknown_licence(tmp_path: Path) -> None:
    assert licence_of(tmp_path) == licence_of(None) == "unknown"


def test_cards_are_written_beside_what_was_saved(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "model").mkdir()
    made = outcome(tmp_path, changes={"base_model": "x/y", **runs.LORA})
    write_card(made, None)
    assert 'library_name: "peft"' in (tmp_path / "adapter" / "README.md").read_text()
    assert 'library_name: "transformers"' in (tmp_path / "model" / "README.md").read_text()
