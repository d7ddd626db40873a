"""What the lead typed becomes answers; a wrong entry leaves them as they were."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from advisor.answers import Answers, Question, questions, read_answers
from advisor.errors import AdvisorError
from advisor.units import show_range, split_range

TRUTHS = ("true", "false")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wrong:
    """An entry that could not be read, and why."""

    text: str
    error: AdvisorError

    @property
    def expected(self) -> str:
        """Return what would be understood there, with the nearest name where there is one."""
        fault = self.error.faults[0] if self.error.faults else None
        parts = (fault.expected, fault.hint) if fault else (self.error.message,)
        return " – ".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entries:
    """Valid entries by question path, and the wrong ones that wait to be mended."""

    valid: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, Wrong] = field(default_factory=dict)

    def with_valid(self, path: str, text: str) -> "Entries":
        """Return the entries with this one answered, or unanswered where the text is empty.

        A range is kept as it is shown, however it was typed.
        """
        text = _as_shown(path, text)
        valid = {key: value for key, value in self.valid.items() if key != path}
        wrong = {key: value for key, value in self.wrong.items() if key != path}
        return Entries(valid={**valid, path: text} if text else valid, wrong=wrong)

    def with_wrong(self, path: str, wrong: Wrong) -> "Entries":
        """Return the entries with this one marked as wrong; the last valid one still counts."""
        return Entries(valid=self.valid, wrong={**self.wrong, path: wrong})

    def read(self) -> Answers:
        """Return the answers that the valid entries give."""
        document: dict[str, Any] = {}
        for question in questions():
            if question.path in self.valid:
                place = document.setdefault(question.group, {}) if question.group else document
                place[question.name] = _raw(question, self.valid[question.path])
        return read_answers(document)


def _as_shown(path: str, text: str) -> str:
    ranged = any(question.path == path and question.parse for question in questions())
    ends = split_range(text) if ranged else None
    return show_range(*ends) if ends else text


def _raw(question: Question, text: str) -> object:
    if question.choices == TRUTHS and text in TRUTHS:
        return text == "true"
    if question.name == "language" and "," in text:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def entries_of(answers: Answers) -> Entries:
    """Return entries that read as these answers."""
    low, high = _texts(answers), _texts(answers.other_end() or answers)
    valid = {}
    for question in questions():
        text = low[question.path]
        if question.name in answers.up_to:
            text = show_range(text, high[question.path])
        # What is false by default was not answered.
        if text and not (question.name == "spot" and text == "false"):
            valid[question.path] = text
    return Entries(valid=valid)


def _texts(answers: Answers) -> dict[str, str]:
    document = answers.model_dump(mode="json")
    places = ((one, document[one.group] if one.group else document) for one in questions())
    return {one.path: _written(place[one.name]) for one, place in places}


def _written(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return repr(value) if isinstance(value, float) else str(value)
