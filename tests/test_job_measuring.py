"""What scores are, held against values worked out by hand and against known libraries."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.job.measuring import labels, texts
from advisor.job.measuring.headline import METRICS, headline
from advisor.job.measuring.tallies import difference, f1_of, mean_of, ratio_of, spread

ANSWERS = ["the cat sat on the mat", "a dog ran", "nothing at all like it", "red green blue two"]
REFERENCES = ["the cat sat on a mat", "the dog ran away", "birds sing", "red green blue two"]
PHRASES = st.lists(st.text("ab cdé漢", min_size=1, max_size=12), min_size=1, max_size=6)


def value(answers: Sequence[str], references: Sequence[str], name: str) -> float:
    found = texts.text_tallies(answers, references)[name].value
    assert found is not None
    return found


@settings(deadline=None)
@given(PHRASES)
def test_perfect_answers_score_best_in_any_script(answers: list[str]) -> None:
    found = texts.text_tallies(answers, answers)
    assert found["exact_match"].value == found["token_f1"].value == 1
    worded = [one for one in answers if texts.words_of(one)]
    if worded:
        assert value(worded, worded, "rouge_l") == value(worded, worded, "rouge_1") == 1


def test_token_f1_is_that_of_squad() -> None:
    # Shared: cat sat on mat, of 4 and 4 words once articles are gone.
    assert texts.token_f1("The cat sat on the mat.", "cat sat, on a mat") == 1
    assert texts.token_f1("in Paris", "Paris") == pytest.approx(2 * 1 / 3)
    assert texts.token_f1("", "Paris") == 0
    assert texts.token_f1("the", "a") == 1


def test_bleu_and_chrf_are_those_of_sacrebleu() -> None:
    from sacrebleu import corpus_bleu, corpus_chrf

    assert value(ANSWERS, REFERENCES, "bleu") == pytest.approx(
        corpus_bleu(ANSWERS, [REFERENCES]).score
    )
    assert texts.chrf(ANSWERS, REFERENCES) == corpus_chrf(ANSWERS, [REFERENCES]).score


def test_rouge_is_that_of_its_library_and_knows_other_scripts() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    known = [scorer.score(r, a) for a, r in zip(ANSWERS, REFERENCES, strict=True)]
    for name, key in texts.ROUGES.items():
        mean = sum(one[key].fmeasure for one in known) / len(known)
        assert value(ANSWERS, REFERENCES, name) == pytest.approx(mean)
    assert value(["ŋaŋ mir lin"], ["ŋaŋ mir ʃi"], "rouge_1") == pytest.approx(2 / 3)
    assert value(["漢字"], ["漢語"], "rouge_1") == pytest.approx(1 / 2)


JSON_ANSWERS = [
    ('{"kind": "fee", "amount": 5}', '{"kind": "fee", "amount": 5}', 1.0),
    ('Here: {"amount": 5, "kind": "fee"} – done.', '{"kind": "fee", "amount": 5}', 1.0),
    ('{"kind": "fee", "amount": 6}', '{"kind": "fee", "amount": 5}', 0.5),
    ('{"kind": "fee", "amount": 5, "party": "x"}', '{"kind": "fee", "amount": 5}', 2 / 3),
    ('{"kind": "fee"', '{"kind": "fee", "amount": 5}', 0.0),
    ('{"amount": null}', '{"amount": null, "kind": null}', 0.5),
]


@pytest.mark.parametrize(("answer", "reference", "share"), JSON_ANSWERS)
def test_json_answers_are_scored_field_by_field(answer: str, reference: str, share: float) -> None:
    assert texts.json_fields(answer, reference) == pytest.approx(share)


def test_fields_are_scored_only_where_every_reference_is_an_object() -> None:
    assert "json_fields" in texts.text_tallies(["{}"], ['{"a": 1}'])
    assert "json_fields" not in texts.text_tallies(["{}", ""], ['{"a": 1}', "no"])


def test_diversity_tells_repetition_from_variety() -> None:
    same = texts.diversity(["one two three four five"] * 6, seed=1)
    other = texts.diversity([f"a{n} b{n} c{n} d{n} e{n}" for n in range(6)], seed=1)
    assert same == {
        "distinct_1": pytest.approx(5 / 30),
        "distinct_2": pytest.approx(4 / 24),
        "self_bleu": pytest.approx(100),
    }
    assert (other["distinct_1"], other["distinct_2"]) == (1, 1)
    assert other["self_bleu"] < 20
    assert texts.diversity(["", ""], seed=1) == dict.fromkeys(same)


def test_self_bleu_of_many_texts_is_that_of_a_seeded_sample() -> None:
    many = [f"{n % 7} {n % 11} {n % 13} {n} end" for n in range(200)]
    first, again, other = (texts.diversity(many, seed=seed)["self_bleu"] for seed in (1, 1, 2))
    assert first == again != other


def label_arrays(count: int, classes: int, seed: int) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    gold = draw.integers(0, classes, count)
    return gold, np.where(draw.random(count) < 0.6, gold, draw.integers(0, classes, count))


@pytest.mark.parametrize(("count", "classes"), [(200, 2), (200, 5), (40, 30)])
def test_label_scores_are_those_of_scikit_learn(count: int, classes: int) -> None:
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    gold, predicted = label_arrays(count, classes, seed=classes)
    precision, recall, f1, _ = precision_recall_fscore_support(
        gold, predicted, average="macro", zero_division=0
    )
    names = [f"label {n}" for n in range(classes)]
    tallies, report = (
        labels.label_tallies(gold, predicted, classes),
        labels.label_report(gold, predicted, names),
    )
    assert tallies["accuracy"].value == pytest.approx(accuracy_score(gold, predicted))
    assert tallies["macro_f1"].value == pytest.approx(f1)
    assert report["macro_precision"] == pytest.approx(precision)
    assert report["macro_recall"] == pytest.approx(recall)
    assert len(report["per_class"]) == min(classes, labels.SHOWN_CLASSES)
    json.dumps(report)


def test_the_confusion_shows_what_was_taken_for_what() -> None:
    report = labels.label_report(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0]), ("a", "b"))
    assert report["confusion"] == {"labels": ["b", "a"], "counts": [[2, 1], [1, 1]]}
    assert report["per_class"]["b"]["precision"] == pytest.approx(2 / 3)


def test_calibration_error_by_hand() -> None:
    shares = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.35, 0.65]])
    gold = np.array([0, 1, 1, 1])
    # Bins of 1/15: 0.9 and 0.9 share one (|0.5 - 0.9| of two), 0.7 and 0.65 have one each.
    assert labels.calibration_error(shares, gold) == pytest.approx((2 * 0.4 + 0.3 + 0.35) / 4)
    assert labels.brier(shares, gold).value == pytest.approx((0.02 + 1.62 + 0.18 + 2 * 0.35**2) / 4)


def test_confidence_that_comes_true_has_hardly_any_calibration_error() -> None:
    draw = np.random.default_rng(3)
    confidence = draw.uniform(0.5, 1, 20_000)
    shares = np.stack([confidence, 1 - confidence], axis=1)
    honest = (draw.random(20_000) > confidence).astype(int)
    assert labels.calibration_error(shares, honest) < 0.02
    assert labels.calibration_error(shares, np.ones(20_000, dtype=int)) > 0.5


SPANS = [
    ("B-PER I-PER O B-LOC", {(0, 2, "PER"), (3, 4, "LOC")}),
    ("B-PER B-PER", {(0, 1, "PER"), (1, 2, "PER")}),
    ("O I-LOC I-LOC", {(1, 3, "LOC")}),
    ("B-PER I-LOC", {(0, 1, "PER"), (1, 2, "LOC")}),
    ("O O", set()),
]


@pytest.mark.parametrize(("tags", "entities"), SPANS)
def test_entities_are_read_off_their_tags(tags: str, entities: set[Any]) -> None:
    assert labels.spans(tags.split()) == entities


def test_an_entity_counts_only_as_a_whole() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-LOC", "I-LOC"]]
    said = [["B-PER", "O", "O", "B-LOC"], ["O", "B-LOC", "I-LOC"]]
    found = labels.tag_tallies(gold, said)
    assert found["accuracy"].value == pytest.approx(6 / 7)
    assert [found[name].value for name in ("precision", "recall", "f1")] == [
        pytest.approx(2 / 3)
    ] * 3


def test_tags_without_borders_are_scored_token_by_token() -> None:
    found = labels.tag_tallies([["COLOUR", "O", "THING"]], [["COLOUR", "COLOUR", "O"]])
    assert [found[name].value for name in ("precision", "recall", "f1")] == [0.5, 0.5, 0.5]


@given(st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), min_size=1, max_size=12))
def test_right_tags_are_never_wrong_entities(tags: list[str]) -> None:
    found = labels.tag_tallies([tags], [tags])
    assert found["f1"].value in (None, 1)
    assert found["accuracy"].value == 1


def test_the_interval_of_a_difference_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(100):
        draw = np.random.default_rng(seed)
        before = draw.random(60) < 0.5
        after = before | (draw.random(60) < 0.4)  # 0.5 to 0.7 in truth
        found = difference(mean_of(after), mean_of(before), seed=seed)
        assert found is not None
        covered += found.low <= 0.2 <= found.high
    assert 88 <= covered <= 100


def test_a_difference_of_nothing_is_not_certain_and_a_large_one_is() -> None:
    draw = np.random.default_rng(1)
    first, second = draw.random((2, 50))
    equal = difference(mean_of(first), mean_of(second), seed=1)
    apart = difference(mean_of(first + 2), mean_of(first), seed=1)
    assert equal is not None
    assert apart is not None
    assert (equal.certain, apart.certain) == (False, True)
    assert apart.value == pytest.approx(2)


def test_pairs_tell_a_small_difference_that_separate_examples_do_not() -> None:
    hard = np.random.default_rng(2).random(40) * 10
    paired = difference(mean_of(hard + 0.1), mean_of(hard), seed=1)
    apart = difference(mean_of(hard + 0.1), mean_of(hard), seed=1, paired=False)
    assert paired is not None
    assert apart is not None
    assert (paired.certain, apart.certain) == (True, False)


def test_few_examples_make_nothing_certain() -> None:
    few = difference(mean_of([1.0] * 5), mean_of([0.0] * 5), seed=1)
    assert few == (1, None, None)
    assert not few.certain
    assert spread(mean_of([1.0] * 5), seed=1) is None


def test_a_ratio_weighs_examples_by_what_they_count() -> None:
    assert ratio_of([10, 1], [2, 8]).value == pytest.approx(1.1)
    assert ratio_of([0, 0], [0, 0]).value is None
    assert f1_of([1, 0], [1, 1], [1, 2]).value == pytest.approx(2 / 5)


def test_the_interval_of_bleu_holds_its_value() -> None:
    tally = texts.text_tallies(ANSWERS * 5, REFERENCES * 5)["bleu"]
    low, high = spread(tally, seed=1) or (0, 0)
    assert 0 < low < (tally.value or 0) < high


HEADLINES = [
    ("classification", "support", "none", "macro_f1"),
    ("extraction", "extraction", "none", "f1"),
    ("clm", "extraction", "json", "json_fields"),
    ("clm", "extraction", "text", "token_f1"),
    ("seq2seq", "translation", "text", "bleu"),
    ("clm", "summarization", "text", "rouge_l"),
    ("clm", "question_answering", "label", "exact_match"),
    ("clm", "question_answering", "text", "token_f1"),
    ("clm", "chat", "text", "rouge_l"),
    ("clm", "foundation", "none", "bits_per_byte"),
    ("mlm", "foundation", "none", "loss"),
    ("clm", "chat", "none", "loss"),
]


@pytest.mark.parametrize(("objective", "task", "form", "name"), HEADLINES)
def test_the_task_and_its_references_choose_the_score(
    objective: str, task: str, form: str, name: str
) -> None:
    assert headline(objective, task, form) == name
    assert name in METRICS


REFERENCE_FORMS = [
    ([], "none"),
    (['{"a": 1}', '{"b": 2}'], "json"),
    (["yes", "no"] * 4, "label"),
    ([f"name {n}" for n in range(8)], "text"),
    (["a long answer of several words"] * 8, "text"),
]


@pytest.mark.parametrize(("references", "form"), REFERENCE_FORMS)
def test_the_form_of_references_is_seen(references: list[str], form: str) -> None:
    assert texts.form_of(references) == form
