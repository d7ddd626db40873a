"""What a stage learns: the objective that the kind of its base and the form of its data give."""

from collections.abc import Iterator
from typing import NamedTuple

from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation.shape import ENCODER, ENCODER_DECODER
from advisor.job.bounds import HEADS, PROMPT_METHODS, TOKEN_BY_TOKEN
from advisor.planning.inputs import LABEL, MIXED, TAGS, TEXT

DECODER = "decoder"
KIND_OF = {"encoder": ENCODER, "seq2seq": ENCODER_DECODER}
HEAD_OF = {LABEL: "classification", TAGS: "extraction"}
OBJECTIVE_OF = {ENCODER: "mlm", ENCODER_DECODER: "seq2seq"}
TUNED = ("full_finetune", "lora")
KIND_WORDS = {ENCODER: "an encoder", ENCODER_DECODER: "an encoder-decoder"}
ROW_WORDS = {
    TEXT: "plain text",
    "prompt_completion": "prompts and completions",
    "messages": "dialogues",
    LABEL: "texts with a label",
    TAGS: "tokens with tags",
    MIXED: "rows of several forms",
}


class Matter(NamedTuple):
    """What decides the objective: the approach, the base, the data, and the kind of model wanted.

    `labels` are those of all rows; `kind` is that of the base, `wanted` that of the advice.
    """

    approach: str
    base: str
    kind: str
    wanted: str
    form: str
    labels: tuple[str, ...]


def objective_of(matter: Matter) -> str:
    """Return the objective.

    Raises:
        AdvisorError: `objective_unsupported` where such a base cannot learn from such data.
    """
    fault = _wrong_rows(matter) or _wrong_base(matter)
    if fault is not None:
        raise AdvisorError(ErrorName.OBJECTIVE_UNSUPPORTED, "this cannot be trained", [fault])
    return HEAD_OF.get(matter.form) or OBJECTIVE_OF.get(matter.kind, "clm")


def _wrong_rows(matter: Matter) -> Fault | None:
    """Return the fault of data that the approach, or the base, learns nothing from."""
    hint = "give other --data, or --approach lora or full_finetune for these rows"
    if matter.form == MIXED and matter.labels:
        needs = "rows of one form, where any has labels or tags"
        hint = "give one kind of rows with --data, or plain text and labels in files of their own"
    elif matter.form in HEAD_OF and matter.approach == "no_training":
        needs = "prompts and completions: a base that was not trained has no head for labels"
    elif matter.form in HEAD_OF and matter.approach not in TUNED:
        needs = f"plain text for {matter.approach.replace('_', ' ')}"
    elif matter.kind == ENCODER and matter.approach == "no_training":
        needs, hint = "a base that writes", "give --base-model with a generative model"
    elif matter.kind == ENCODER and matter.form not in (*HEAD_OF, TEXT):
        needs = "text and label, tokens and tags, or plain text: an encoder writes no completions"
        hint = "write labels into the rows, or answer --model-kind generative"
    else:
        return None
    found = ROW_WORDS[matter.form]
    return Fault(field="--data", expected=needs, found=found, hint=hint)


def _wrong_base(matter: Matter) -> Fault | None:
    """Return the fault of a base that cannot learn what was advised; a head fits any base."""
    if matter.form in HEAD_OF or matter.kind == matter.wanted or matter.wanted not in KIND_WORDS:
        return None
    return Fault(
        field="base_model",
        expected=f"{KIND_WORDS[matter.wanted]}, to learn {OBJECTIVE_OF[matter.wanted]}",
        found=f"{matter.base}: {KIND_WORDS.get(matter.kind, 'a causal decoder')}",
        hint="answer --model-kind generative, give such a --base-model, or train one of your own"
        " with --approach pretrain",
    )


def require_method(matter: Matter, method: str, objective: str) -> None:
    """Raise `objective_unsupported` where a base with a head takes no virtual tokens."""
    if objective not in HEADS or method not in PROMPT_METHODS:
        return
    classes = matter.kind == ENCODER and objective not in TOKEN_BY_TOKEN
    if classes or (matter.kind != ENCODER_DECODER and method == "prefix"):
        return
    fault = Fault(
        field="--method",
        expected=f"another method for {objective} with {KIND_WORDS.get(matter.kind, 'a decoder')}",
        found=method,
        hint="lora, ia3 and adapter suit any base",
    )
    raise AdvisorError(ErrorName.OBJECTIVE_UNSUPPORTED, "this cannot be trained", [fault])


def disagreements(matter: Matter, objective: str) -> Iterator[str]:
    """Yield where the data ask for something else than was advised."""
    rows = ROW_WORDS[matter.form]
    if objective in HEADS and matter.wanted != ENCODER:
        yield (
            f"the data is {rows}: a head for {objective} is trained on {matter.base}, which then"
            " writes no text; for a model that writes, give prompts and completions"
        )
    if objective == "mlm" and matter.approach in TUNED:
        yield (
            f"the data is {rows}: masked words are learned from it; the classifier that was"
            " advised learns from texts with a label"
        )
    if objective == "clm" and matter.approach == "continued_pretrain" and matter.form != TEXT:
        yield f"continued pretraining reads plain text; of the {rows} given only answers count"
