"""The check of a pack: all that is wrong with it, told at once and by its place.

Decided for every row and every answer that there can be, on the values that the tables tell apart
(see `advisor.tables.grid`):

- names, ids, weights, texts, sources, placeholders, overrides, and names of the catalogue;
- a condition that no answer passes;
- a row of a deciding choice table that earlier rows leave no project to;
- two rules of one set with the same conditions that pull different ways;
- a project for which a choice table that must decide has no row.

Sampled: a project for which no approach scores above zero. Tried are all pairs of values of two
facts, everything else unknown, and `SAMPLE` combinations of all facts, the same every time. It is
left out while some row cannot be read or an own pack cannot be used, and a gap in a choice table
while some row of it cannot be read.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, islice
from pathlib import Path
from typing import Any, NamedTuple

from advisor.catalog import Catalog, load_catalog
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.places import shipped
from advisor.tables.book import RuleBook
from advisor.tables.conditions import CellError, choice_facts
from advisor.tables.grid import ALWAYS_KNOWN, Box, Grid, uncovered
from advisor.tables.outcomes import CHOICE_TABLES, NOTES, UNTRAINED_METHODS, ChoiceTable
from advisor.tables.packs import Pack, Placed, ids_in, is_whole, read_pack
from advisor.tables.reading import near, unknown_column
from advisor.tables.rows import Choice, Rule

SAMPLE = 2000
MOST_GAPS = 10

# What a book scores each approach at one point of the grid.
Score = Callable[[RuleBook, Mapping[str, object]], Iterable[float]]


class Checked(NamedTuple):
    """What a check looked at, and what it found."""

    folder: Path
    rules: int
    overrides: int
    choices: int
    points: int
    faults: tuple[Fault, ...]


class Overall(NamedTuple):
    """A pack to check, and the shipped one that it is added to; None where it stands alone."""

    pack: Pack
    base: Pack | None
    catalog: Catalog

    @property
    def packs(self) -> tuple[Pack, ...]:
        """Return both packs, the base first."""
        return (self.base, self.pack) if self.base else (self.pack,)


def check(folder: Path | None, score: Score) -> Checked:
    """Return all that is wrong with a pack: the shipped one, one laid out like it, or an own."""
    home = folder or shipped("rules")
    whole = is_whole(home)
    one = _overall(home, None if whole else shipped("rules"))
    unusable = list(_unusable(one))
    faults = [*unusable, *_unwise(one)]
    points: list[Mapping[str, object]] = []
    if not one.pack.faults and (whole or not unusable):
        book = RuleBook(home) if whole else RuleBook(own=home)
        points = list(_points(one))
        faults += _score_gaps(one, points, lambda point: max(score(book, point)) <= 0)
    return Checked(
        folder=home,
        rules=len(one.pack.rules),
        overrides=len(one.pack.overrides),
        choices=len(one.pack.choice_rows),
        points=len(points),
        faults=tuple(faults),
    )


def require_usable(book: RuleBook) -> None:
    """Raise `rules_invalid` with every fault for which the own pack of a book cannot be used."""
    assert book.own_folder is not None  # noqa: S101 - asked only for a book that has one
    if faults := list(_unusable(_overall(book.own_folder, book.folder))):
        raise AdvisorError(ErrorName.RULES_INVALID, "this rule pack cannot be used", faults)


def _overall(folder: Path, base: Path | None) -> Overall:
    shipped_one = None if base is None else read_pack(base, whole=True)
    return Overall(read_pack(folder, whole=base is None), shipped_one, load_catalog())


def _unusable(one: Overall) -> Iterator[Fault]:
    """Yield what would end a recommendation, or be passed over in silence."""
    if one.base and is_whole(one.pack.folder):
        expected = "a flat folder with a tables.csv"
        hint = "rules/README.md tells how an own pack is laid out"
        yield Fault(str(one.pack.folder), None, None, expected, "one like rules/", hint)
        return
    yield from one.pack.faults
    yield from _twice(one)
    yield from _unknown_ids(one)
    yield from _tables_without_use(one)
    yield from _unknown_names(one)
    for name, rows in one.pack.choices.items():
        if name in CHOICE_TABLES:
            yield from _wrong_columns(rows, CHOICE_TABLES[name])
            yield from _wrong_outcomes(rows, CHOICE_TABLES[name], one.catalog)


def _unwise(one: Overall) -> Iterator[Fault]:
    """Yield what can be read and is no use, or pulls two ways."""
    yield from _never_true(one)
    yield from _contradictions(one)
    for name, table in CHOICE_TABLES.items():
        if table.decides and name in one.pack.choices:
            yield from _shadows_and_gaps(name, table, one)


def _at(place: Placed[Any], column: str, expected: str, found: str, hint: str) -> Fault:
    return CellError(column, expected, found, hint).at(place.path, place.line)


def _twice(one: Overall) -> Iterator[Fault]:
    known: dict[str, Placed[Any]] = {}
    for pack in one.packs:
        for place in pack.rows:
            first = known.setdefault(place.row.id, place)
            if first is not place and pack is one.pack:
                found = f"{place.row.id}, as in {first.path}:{first.line}"
                yield _at(place, "id", "an id of its own", found, "choose another id")


def _unknown_ids(one: Overall) -> Iterator[Fault]:
    known = {place.row.id for pack in one.packs for place in pack.rows}
    # A row that cannot be read was told of already; its id is no unknown one.
    unread = ids_in(one.pack.folder) - known
    rules = {rule.row.id for pack in one.packs for rule in pack.rules} | unread
    for place in one.pack.overrides:
        for column, names in (("loses", place.row.loses), ("wins", place.row.wins)):
            for name in sorted(names - rules):
                yield _at(place, column, "the id of a rule", name, near(name, rules))
    known |= unread | {f"{recipe.approach}/{recipe.method}" for recipe in one.catalog.recipes}
    for told in one.pack.statements:
        for name in told.row.refers:
            if name not in known:
                expected = "an id of these tables, or a recipe such as lora/qlora"
                yield _at(told, "refers", expected, name, near(name, known))


def _unknown_names(one: Overall) -> Iterator[Fault]:
    """Yield the GPUs and methods that conditions name and nobody knows."""
    methods = {recipe.method for recipe in one.catalog.recipes}
    known = {"gpu": {"local", *one.catalog.gpus}, "method": methods.union(UNTRAINED_METHODS)}
    rows: tuple[Placed[Any], ...] = (*one.pack.rules, *one.pack.choice_rows)
    for place in rows:
        for fact, cell, _ in place.row.conditions:
            if fact in known and cell not in ("known", "unknown"):
                for name in sorted({*cell.removeprefix("!").split("|")} - known[fact]):
                    yield _at(place, fact, f"a known {fact}", name, near(name, known[fact]))


def _tables_without_use(one: Overall) -> Iterator[Fault]:
    """Yield the choice tables that must be there and are not, and those that nothing would ask."""
    folder = one.pack.folder / "choices"
    if one.base is None:
        for name, table in CHOICE_TABLES.items():
            empty = table.serves_all and not one.pack.choices.get(name)
            if name not in one.pack.choices or (empty and name not in one.pack.unread):
                wrong = CellError("id", "a table with rows", "none", "every project asks it")
                yield wrong.at(folder / f"{name}.csv", 1)
        return
    for name in one.pack.choices:
        if name not in CHOICE_TABLES:
            expected = f"one of {', '.join(CHOICE_TABLES)}"
            wrong = CellError("id", expected, f"the table {name}", near(name, CHOICE_TABLES))
            yield wrong.at(folder / f"{name}.csv", 1)


def _wrong_outcomes(
    rows: Iterable[Placed[Choice]], table: ChoiceTable, catalog: Catalog
) -> Iterator[Fault]:
    for place in rows:
        for column, verify in table.outcomes.items():
            cell = place.row.outcome.get(column)
            if cell:
                for wrong in verify(cell, place.row, catalog):
                    yield _at(place, column, *wrong)
            elif cell is not None and column not in table.optional:
                yield _at(place, column, "an outcome", "an empty cell", f"fill in {column}")


def _wrong_columns(rows: Sequence[Placed[Choice]], table: ChoiceTable) -> Iterator[Fault]:
    """Yield the columns that are missing or that nothing reads; every row has the same."""
    for place in rows[:1]:
        found = place.row.outcome.keys()
        allowed = {*NOTES, *table.outcomes}
        wrong = [unknown_column(name, allowed | choice_facts().keys()) for name in found - allowed]
        wrong += [
            CellError(name, f"a column {name}", "none", "add the column")
            for name in {*table.outcomes, "source"} - found - table.optional
        ]
        yield from (one.at(place.path, 1) for one in sorted(wrong, key=str))


def _never_true(one: Overall) -> Iterator[Fault]:
    rows: tuple[Placed[Any], ...] = (*one.pack.rules, *one.pack.choice_rows)
    grid = Grid(condition for place in rows for condition in place.row.conditions)
    for place in rows:
        for condition in place.row.conditions:
            if not grid.passing(condition):
                expected = "a condition that some answer passes"
                hint = "no amount is on both sides; take one of the comparisons away"
                yield _at(place, condition.fact, expected, condition.cell, hint)


def _contradictions(one: Overall) -> Iterator[Fault]:
    grid = Grid(condition for place in one.pack.rules for condition in place.row.conditions)
    alike: dict[object, list[Placed[Rule]]] = {}
    for place in one.pack.rules:
        box = grid.box(place.row.conditions)
        alike.setdefault((place.row.set, frozenset(box.items())), []).append(place)
    resolved = [
        (override.row.loses, override.row.wins) for pack in one.packs for override in pack.overrides
    ]
    for rows in alike.values():
        for first, second in combinations(rows, 2):
            found = _pulls_apart(first.row, second.row)
            names = {first.row.id, second.row.id}
            if found and not any(names & lost and names & won for lost, won in resolved):
                expected = f"the same direction as {first.row.id} ({first.path}:{first.line})"
                hint = "both have the same conditions: change one, or add an override"
                yield _at(second, found[0], expected, found[1], hint)


def _pulls_apart(first: Rule, second: Rule) -> tuple[str, str] | None:
    """Return the column in which two rules disagree and how, or None where they do not."""
    for approach, weight in second.weights.items():
        other = first.weights.get(approach, 0.0)
        if weight * other < 0:
            return approach, f"{second.id} weighs {weight:g}, {first.id} {other:g}"
    if _most_favoured(first) & _most_favoured(second):
        return None
    return second.favours, f"{second.id} favours {second.favours}, {first.id} {first.favours}"


def _most_favoured(rule: Rule) -> frozenset[str]:
    most = max(rule.weights.values())
    return frozenset(name for name, weight in rule.weights.items() if weight == most)


def _shadows_and_gaps(name: str, table: ChoiceTable, one: Overall) -> Iterator[Fault]:
    rows = one.pack.choices[name]
    behind = one.base.choices.get(name, ()) if one.base else ()
    grid = Grid(condition for place in (*rows, *behind) for condition in place.row.conditions)
    boxes = [grid.box(place.row.conditions) for place in (*rows, *behind)]
    chosen_here = {"model_kind"} if name == "model_kind" else set()
    whole = grid.whole(known=ALWAYS_KNOWN - chosen_here)
    earlier: dict[str, list[tuple[Placed[Choice], Box]]] = {}
    for place, box in zip(rows, boxes, strict=False):
        before = earlier.setdefault(place.row.outcome.get(table.each, ""), [])
        yield from _shadow(place, before, {fact: whole[fact] & box.get(fact, -1) for fact in whole})
        before.append((place, box))
    gap = uncovered(whole, boxes)
    if table.serves_all and rows and gap is not None and name not in one.pack.unread:
        point = grid.point(gap)
        found = f"none where {_in_words(point)}"
        hint = "add a last row without conditions"
        yield _at(rows[-1], ", ".join(point), "a row for every project", found, hint)


def _shadow(
    place: Placed[Choice], before: Sequence[tuple[Placed[Choice], Box]], left: Box
) -> Iterator[Fault]:
    """Yield the fault of a row of whose projects, `left`, the rows before take all."""
    if all(left.values()) and uncovered(left, [box for _, box in before]) is None:
        names = [row.row.id for row, box in before if all(left[fact] & box[fact] for fact in box)]
        found = f"{place.row.id}, which always stands behind {' or '.join(names)}"
        hint = "move the row up, narrow the earlier ones, or take it away"
        yield _at(place, "id", "a row that some project reaches", found, hint)


def _points(one: Overall) -> Iterator[Mapping[str, object]]:
    grid = Grid(
        condition
        for pack in one.packs
        for place in pack.rules
        for condition in place.row.conditions
    )
    kinds = choice_facts()["model_kind"].choices
    for point in grid.points(tuple(grid.values), most=SAMPLE):
        yield {**point, "model_kind": point.get("model_kind") or kinds[0]}


def _score_gaps(
    one: Overall,
    points: Iterable[Mapping[str, object]],
    is_gap: Callable[[Mapping[str, object]], bool],
) -> Iterator[Fault]:
    """Yield the first gaps, each with no more answers than it takes, the same one once."""
    found = islice(filter(is_gap, points), MOST_GAPS)
    least = {_in_words(_least(point, is_gap)): _least(point, is_gap) for point in found}
    for words, point in sorted(least.items()):
        expected = "an approach that scores above zero for every project"
        hint = "add a rule for such projects, or let less speak against all"
        wrong = CellError(", ".join(point), expected, f"none where {words}", hint)
        home = one.pack.folder if one.base else one.pack.folder / "evidence"
        yield wrong.at(home / "tables.csv", 1)


def _least(
    point: Mapping[str, object], is_gap: Callable[[Mapping[str, object]], bool]
) -> Mapping[str, object]:
    """Return as few of the answers as make the gap; the kind of model is always known."""
    for name in point:
        fewer = {key: value for key, value in point.items() if key != name}
        if point[name] is None or (name != "model_kind" and is_gap(fewer)):
            point = fewer
    return point


def _in_words(point: Mapping[str, object]) -> str:
    said = {"None": "unknown", "True": "yes", "False": "no"}
    words = {name: said.get(str(value), str(value)) for name, value in point.items()}
    return " and ".join(f"{name} is {value}" for name, value in words.items()) or "nothing is known"
