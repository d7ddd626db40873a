"""The questionnaire, declared once: it gives the model, the flags, the help and the schema."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, TypeVar, get_args, get_origin

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
    split_range,
    write_data_size,
    write_hours,
)

T = TypeVar("T")
Parser: TypeAlias = Callable[[object], float | DataSize]

LONGEST_TEXT = 10_000
RANGE_HINT = "a range is given once, the smaller end first; a unit at its end serves both"


class Ask(NamedTuple):
    """How a field is asked: its help, and whether it is one of the five that lead."""

    help: str
    leads: bool = False


class Quantity(NamedTuple):
    """How a field that people write in words is read: what is expected there, and its reader."""

    expected: str
    parse: Parser


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("a whole number")  # noqa: TRY004 - pydantic collects ValueError
    count = parse_count(value)
    if count != int(count):
        raise ValueError("a whole number")
    return int(count)


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


_TEXT_OR_NUMBER = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]}
_AS_TEXT = WithJsonSchema(_TEXT_OR_NUMBER)
# What is written may be text such as 50k; what is shown is a number.
_READ_AS_TEXT = WithJsonSchema(_TEXT_OR_NUMBER, mode="validation")
_WRITTEN = PlainSerializer(
    lambda value: None if value is None else write_data_size(value), return_type=str | None
)
_HOURS_WRITTEN = PlainSerializer(
    lambda value: None if value is None else write_hours(value), return_type=str | None
)

Text = Annotated[str | None, _unless_null(_text)]
Languages = Annotated[str | tuple[str, ...] | None, _unless_null(_languages)]
Truth = Annotated[bool | None, _unless_null(_truth)]
Count = Annotated[
    int | None,
    _unless_null(_whole),
    _READ_AS_TEXT,
    Quantity("a whole number such as 8000, 50k or 500–2000", _whole),
]
Size = Annotated[
    DataSize | None,
    _unless_null(parse_data_size),
    _WRITTEN,
    _AS_TEXT,
    Quantity("a size such as 2 GB or 1–3B tokens", parse_data_size),
]
Hours = Annotated[
    float | None,
    _unless_null(parse_hours),
    _HOURS_WRITTEN,
    _AS_TEXT,
    Quantity("a duration such as 3 days or 2–4 weeks", parse_hours),
]
Usd = Annotated[
    float | None,
    _unless_null(parse_usd),
    _READ_AS_TEXT,
    Quantity("US dollars such as 500 or 500–2000", parse_usd),
]


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
    spot: Annotated[
        bool,
        BeforeValidator(lambda value: value is not None and _truth(value)),
        Ask("use interruptible machines"),
    ] = False
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
    """The facts of one project. Every field is optional; what is not known stays null.

    A quantity may be a range: its field holds the low end, and `up_to` the other end by the name
    of the question, as in `{"raw_text": "3B tokens"}`.
    """

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
    up_to: Mapping[str, str] = {}

    def facts(self) -> dict[str, object]:
        """Return every answer by its name alone, groups flattened: what decision tables test."""
        return {
            question.name: getattr(self._place(question), question.name) for question in questions()
        }

    def low_end(self) -> "Answers":
        """Return these answers with every range at its low end."""
        return self.model_copy(update={"up_to": {}})

    def other_end(self) -> "Answers | None":
        """Return these answers with every range at its upper end, or None where there is none."""
        if not self.up_to:
            return None
        update: dict[str, Any] = {"up_to": {}}
        for question in questions():
            if question.parse is None or question.name not in self.up_to:
                continue
            value = {question.name: question.parse(self.up_to[question.name])}
            if question.group is None:
                update |= value
            else:
                group: Group = update.get(question.group) or getattr(self, question.group)
                update[question.group] = group.model_copy(update=value)
        return self.model_copy(update=update)

    def _place(self, question: "Question") -> "Group":
        return getattr(self, question.group) if question.group else self


class Question(NamedTuple):
    """One question as the doors need it: its place, its flag and what may be answered.

    `parse` reads the answer where it is a quantity, which may be a range.
    """

    name: str
    group: str | None
    help: str
    leads: bool
    choices: tuple[str, ...]
    expected: str
    parse: Parser | None

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
        ask = _of_type(Ask, field.metadata)
        if ask is None:
            continue
        choices = _choices(kind)
        quantity = _of_type(Quantity, field.metadata)
        yield Question(
            name=name,
            group=group,
            help=ask.help,
            leads=ask.leads,
            choices=choices,
            expected=", ".join(choices) or (quantity.expected if quantity else "text"),
            parse=quantity.parse if quantity else None,
        )


def _of_type(kind: type[T], items: Iterable[object]) -> T | None:
    return next((item for item in items if isinstance(item, kind)), None)


def _choices(kind: object) -> tuple[str, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    for part in get_args(kind):
        if part is not NoneType and (choices := _choices(part)):
            return choices
    return ("true", "false") if kind is bool or bool in get_args(kind) else ()


def read_answers(document: object, *, origin: str = "answers") -> Answers:
    """Check a mapping (from YAML, JSON or flags) and return the answers.

    Raises:
        AdvisorError: `answers_invalid`, with a fault for every field that is wrong.
    """
    if not isinstance(document, Mapping):
        fault = Fault(path=origin, expected="a mapping of answers", found=_shown(document))
        raise AdvisorError(ErrorName.ANSWERS_INVALID, "the answers are no mapping", [fault])
    low, up_to = _split_ranges(document)
    faults = list(_faults_of_ranges(low, up_to, origin)) if up_to else []
    try:
        answers = Answers.model_validate({"up_to": up_to, **low})
    except ValidationError as error:
        faults += [_fault(details, origin) for details in error.errors(include_url=False)]
    if faults:
        raise AdvisorError(ErrorName.ANSWERS_INVALID, "the answers cannot be used", faults)
    return answers


def _split_ranges(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the answers with every range at its low end, and the other ends by question.

    What is wrong stays in its place, where it is refused.
    """
    low = {name: value for name, value in document.items() if value is not None}
    up_to = {}
    if isinstance(given := low.get("up_to"), Mapping):
        up_to = {str(name): str(end) for name, end in given.items() if end is not None}
        del low["up_to"]
    for question in questions():
        ends = split_range(_answer(low, question)) if question.parse else None
        if ends is None or question.name in up_to or not _in_order(question, *ends):
            continue
        place = {question.name: ends[0]}
        low |= {question.group: {**low[question.group], **place}} if question.group else place
        up_to[question.name] = ends[1]
    return low, up_to


def _answer(document: Mapping[str, Any], question: Question) -> object:
    place = document.get(question.group) if question.group else document
    return place.get(question.name) if isinstance(place, Mapping) else None


def _in_order(question: Question, low: object, high: object) -> bool:
    parse = question.parse
    try:
        return parse is not None and _amount(parse(low)) <= _amount(parse(high))
    except ValueError:
        return False


def _amount(quantity: float | DataSize) -> float:
    return quantity.bytes if isinstance(quantity, DataSize) else quantity


def _faults_of_ranges(
    low: Mapping[str, Any], up_to: Mapping[str, str], origin: str
) -> Iterator[Fault]:
    quantities = {question.name: question for question in questions() if question.parse}
    for name, end in up_to.items():
        fault = Fault(path=origin, field=f"up_to.{name}", found=_shown(end))
        question = quantities.get(name)
        if question is None:
            hint = _nearest(name, list(quantities))
            yield fault._replace(expected="the name of a question for a quantity", hint=hint)
        elif (answer := _answer(low, question)) is None:
            yield fault._replace(expected=f"an answer to {question.path}, which is the low end")
        elif not _in_order(question, answer, end):
            yield fault._replace(expected=f"an end of at least {_shown(answer)}")


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
    if question and question.parse and split_range(details["input"]):
        hint = RANGE_HINT
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
