"""Strategies that draw answers to the questionnaire, unknowns included; any question is drawn."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from advisor.answers import Question, questions
from advisor.catalog import load_catalog
from advisor.machine import LocalGpu, Machine

Answered = dict[str, Any]

CATALOG = load_catalog()
GPUS = (*CATALOG.gpus, "local")
PROVIDERS = (*CATALOG.providers, "owned")
LAPTOP = Machine(platform="Linux x86_64", cpu="laptop", cores=4, ram_gb=16.0, disk_gb=200.0)
WORKSTATION = LAPTOP._replace(
    gpus=(LocalGpu(name="RTX 4090", vendor="NVIDIA", memory_gb=24.0, catalog_id="rtx-4090"),)
)
MACHINES = st.sampled_from([LAPTOP, WORKSTATION])

DATA = ("raw_text", "labelled_examples")
SIZE_UNITS = ("bytes", "kB", "MB", "GB", "TB", "tokens", "k tokens", "M tokens", "B tokens")
DURATION_UNITS = ("min", "hours", "days", "weeks", "months", "years")


def counts(most: int, *turning: int) -> SearchStrategy[int | str]:
    """Draw a whole number as people write it, often one at which a rule turns."""
    near = [value + step for value in turning for step in (-1, 0, 1)]
    plain = st.sampled_from([0, 1, *near]) | st.integers(0, most)
    return plain | plain.map(str) | st.integers(1, 999).map("{}k".format)


def measured(units: tuple[str, ...], least: int = 0) -> SearchStrategy[str]:
    """Draw a number with a unit, such as "2.5 GB"."""
    whole = st.integers(least, 999)
    return st.builds("{} {}".format, whole | whole.map("{}.5".format), st.sampled_from(units))


# What is neither chosen from a list nor told by the question itself.
VALUES: Mapping[str, SearchStrategy[Any]] = {
    "raw_text": measured(SIZE_UNITS) | st.integers(0, 10**13),
    "labelled_examples": counts(3_000_000, 16, 120, 200, 10_000, 50_000, 100_000, 300_000),
    "gpu": st.sampled_from(GPUS),
    "gpus": st.sampled_from([1, 2, 3, 4, 8, 64, 512, "1", "8"]) | st.integers(1, 2048),
    "deadline": measured(DURATION_UNITS, least=1),
    "budget_usd": counts(10_000_000, 1000, 10_000, 100_000) | st.just("$1.5k"),
    "provider": st.sampled_from(PROVIDERS),
    "variants": counts(1000, 2, 3),
    "latency_ms": counts(60_000, 1000),
    "calls_per_day": counts(10_000_000, 100_000),
    "language": st.sampled_from(["English", "German", "Wolof", "Oŧari", ["de", "fr"]])
    | st.text(max_size=20)
    | st.lists(st.text(max_size=8), max_size=3),
}


def values_of(question: Question) -> SearchStrategy[Any]:
    """Draw an accepted answer to one question."""
    if question.choices == ("true", "false"):
        return st.booleans()
    if question.choices:
        return st.sampled_from(question.choices)
    return VALUES.get(question.name, st.text(max_size=20))


def answer_sets(
    *, without: tuple[str, ...] = (), always: tuple[str, ...] = ()
) -> SearchStrategy[Answered]:
    """Draw a document of answers; a question is answered or left out.

    `without` leaves questions out, `always` answers some in every document. Every other document
    tells its data, for without any most approaches have nothing to learn from.
    """
    values = {one.name: values_of(one) for one in questions() if one.name not in without}
    return (_documents(values, always) | _documents(values, (*always, *DATA))).map(grouped)


def _documents(
    values: Mapping[str, SearchStrategy[Any]], always: tuple[str, ...]
) -> SearchStrategy[Answered]:
    told = {name: value for name, value in values.items() if name in always}
    return st.fixed_dictionaries(
        told, optional={name: value for name, value in values.items() if name not in told}
    )


def grouped(flat: Mapping[str, object]) -> Answered:
    """Return answers by name as a document: each in its group."""
    document: Answered = {}
    for question in questions():
        if question.name in flat:
            place = document.setdefault(question.group, {}) if question.group else document
            place[question.name] = flat[question.name]
    return document


def answering(document: Answered, name: str, value: object) -> Answered:
    """Return the document with another answer to one question."""
    question = next(one for one in questions() if one.name == name)
    if question.group is None:
        return {**document, name: value}
    return {**document, question.group: {**document.get(question.group, {}), name: value}}
