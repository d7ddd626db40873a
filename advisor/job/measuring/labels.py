"""Labels and tags compared with those in the data: right ones, and how honest the confidence is."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .tallies import Numbers, Tally, f1_of, mean_of, ratio_of

Whole = NDArray[np.int64]
Tags = Sequence[Sequence[str]]

BINS: Final = 15
SHOWN_CLASSES: Final = 20
OUTSIDE: Final = "O"


def label_tallies(gold: Whole, predicted: Whole, classes: int) -> dict[str, Tally]:
    """Return accuracy and macro F1, over the classes that are in the data or were predicted."""
    return {
        "accuracy": mean_of(gold == predicted),
        "macro_f1": f1_of(*_counts(gold, predicted, classes)),
    }


def _counts(gold: Whole, predicted: Whole, classes: int) -> tuple[Numbers, Numbers, Numbers]:
    """Return (examples, classes) arrays of ones: right, predicted, in the data."""
    names = np.arange(classes)
    found, wanted = predicted[:, None] == names, gold[:, None] == names
    return found & wanted, found, wanted


def label_report(gold: Whole, predicted: Whole, labels: Sequence[str]) -> dict[str, Any]:
    """Return precision, recall and F1, macro and by class, and which class was taken for which.

    `per_class` and `confusion` (rows: in the data, columns: predicted) show the 20 classes that
    are most frequent in the data.
    """
    from sklearn.metrics import (  # noqa: PLC0415 - takes a second, and only heads need it
        confusion_matrix,
        precision_recall_fscore_support,
    )

    every = list(range(len(labels)))
    table = precision_recall_fscore_support(gold, predicted, labels=every, zero_division=0)
    precision, recall, f1, support = (column.tolist() for column in table)
    seen = [one for one in every if support[one] or (predicted == one).any()]
    shown = sorted(every, key=lambda one: -support[one])[:SHOWN_CLASSES]
    matrix = confusion_matrix(gold, predicted, labels=every)
    return {
        "macro_precision": sum(precision[one] for one in seen) / len(seen),
        "macro_recall": sum(recall[one] for one in seen) / len(seen),
        "per_class": {
            labels[one]: {
                "precision": precision[one],
                "recall": recall[one],
                "f1": f1[one],
                "examples": support[one],
            }
            for one in shown
        },
        "confusion": {
            "labels": [labels[one] for one in shown],
            "counts": matrix[np.ix_(shown, shown)].tolist(),
        },
    }


def calibration_error(probabilities: Numbers, gold: Whole) -> float:
    """Return the expected calibration error: 15 bins of equal width (Guo et al., 2017).

    It is the mean over the examples of the gap between confidence and accuracy in their bin.
    """
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == gold).astype(np.float64)
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(gold))


def brier(probabilities: Numbers, gold: Whole) -> Tally:
    """Return the Brier score: squared distance of the probabilities from the truth, summed."""
    truth = np.eye(probabilities.shape[1])[gold]
    return mean_of(((probabilities - truth) ** 2).sum(axis=1))


def tag_tallies(gold: Tags, predicted: Tags) -> dict[str, Tally]:
    """Return accuracy over tokens, and precision, recall and F1 over entities.

    An entity is right where its borders and its kind are. Where the tags are not of the B- and I-
    kind, each token with a tag other than O counts as one.
    """
    whole = spelled_as_spans(gold)
    counts = [_entities(*pair, whole=whole) for pair in zip(gold, predicted, strict=True)]
    right, found, wanted = np.array(counts, dtype=np.float64).reshape(-1, 3).T
    same = [
        sum(a == b for a, b in zip(*pair, strict=True))
        for pair in zip(gold, predicted, strict=True)
    ]
    return {
        "accuracy": ratio_of(same, [len(one) for one in gold]),
        "precision": ratio_of(right, found),
        "recall": ratio_of(right, wanted),
        "f1": f1_of(right, found, wanted),
    }


def spelled_as_spans(sequences: Tags) -> bool:
    """Return whether all tags are O, B-kind or I-kind."""
    tags = {tag for tags in sequences for tag in tags}
    return all(tag == OUTSIDE or tag[:2] in ("B-", "I-") for tag in tags)


def _entities(gold: Sequence[str], predicted: Sequence[str], *, whole: bool) -> tuple[int, ...]:
    wanted, found = (spans(tags) if whole else _marked(tags) for tags in (gold, predicted))
    return len(wanted & found), len(found), len(wanted)


def spans(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """Return the entities as (first, after the last, kind); an I- may open one."""
    found = set()
    start, kind = 0, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        inside = "" if tag == OUTSIDE else tag[2:]
        if kind and (inside != kind or tag.startswith("B-")):
            found.add((start, place, kind))
            kind = ""
        if inside and not kind:
            start, kind = place, inside
    return found


def _marked(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    return {(place, place + 1, tag) for place, tag in enumerate(tags) if tag != OUTSIDE}
