"""Which of the scores is the one that a run is judged by."""

from typing import Final, NamedTuple


class Metric(NamedTuple):
    """How a score is named, which way is better, and how many digits tell it."""

    title: str
    higher: bool = True
    digits: int = 3


METRICS: Final = {
    "accuracy": Metric("accuracy"),
    "macro_f1": Metric("macro F1"),
    "f1": Metric("entity F1"),
    "exact_match": Metric("exact match"),
    "json_fields": Metric("share of right fields"),
    "token_f1": Metric("token F1"),
    "rouge_l": Metric("ROUGE-L"),
    "bleu": Metric("BLEU", digits=1),
    "bits_per_byte": Metric("bits per byte", higher=False),
    "loss": Metric("validation loss", higher=False, digits=2),
}
ANY: Final = "*"
# Objective, task, form of the references, and the score. The first row that fits holds, as long as
# the score was measured: where no answers were asked for, the losses are what is left.
HEADLINES: Final = (
    ("classification", ANY, ANY, "macro_f1"),
    ("extraction", ANY, ANY, "f1"),
    (ANY, ANY, "json", "json_fields"),
    (ANY, "translation", "text", "bleu"),
    (ANY, "summarization", "text", "rouge_l"),
    (ANY, "classification", "text", "exact_match"),
    (ANY, ANY, "label", "exact_match"),
    (ANY, "extraction", "text", "token_f1"),
    (ANY, "question_answering", "text", "token_f1"),
    (ANY, "support", "text", "token_f1"),
    (ANY, ANY, "text", "rouge_l"),
    ("clm", "foundation", ANY, "bits_per_byte"),
    (ANY, ANY, ANY, "loss"),
)


def headline(objective: str, task: str, form: str) -> str:
    """Return the name of the score to judge by."""
    facts = (objective, task, form)
    return next(
        name
        for *wanted, name in HEADLINES
        if all(want in (ANY, fact) for want, fact in zip(wanted, facts, strict=True))
    )
