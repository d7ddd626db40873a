"""The questionnaire, declared once: it gives the model, the flags, the help and the schema."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.units import (
    DataSize,
    parse_count,
    parse_data_size,
    parse_hours,
    parse_usd,
    show_hours,
)

LONGEST_TEXT = 10_000


class Ask(NamedTuple):
    """How a field is asked: its help, and whether it is one of the five that lead."""

    help: str
    leads: bool = False


class Quantity(NamedTuple):
    """How a field that people write in words is read: what is expected there."""

    expected: str


def _whole(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("a whole number")  # noqa: TRY004 - pydantic collects ValueError
    count = parse_count(value)
    if count != int(count):
        raise ValueError("a whole number")
    return int(count)


def _hours(value: object) -> float:
    return parse_hours(value)


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("text; put quotes around a word that YAML reads as something else")  # noqa: TRY004 - pydantic collects ValueError
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"at most {LONGEST_TEXT:,} characters")
    return value


def _languages(value: object) -> object:
    if isinstance(value, list):
        return tuple(_text(item) for item in value)
    return _text(value)


def _truth(value: object) -> object:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 - pydantic collects ValueError
    return value


def _unless_null(parse: Callable[[object], object]) -> BeforeValidator:
    return BeforeValidator(lambda value: None if value is None else parse(value))


_AS_TEXT = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]})
_WRITTEN = PlainSerializer(
    lambda value: None if value is None else str(value), return_type=str | None
)
_HOURS_WRITTEN = PlainSerializer(
    lambda value: None if value is None else show_hours(value), return_type=str | None
)

Text = Annotated[str | None, _unless_null(_text)]
Languages = Annotated[str | tuple[str, ...] | None, _unless_null(_languages)]
Truth = Annotated[bool | None, _unless_null(_truth)]
Count = Annotated[
    int | None,
    _unless_null(_whole),
    Quantity("a whole number such as 8000 or 50k"),
]
Size = Annotated[
    DataSize | None,
    _unless_null(parse_data_size),
    _WRITTEN,
    _AS_TEXT,
    Quantity("a size such as 2 GB or 3.5B tokens"),
]
Hours = Annotated[
    float | None,
    _unless_null(_hours),
    _HOURS_WRITTEN,
    _AS_TEXT,
    Quantity("a duration such as 12 hours or 3 days"),
]
Usd = Annotated[float | None, _unless_null(parse_usd), Quantity("US dollars such as 500")]


class Group(BaseModel):
    """A group of answers; a key it does not know is an error, and nothing changes once read."""

    # Built as one, when answers are first read.
    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, defer_build=True
    )


class Data(Group):
    """What the project has to learn from."""

    raw_text: Annotated[Size, Ask("unlabelled text in bytes or tokens", leads=True)] = None
    labelled_examples: Annotated[
        Count, Ask("labelled pairs, or instructions and dialogues", leads=True)
    ] = None
    facts_change: Annotated[
        Truth, Ask("do answers rest on documents that change or must be cited?")
    ] = None


class GpuBudget(Group):
    """What the project may spend: hardware, time and money."""

    gpu: Annotated[
        Text, Ask("GPU id of the catalogue, or `local`; left out: the advisor picks", leads=True)
    ] = None
    gpus: Annotated[Count, Ask("how many of them", leads=True)] = None
    deadline: Annotated[Hours, Ask("how long training may take", leads=True)] = None
    budget_usd: Annotated[Usd, Ask("what training may cost, in US dollars", leads=True)] = None
    provider: Annotated[
        Text, Ask("a provider, or `owned` where only energy is paid; left out: the cheapest cloud")
    ] = None
    spot: Annotated[bool, _unless_null(_truth), Ask("use interruptible machines")] = False
    region: Annotated[Text, Ask("for price and grid intensity")] = None


class Serving(Group):
    """How the model will be used once trained."""

    latency_ms: Annotated[Count, Ask("longest wait for one answer, in milliseconds")] = None
    calls_per_day: Annotated[Count, Ask("calls a day")] = None


Domain = Literal[
    "general", "legal", "medical", "finance", "code", "science", "support", "education", "other"
]
Task = Literal[
    "classification",
    "extraction",
    "summarization",
    "translation",
    "question_answering",
    "generation",
    "chat",
    "foundation",
]
ModelKind = Literal["generative", "encoder", "seq2seq"]
Breadth = Literal["one", "several", "general"]
Novelty = Literal["covered", "related", "poorly_covered", "unseen"]
Privacy = Literal["public", "internal", "on_prem", "air_gapped"]
PromptTried = Literal["good_enough", "not_enough"]


class Answers(Group):
    """The facts of one project. Every field is optional; what is not known stays null."""

    project: Annotated[Text, Ask("a name for the project")] = None
    domain: Annotated[Domain | None, Ask("what the texts are about", leads=True)] = None
    task: Annotated[Task | None, Ask("what the model must do")] = None
    model_kind: Annotated[
        ModelKind | None, Ask("kind of model; left out: chosen from the task")
    ] = None
    breadth: Annotated[Breadth | None, Ask("tasks or domains that the model must serve")] = None
    language: Annotated[Languages, Ask("language of the texts, or several")] = None
    language_novelty: Annotated[
        Novelty | None,
        Ask("how well open base models know the language and the domain", leads=True),
    ] = None
    vocabulary_control: Annotated[Truth, Ask("is an own tokenizer needed?")] = None
    architecture_control: Annotated[Truth, Ask("is an own architecture needed?")] = None
    data: Data = Data()
    gpu_budget: GpuBudget = GpuBudget()
    privacy: Annotated[
        Privacy | None,
        Ask(
            "where data may go: public (any service), internal (contracted clouds), on_prem (own "
            "machines, weights may come in), air_gapped (no network at all)",
            leads=True,
        ),
    ] = None
    keep_general_ability: Annotated[
        Truth, Ask("must the model's other abilities survive training?")
    ] = None
    variants: Annotated[Count, Ask("tenants or tasks to be served from one base")] = None
    commercial_use: Annotated[Truth, Ask("will the model be used commercially?")] = None
    prompt_tried: Annotated[
        PromptTried | None, Ask("how a tuned prompt on the strongest allowed model scored")
    ] = None
    serving: Serving = Serving()
    success_metric: Annotated[Text, Ask("what will be measured to call it a success")] = None
    acceptable_failure: Annotated[Text, Ask("which failures can be lived with")] = None

    def facts(self) -> dict[str, object]:
        """Return every answer by its name alone, groups flattened: what decision tables test."""
        flat: dict[str, object] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Group):
                flat.update((key, getattr(value, key)) for key in type(value).model_fields)
            else:
                flat[name] = value
        return flat


class Question(NamedTuple):
    """One question as the doors need it: its place, its flag and what may be answered."""

    name: str
    group: str | None
    help: str
    leads: bool
    choices: tuple[str, ...]
    expected: str

    @property
    def flag(self) -> str:
        """Return the command-line flag, such as `--language-novelty`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def path(self) -> str:
        """Return the place in the answers, such as `data.raw_text`."""
        return f"{self.group}.{self.name}" if self.group else self.name


@cache
def questions() -> tuple[Question, ...]:
    """Return every question, in the order of the questionnaire."""
    return tuple(_questions_of(Answers, group=None))


def _questions_of(model: type[Group], group: str | None) -> Iterator[Question]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Group):
            yield from _questions_of(kind, group=name)
            continue
        ask = next(item for item in field.metadata if isinstance(item, Ask))
        choices = _choices(kind)
        yield Question(
            name=name,
            group=group,
            help=ask.help,
            leads=ask.leads,
            choices=choices,
            expected=_expected(field.metadata, choices),
        )


def _choices(kind: object) -> tuple[str, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    for part in get_args(kind):
        if part is not NoneType and (choices := _choices(part)):
            return choices
    return ("true", "false") if kind is bool or bool in get_args(kind) else ()


def _expected(metadata: list[Any], choices: tuple[str, ...]) -> str:
    if choices:
        return ", ".join(choices)
    return next((item.expected for item in metadata if isinstance(item, Quantity)), "text")


def read_answers(document: object, *, origin: str = "answers") -> Answers:
    """Check a mapping (from YAML, JSON or flags) and return the answers.

    Raises:
        AdvisorError: `answers_invalid`, with a fault for every field that is wrong.
    """
    if not isinstance(document, Mapping):
        fault = Fault(path=origin, expected="a mapping of answers", found=_shown(document))
        raise AdvisorError(ErrorName.ANSWERS_INVALID, "the answers are no mapping", [fault])
    try:
        return Answers.model_validate(
            {name: value for name, value in document.items() if value is not None}
        )
    except ValidationError as error:
        faults = [_fault(details, origin) for details in error.errors(include_url=False)]
    raise AdvisorError(ErrorName.ANSWERS_INVALID, "the answers cannot be used", faults)


def _fault(details: ErrorDetails, origin: str) -> Fault:
    path = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        return Fault(
            path=origin,
            field=path,
            expected="a question of the questionnaire",
            found=f"the unknown key {details['loc'][-1]}",
            hint=_nearest(str(details["loc"][-1]), [item.path for item in questions()]),
        )
    question = next((item for item in questions() if item.path == path), None)
    expected = question.expected if question else "a mapping of answers"
    hint = _nearest(str(details["input"]), list(question.choices)) if question else None
    return Fault(
        path=origin, field=path, expected=expected, found=_shown(details["input"]), hint=hint
    )


def _nearest(word: str, names: list[str]) -> str | None:
    from difflib import get_close_matches  # noqa: PLC0415 - only a fault needs it

    by_last = {name.rsplit(".", 1)[-1]: name for name in names}
    near = get_close_matches(word, by_last, n=1, cutoff=0.6)
    return f"did you mean {by_last[near[0]]}?" if near else None


def _shown(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "no finite number"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004 - one line of an error
