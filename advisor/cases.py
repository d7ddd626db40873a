"""The case base: projects like this one, and what became of them."""

import csv
import json
from collections.abc import Mapping
from functools import cache
from math import log10
from pathlib import Path
from typing import Any, NamedTuple

from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.loading import read_text
from advisor.tables import Approach
from advisor.units import DataSize, parse_data_size

NAMES = ("model_kind", "task", "domain", "language_novelty", "privacy", "facts_change")
AMOUNTS = ("raw_text", "labelled_examples")
# Amounts a hundredfold apart have nothing in common; below three times apart they are alike.
DECADES_APART = 2.0
ALIKE_FROM = 0.75
NEAR_FROM = 0.5
LEAST_ALIKE = 2


class Case(NamedTuple):
    """A real project: its answers, what it chose and showed, and what an expert accepts for it.

    Cases of one `group` are of one project or team: whoever scores leaves them out together.
    `ideal_then` is judged with the base models of its year, `ideal_today` with today's. `compared`
    is what is known of the answers that likeness looks at, amounts as powers of ten.
    """

    id: str
    group: str
    project: str
    year: int
    answers: Mapping[str, Any]
    chose: Approach
    outcome: str
    ideal_then: tuple[Approach, ...]
    ideal_today: tuple[Approach, ...]
    shown_best: tuple[Approach, ...]
    arms_compared: tuple[Approach, ...]
    evidence_strength: str | None
    use: str
    why: str
    source: str
    compared: Mapping[str, object]


class SimilarCase(NamedTuple):
    """A case near the project, its outcome in words; `because` names the answers they share."""

    project: str
    year: int
    chose: Approach
    outcome: str
    source: str
    shown_best: tuple[Approach, ...]
    because: tuple[str, ...]


def similar_cases(
    facts: Mapping[str, object], folder: Path, count: int = 3
) -> tuple[SimilarCase, ...]:
    """Return the cases of a rules folder that are most like the facts, the nearest first.

    The measure is Gower's: the mean likeness over the answers that are known on both sides. A name
    is like itself alone (1, else 0); two amounts lose one part in `DECADES_APART` for each factor
    of ten between them. Near is a mean of at least `NEAR_FROM` with `LEAST_ALIKE` answers alike;
    where fewer are near, fewer are returned. A tie goes to the lower id.
    """
    ours = _comparable(facts)
    near = []
    for case in load_cases(folder / "cases" / "projects.jsonl"):
        likeness = _likeness(ours, case.compared)
        because = tuple(name for name, like in likeness.items() if like >= ALIKE_FROM)
        mean = sum(likeness.values()) / len(likeness) if likeness else 0.0
        if mean >= NEAR_FROM and len(because) >= LEAST_ALIKE:
            near.append((-mean, case.id, case, because))
    words = _table(folder / "cases" / "outcomes.csv")
    return tuple(_similar(case, because, words) for _, _, case, because in sorted(near)[:count])


@cache
def load_cases(path: Path) -> tuple[Case, ...]:
    """Return the cases of a file, in its order; none where there is no file.

    Raises:
        AdvisorError: `rules_invalid`, with every line that cannot be used.
    """
    if not path.exists():
        return ()
    groups = _table(path.parent / "groups.csv")
    cases, faults = [], []
    for number, line in enumerate(read_text(path).strip().split("\n"), start=1):
        try:
            cases.append(_case(json.loads(line), groups))
        except (ValueError, KeyError, TypeError) as error:
            expected, found = "a case with all its keys", f"{type(error).__name__}: {error}"
            faults.append(Fault(path=str(path), line=number, expected=expected, found=found))
    if faults:
        raise AdvisorError(ErrorName.RULES_INVALID, "the case base cannot be used", faults)
    return tuple(cases)


def _case(row: Mapping[str, Any], groups: Mapping[str, str]) -> Case:
    return Case(
        id=row["id"],
        group=groups.get(row["id"], row["id"]),
        project=row["project"],
        year=row["year"],
        answers=row["answers"],
        chose=row["chose"],
        outcome=row["outcome"],
        ideal_then=tuple(row["ideal_then"]),
        ideal_today=tuple(row["ideal_today"]),
        shown_best=tuple(row["shown_best"]),
        arms_compared=tuple(row["arms_compared"]),
        evidence_strength=row["evidence_strength"],
        use=row["use"],
        why=row["why"],
        source=row["source"],
        compared=_comparable(_flat(row["answers"])),
    )


@cache
def _table(path: Path) -> Mapping[str, str]:
    """Return a table of two columns as a mapping; a pack of rules may have none."""
    text = read_text(path) if path.exists() else ""
    return {row[0]: row[1] for row in csv.reader(text.splitlines())}


def _flat(answers: Mapping[str, Any]) -> Mapping[str, Any]:
    flat = {**answers, **(answers.get("data") or {})}
    if flat.get("raw_text") is not None:
        flat["raw_text"] = parse_data_size(flat["raw_text"])
    return flat


def _comparable(facts: Mapping[str, object]) -> dict[str, object]:
    """Return what is known of the facts that are compared, amounts as powers of ten."""
    known = {name: facts[name] for name in NAMES if facts.get(name) is not None}
    for name in AMOUNTS:
        amount = facts.get(name)
        if isinstance(amount, DataSize):
            amount = amount.bytes
        if isinstance(amount, (int, float)):
            known[name] = log10(max(1, amount))
    return known


def _likeness(ours: Mapping[str, object], theirs: Mapping[str, object]) -> dict[str, float]:
    """Return for each answer that both know how alike they are, from 0 to 1."""
    return {name: _alike(mine, theirs[name]) for name, mine in ours.items() if name in theirs}


def _alike(mine: object, other: object) -> float:
    if isinstance(mine, float) and isinstance(other, float):
        return max(0.0, 1 - abs(mine - other) / DECADES_APART)
    return float(mine == other)


def _similar(case: Case, because: tuple[str, ...], words: Mapping[str, str]) -> SimilarCase:
    return SimilarCase(
        project=case.project,
        year=case.year,
        chose=case.chose,
        outcome=words.get(case.outcome, case.outcome.replace("_", " ")),
        source=case.source,
        shown_best=case.shown_best,
        because=because,
    )
