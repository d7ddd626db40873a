import csv
from pathlib import Path

import pytest

from advisor.answers import read_answers
from advisor.errors import AdvisorError, ErrorName
from advisor.places import shipped
from advisor.tables import APPROACHES, Rule, RuleBook
from advisor.units import DataSize

BOOK = RuleBook()
ARTICLE_TABLES = {
    "jellyfish": {
        "When it makes sense",
        "When it's perfect",
        "How Do They Compare?",
        "So… Which Should You Use?",
        "Conclusion",
    },
    "jypi": {
        "What is Pretraining?",
        "What is Fine-Tuning?",
        "When to Prefer Each Path",
        "The Core Differences",
        "Closing",
    },
    "labelyourdata": {
        "Applications",
        "Combined Applications",
        "When to Use Pre-Training",
        "When to Use Fine-Tuning",
        "Choosing the Right Approach",
        "Differences Between Pre-Training vs Fine-Tuning",
        "Combined Strategies",
    },
}


def rule_with(tmp_path: Path, **cells: str) -> Rule:
    """Return the one rule of a book whose only row has these cells."""
    row = {
        "id": "r",
        "lora": "1",
        "because": "b",
        "says": "s",
        "evidence": "supported",
        "reading": "",
    } | cells
    folder = tmp_path / "documents"
    folder.mkdir(exist_ok=True)
    (folder / "tables.csv").write_text(
        "table,article,publisher,title,section,date\nt.csv,a,p,t,s,2026\n"
    )
    with (folder / "t.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    return RuleBook(tmp_path).documents[0]


@pytest.mark.parametrize(
    ("fact", "cell", "holding", "failing"),
    [
        ("domain", "legal|medical", ["legal", "medical"], ["code", None]),
        ("domain", "!general", ["legal"], ["general", None]),
        ("facts_change", "yes", [True], [False, None]),
        ("facts_change", "no", [False], [True, None]),
        ("variants", "known", [0, 3], [None]),
        ("variants", "unknown", [None], [0, 3]),
        ("labelled_examples", ">=10k", [10_000, 20_000], [9_999, None]),
        ("labelled_examples", ">=120 & <=100k", [120, 100_000], [119, 100_001]),
        ("deadline", "<=7 days", [168.0, 1.0], [168.1, None]),
        (
            "raw_text",
            ">=100 GB",
            [DataSize(1e11, "bytes"), DataSize(25e9, "tokens")],
            [DataSize(9e10, "bytes"), None],
        ),
        (
            "raw_text",
            ">=0.5B tokens",
            [DataSize(2e9, "bytes"), DataSize(5e8, "tokens")],
            [DataSize(1e9, "bytes")],
        ),
    ],
)
def test_a_condition_holds_for_what_its_cell_says(
    tmp_path: Path, fact: str, cell: str, holding: list[object], failing: list[object]
) -> None:
    rule = rule_with(tmp_path, **{fact: cell})
    assert all(rule.fits({fact: value}) for value in holding)
    assert not any(rule.fits({fact: value}) for value in failing)


@pytest.mark.parametrize(
    ("fact", "cell", "words"),
    [
        ("domain", "legal|medical", "domain is legal or medical"),
        ("language_novelty", "!poorly_covered", "language novelty is not poorly covered"),
        ("facts_change", "yes", "facts change is yes"),
        ("labelled_examples", ">=120 & <=100k", "labelled examples at least 120 and at most 100k"),
    ],
)
def test_a_condition_can_be_said_in_words(tmp_path: Path, fact: str, cell: str, words: str) -> None:
    (condition,) = rule_with(tmp_path, **{fact: cell}).conditions
    assert condition.in_words == words


def test_a_row_tells_how_strong_its_evidence_is_where_its_table_does(tmp_path: Path) -> None:
    assert rule_with(tmp_path).strength == ""
    assert rule_with(tmp_path, strength="low").strength == "low"
    assert all(rule.strength for rule in BOOK.evidence)


def test_a_choice_may_turn_on_the_approach_and_the_method(tmp_path: Path) -> None:
    folder = tmp_path / "choices"
    folder.mkdir()
    (folder / "warnings.csv").write_text(
        "id,approach,method,warning,source\nw,lora,qlora|dora,compare,s\n"
    )
    (row,) = RuleBook(tmp_path).choices("warnings")
    assert row.outcome["warning"] == "compare"
    assert row.fits({"approach": "lora", "method": "dora"})
    assert not row.fits({"approach": "lora", "method": "lora"})
    assert not row.fits({"approach": "lora"})


@pytest.mark.parametrize(
    ("cells", "field", "line"),
    [
        ({"domian": "legal"}, "domian", 1),
        ({"approach": "lora"}, "approach", 1),
        ({"domain": "legl"}, "domain", 2),
        ({"domain": ">=3"}, "domain", 2),
        ({"facts_change": "perhaps"}, "facts_change", 2),
        ({"deadline": ">=soon"}, "deadline", 2),
        ({"variants": "3"}, "variants", 2),
        ({"gpu": ">=8"}, "gpu", 2),
        ({"lora": "much"}, "lora", 2),
        ({"lora": "-1"}, "lora", 2),
        ({"evidence": "proven"}, "evidence", 2),
        ({"strength": "huge"}, "strength", 2),
        ({"because": "{domain} text"}, "because", 2),
    ],
)
def test_a_wrong_cell_is_told_with_file_line_and_column(
    tmp_path: Path, cells: dict[str, str], field: str, line: int
) -> None:
    with pytest.raises(AdvisorError) as raised:
        rule_with(tmp_path, **cells)
    (fault,) = raised.value.faults
    assert raised.value.name is ErrorName.RULES_INVALID
    assert (fault.field, fault.line) == (field, line)
    assert fault.path == str(tmp_path / "documents" / "t.csv")


def test_a_missing_table_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(AdvisorError) as raised:
        _ = RuleBook(tmp_path).overrides
    assert str(tmp_path) in str(raised.value.faults[0].path)


def test_every_table_of_the_articles_is_there_with_its_source() -> None:
    found: dict[str, set[str]] = {}
    for rule in BOOK.documents:
        found.setdefault(rule.source.article, set()).add(rule.source.section)
        assert rule.source.publisher
        assert rule.source.title
        assert rule.source.date
    assert found == ARTICLE_TABLES


def test_every_row_has_an_id_of_its_own_and_says_what_it_rests_on() -> None:
    rules = BOOK.documents + BOOK.evidence
    assert len({rule.id for rule in rules}) == len(rules)
    assert all(rule.says and rule.because and rule.evidence for rule in rules)
    assert all(rule.favours in APPROACHES for rule in rules)


def test_every_reason_can_be_filled_in_with_the_answers() -> None:
    names = {name: name for name in read_answers({}).facts()}
    for rule in BOOK.documents + BOOK.evidence:
        assert rule.because.format_map(names)
        named = {part.partition("}")[0] for part in rule.because.split("{")[1:]}
        tested = {condition.fact for condition in rule.conditions}
        assert named <= tested, f"{rule.id} names an answer that it does not test"


def test_conflicts_name_rows_that_exist() -> None:
    ids = {rule.id for rule in BOOK.documents + BOOK.evidence}
    for override in BOOK.overrides:
        assert override.loses | override.wins <= ids
        assert override.why
        assert override.source


def test_a_row_that_the_evidence_contradicts_loses_to_some_row_of_the_evidence() -> None:
    losing = frozenset[str]().union(*(override.loses for override in BOOK.overrides))
    contradicted = {rule.id for rule in BOOK.documents if rule.evidence == "contradicted"}
    assert contradicted <= losing


@pytest.mark.parametrize(
    "name", [path.stem for path in sorted((shipped("rules") / "choices").glob("*.csv"))]
)
def test_every_choice_table_can_be_read(name: str) -> None:
    rows = BOOK.choices(name)
    assert rows
    assert len({row.id for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("table", "facts"),
    [
        ("model_kind", [{}]),
        ("hardware", [{}, {"privacy": "air_gapped"}]),
        ("methods", [{"approach": approach} for approach in APPROACHES]),
        ("base_models", [{"model_kind": kind} for kind in ("generative", "encoder", "seq2seq")]),
    ],
)
def test_a_table_that_must_decide_has_a_row_for_every_case(
    table: str, facts: list[dict[str, object]]
) -> None:
    assert all(BOOK.first(table, one) is not None for one in facts)
