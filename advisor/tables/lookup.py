"""Looking up one id: the row, what it rests on, and what touches it."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from advisor.answers import Question, questions
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.tables.book import RuleBook
from advisor.tables.conditions import Approach, Condition
from advisor.tables.packs import Pack, Placed, Statement, read_pack
from advisor.tables.reading import near
from advisor.tables.rows import Choice, Override, Rule

_NOTED = ("source", "date")


class Explanation(NamedTuple):
    """One id explained; what does not apply to its kind is empty.

    `file` is empty where the id is that of a question. `details` are the row's other columns.
    """

    id: str
    kind: str
    file: str
    line: int | None
    says: str
    conditions: tuple[Condition, ...] = ()
    weights: Mapping[Approach, float] = {}
    details: Mapping[str, str] = {}
    source: Mapping[str, str] = {}
    statements: tuple[Statement, ...] = ()
    overrides: tuple[Override, ...] = ()

    def as_document(self) -> dict[str, object]:
        """Return the document that `explain --json` prints."""
        return {
            "schema": "advisor.explanation/1",
            **self._asdict(),
            "conditions": [condition_document(one) for one in self.conditions],
            "statements": [one._asdict() for one in self.statements],
            "overrides": [
                {**one._asdict(), "loses": sorted(one.loses), "wins": sorted(one.wins)}
                for one in self.overrides
            ],
        }


def packs_of(book: RuleBook) -> tuple[Pack, ...]:
    """Return the packs of a book, the own one last.

    Raises:
        AdvisorError: `rules_invalid`, with every fault of a table that cannot be read.
    """
    own = () if book.own_folder is None else (read_pack(book.own_folder, whole=False),)
    packs = (read_pack(book.folder, whole=True), *own)
    if faults := [fault for pack in packs for fault in pack.faults]:
        raise AdvisorError(ErrorName.RULES_INVALID, "a decision table cannot be used", faults)
    return packs


def rule_document(place: Placed[Rule]) -> dict[str, object]:
    """Return a rule with its place, as `rules list --json` prints it."""
    rule = place.row
    return {
        "id": rule.id,
        "set": rule.set,
        "favours": [name for name, weight in rule.weights.items() if weight > 0],
        "forbids": [name for name, weight in rule.weights.items() if weight < 0],
        "weights": dict(rule.weights),
        "conditions": [condition_document(one) for one in rule.conditions],
        "because": rule.because,
        "says": rule.says,
        "reading": rule.reading or None,
        "evidence": rule.evidence,
        "strength": rule.strength or None,
        "source": rule.source._asdict(),
        "file": str(place.path),
        "line": place.line,
    }


def condition_document(condition: Condition) -> dict[str, str]:
    """Return a condition as it stands in the table, and in words."""
    return {"fact": condition.fact, "cell": condition.cell, "in_words": condition.in_words}


def explain(book: RuleBook, name: str) -> Explanation:
    """Return what is known of an id: a rule, an override, a row of a choice table, a statement.

    The name of a question and the id of a case are explained too.

    Raises:
        AdvisorError: `name_unknown` with the nearest ids, or `rules_invalid`.
    """
    packs = packs_of(book)
    known: dict[str, Any] = {question.name: question for question in questions()}
    known |= {case["id"]: (place, case) for place, case in _cases(book.folder)}
    known |= {place.row.id: place for pack in packs for place in pack.rows}
    if name not in known:
        fault = Fault(field="RULE_ID", expected="an id of the tables", found=name)
        hint = near(name, known)
        raise AdvisorError(
            ErrorName.NAME_UNKNOWN, f"unknown id: {name}", [fault._replace(hint=hint)]
        )
    found = known[name]
    if isinstance(found, Question):
        return _question(found, packs)
    if not isinstance(found, Placed):
        return _case(*found)
    statements = (place.row for pack in packs for place in pack.statements)
    overrides = (place.row for pack in packs for place in pack.overrides)
    return _row(found)._replace(
        statements=tuple(one for one in statements if name in one.refers),
        overrides=tuple(one for one in overrides if name in one.loses | one.wins),
    )


def _row(place: Placed[Any]) -> Explanation:
    row = place.row
    told = partial(Explanation, id=row.id, file=str(place.path), line=place.line)
    if isinstance(row, Rule):
        texts = {name: getattr(row, name) for name in ("set", "because", "reading", "evidence")}
        return told(
            kind="rule",
            says=row.says,
            conditions=row.conditions,
            weights=row.weights,
            details=_filled({**texts, "strength": row.strength}),
            source=row.source._asdict(),
        )
    if isinstance(row, Choice):
        rest = {name: cell for name, cell in row.outcome.items() if name not in ("id", *_NOTED)}
        return told(
            kind="choice",
            says=rest.pop("why", ""),
            conditions=row.conditions,
            details=_filled(rest),
            source=_filled({name: row.outcome.get(name, "") for name in _NOTED}),
        )
    if isinstance(row, Override):
        sides = {"loses": ", ".join(sorted(row.loses)), "wins": ", ".join(sorted(row.wins))}
        return told(kind="override", says=row.why, details=sides, source={"source": row.source})
    return told(
        kind="statement",
        says=row.says,
        details=_filled({"home": row.home, "refers": ", ".join(row.refers), "why": row.why}),
        source={"article": row.article, "section": row.section},
    )


def _question(question: Question, packs: tuple[Pack, ...]) -> Explanation:
    rules = (place.row for pack in packs for place in pack.rules)
    asked_by = ", ".join(rule.id for rule in rules if question.name in rule.tested)
    details = {"flag": question.flag, "answers": question.expected, "asked by": asked_by}
    return Explanation(
        id=question.name,
        kind="question",
        file="",
        line=None,
        says=question.help,
        details=_filled(details),
    )


def _cases(folder: Path) -> Iterator[tuple[tuple[Path, int], dict[str, Any]]]:
    file = folder / "cases" / "projects.jsonl"
    if file.exists():
        for line, text in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            yield (file, line), json.loads(text)


def _case(place: tuple[Path, int], case: Mapping[str, Any]) -> Explanation:
    details = {name: case.get(name) for name in ("project", "year", "chose", "outcome", "evidence")}
    return Explanation(
        id=case["id"],
        kind="case",
        file=str(place[0]),
        line=place[1],
        says=case.get("why", ""),
        details=_filled({name: str(value or "") for name, value in details.items()}),
        source=_filled({"source": case.get("source", "")}),
    )


def _filled(cells: Mapping[str, str]) -> dict[str, str]:
    return {name: cell for name, cell in cells.items() if cell}
