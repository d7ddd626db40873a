"""Answers compared with references, and how varied they are."""

import json
import random
import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from .tallies import Numbers, Tally, mean_of

# Words of scripts that put no space between them are counted by the character.
CLOSE_SCRIPTS: Final = "぀-ヿ㐀-䶿一-鿿"
WORD: Final = re.compile(f"[{CLOSE_SCRIPTS}]|[^\\W{CLOSE_SCRIPTS}]+")
ARTICLES: Final = re.compile(r"\b(a|an|the)\b")
WITHOUT_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)
BLEU_ORDER: Final = 4
SELF_BLEU_ANSWERS: Final = 50
ROUGES: Final = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}


def words_of(text: str) -> list[str]:
    """Return the words of a text in any script, in lower case."""
    return WORD.findall(text.lower())


def text_tallies(answers: Sequence[str], references: Sequence[str]) -> dict[str, Tally]:
    """Return the scores of answers against references that are sums over the answers."""
    pairs = list(zip(answers, references, strict=True))
    found = {
        "exact_match": mean_of([a.split() == r.split() for a, r in pairs]),
        "token_f1": mean_of([token_f1(a, r) for a, r in pairs]),
        "bleu": _bleu(pairs),
        **_rouges(pairs),
    }
    if are_json(references):
        found["json_fields"] = mean_of([json_fields(a, r) for a, r in pairs])
        found["json_valid"] = mean_of([json_object(a) is not None for a in answers])
    return found


def chrf(answers: Sequence[str], references: Sequence[str]) -> float:
    """Return chrF, from 0 to 100."""
    from sacrebleu.metrics import CHRF  # noqa: PLC0415 - only where answers are scored

    return float(CHRF().corpus_score(list(answers), [list(references)]).score)


def token_f1(answer: str, reference: str) -> float:
    """Return the overlap of words as the question answering benchmark SQuAD counts it."""
    found, wanted = _plain(answer), _plain(reference)
    if not found or not wanted:
        return float(found == wanted)
    shared = (Counter(found) & Counter(wanted)).total()
    return 2 * shared / (len(found) + len(wanted))


def _plain(text: str) -> list[str]:
    return ARTICLES.sub(" ", text.lower().translate(WITHOUT_PUNCTUATION)).split()


def are_json(references: Sequence[str]) -> bool:
    """Return whether every reference is a JSON object with fields."""
    return bool(references) and all(json_object(one) for one in references)


def json_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object in a text, whatever stands around it; None where there is none."""
    start, end = text.find("{"), text.rfind("}")
    try:
        found = json.loads(text[start : end + 1]) if 0 <= start < end else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def json_fields(answer: str, reference: str) -> float:
    """Return the share of right fields, of those that the reference or the answer has."""
    found, wanted = json_object(answer) or {}, json_object(reference) or {}
    names = {*found, *wanted}
    right = sum(name in found and name in wanted and found[name] == wanted[name] for name in names)
    return right / len(names) if names else 1.0


def _bleu(pairs: Sequence[tuple[str, str]]) -> Tally:
    """Return corpus BLEU, from 0 to 100, as sacrebleu computes it."""
    from sacrebleu.metrics import BLEU  # noqa: PLC0415 - as above

    metric = BLEU()
    parts = np.empty((len(pairs), 2 + 2 * BLEU_ORDER))
    for row, (answer, reference) in zip(parts, pairs, strict=True):
        one = metric.corpus_score([answer], [[reference]])
        row[:] = (one.sys_len, one.ref_len, *one.counts, *one.totals)

    def score(sums: Numbers) -> Numbers:
        rows = sums.reshape(-1, sums.shape[-1]).astype(int).tolist()
        found = [
            BLEU.compute_bleu(
                row[2 : 2 + BLEU_ORDER], row[2 + BLEU_ORDER :], row[0], row[1], smooth_method="exp"
            ).score
            for row in rows
        ]
        return np.array(found).reshape(sums.shape[:-1])

    return Tally(parts, score)


class _Words:
    """Gives the ROUGE scorer words of any script; its own splitter knows Latin letters only."""

    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text."""
        return words_of(text)


def _rouges(pairs: Sequence[tuple[str, str]]) -> dict[str, Tally]:
    """Return the F-measures of ROUGE-1, ROUGE-2 and ROUGE-L."""
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415 - takes a second

    scorer = RougeScorer(list(ROUGES.values()), tokenizer=_Words())
    found = [scorer.score(reference, answer) for answer, reference in pairs]
    return {name: mean_of([one[key].fmeasure for one in found]) for name, key in ROUGES.items()}


def diversity(texts: Sequence[str], *, seed: int) -> dict[str, float | None]:
    """Return how varied texts are: distinct-1 and distinct-2, and self-BLEU of a sample.

    distinct-n is the share of different runs of n words among all; self-BLEU (0 to 100) scores
    each text against the others, so that high means alike.
    """
    words = [words_of(text) for text in texts]
    return {
        "distinct_1": _distinct(words, 1),
        "distinct_2": _distinct(words, 2),
        "self_bleu": _self_bleu([text for text in texts if text.strip()], seed),
    }


def _distinct(texts: Sequence[Sequence[str]], length: int) -> float | None:
    runs = [
        tuple(words[start : start + length])
        for words in texts
        for start in range(len(words) - length + 1)
    ]
    return len(set(runs)) / len(runs) if runs else None


def _self_bleu(texts: list[str], seed: int) -> float | None:
    from sacrebleu.metrics import BLEU  # noqa: PLC0415 - as above

    if len(texts) > SELF_BLEU_ANSWERS:
        texts = random.Random(seed).sample(texts, SELF_BLEU_ANSWERS)  # noqa: S311 - no secret
    if len(texts) < 2:  # noqa: PLR2004 - there is nothing to be alike to
        return None
    metric = BLEU(effective_order=True)
    each = [
        metric.sentence_score(text, [*texts[:place], *texts[place + 1 :]]).score
        for place, text in enumerate(texts)
    ]
    return sum(each) / len(each)


def form_of(references: Sequence[str]) -> str:
    """Return what the references are: none, json, label (short, and few different ones) or text."""
    if not references:
        return "none"
    if are_json(references):
        return "json"
    short = all(len(words_of(one)) <= 5 for one in references)  # noqa: PLR2004 - a name, no text
    again = 2 * len(set(references)) <= len(references)
    return "label" if short and again else "text"
