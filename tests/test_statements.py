"""Every statement of the articles has a home, and every row of their tables has its statement."""

import csv
from collections import Counter

import pytest

from advisor.places import shipped
from advisor.tables import RuleBook

RULES, PROFILES = shipped("rules"), shipped("profiles")
BOOK = RuleBook()
ARTICLES = {"jellyfish": ("A", 34), "jypi": ("B", 42), "labelyourdata": ("C", 59)}
DECIDES_NOTHING = {"describes", "outside"}


def table_of(path: str) -> list[dict[str, str]]:
    """Return the rows of a table under rules/."""
    with (RULES / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def known_ids() -> dict[str, set[str]]:
    """Return the ids that each kind of home may name."""
    with (PROFILES / "recipes.csv").open(encoding="utf-8", newline="") as file:
        recipes = {f"{row['approach']}/{row['method']}" for row in csv.DictReader(file)}
    choices = [path.stem for path in (RULES / "choices").glob("*.csv") if path.stem != "checklist"]
    return {
        "rule": {rule.id for rule in BOOK.documents + BOOK.evidence},
        "recipe": recipes,
        "checklist": {row.id for row in BOOK.choices("checklist")},
        "choice": {row.id for name in choices for row in BOOK.choices(name)},
        "conflict": {override.id for override in BOOK.overrides},
    }


STATEMENTS = table_of("documents/statements.csv")
KNOWN = known_ids()
BY_ID = {row["id"]: row for row in STATEMENTS}


def refers(row: dict[str, str]) -> list[str]:
    """Return the ids that a statement refers to."""
    return row["refers"].split("|") if row["refers"] else []


def test_each_statement_of_the_three_articles_is_there_once() -> None:
    expected = {
        f"{letter}{number}" for letter, last in ARTICLES.values() for number in range(1, last + 1)
    }
    assert Counter(row["id"] for row in STATEMENTS) == Counter(expected)


def test_a_statement_is_of_the_article_that_its_id_names_and_says_something() -> None:
    for row in STATEMENTS:
        assert row["id"][0] == ARTICLES[row["article"]][0]
        assert row["section"]
        assert row["says"]


@pytest.mark.parametrize("row", STATEMENTS, ids=list(BY_ID))
def test_a_statement_has_the_home_that_it_names(row: dict[str, str]) -> None:
    home, named = row["home"], refers(row)
    unknown = [one for one in named if not any(one in ids for ids in KNOWN.values())]
    assert not unknown
    assert len(set(named)) == len(named)
    if home in DECIDES_NOTHING:
        assert row["why"]
    else:
        assert any(one in KNOWN[home] for one in named)


def test_what_is_outside_says_because_of_what() -> None:
    outside = [row for row in STATEMENTS if row["home"] == "outside"]
    assert all("outside, because" in row["why"] for row in outside)


def test_every_row_of_the_articles_tables_is_what_some_statement_says() -> None:
    named = {one for row in STATEMENTS for one in refers(row)}
    rows = {rule.id for rule in BOOK.documents}
    assert rows <= named


def test_a_row_is_named_by_a_statement_of_its_own_article() -> None:
    for rule in BOOK.documents:
        articles = {row["article"] for row in STATEMENTS if rule.id in refers(row)}
        assert rule.source.article in articles, rule.id


def test_every_item_of_the_checklist_can_be_read_in_one_line() -> None:
    for row in BOOK.choices("checklist"):
        assert row.outcome["source"]
        assert 0 < len(row.outcome["item"]) <= 100
        assert row.outcome["kind"] in {
            "metric", "evaluation", "governance", "pitfall", "data", "safety",
        }  # fmt: skip


WHICH_SHOULD_YOU_USE = [
    ("A25", "jellyfish.use.new-language-model", {"task": "foundation"}, "pretrain"),
    (
        "A26",
        "jellyfish.use.new-document-format",
        {"task": "extraction", "deadline": 72.0},
        "lora",
    ),
    (
        "A27",
        "jellyfish.use.low-resource-legal-medical",
        {"domain": "legal", "labelled_examples": 500},
        "lora",
    ),
    (
        "A27",
        "jellyfish.use.low-resource-legal-medical",
        {"domain": "medical", "labelled_examples": 500},
        "lora",
    ),
    ("A28", "jellyfish.use.air-gapped", {"privacy": "air_gapped"}, "pretrain"),
    ("A29", "jellyfish.use.one-gpu-few-days", {"gpus": 1, "deadline": 72.0}, "lora"),
]


@pytest.mark.parametrize(("statement", "rule_id", "situation", "approach"), WHICH_SHOULD_YOU_USE)
def test_the_five_rows_of_which_should_you_use_decide_as_the_article_writes(
    statement: str, rule_id: str, situation: dict[str, object], approach: str
) -> None:
    rule = next(one for one in BOOK.documents if one.id == rule_id)
    assert rule_id in refers(BY_ID[statement])
    assert rule.fits(situation)
    assert set(rule.weights) == {approach}
    assert not rule.fits({})


TASK_METRICS = {
    "classification": {"check.accuracy", "check.f1"},
    "extraction": {"check.f1"},
    "translation": {"check.bleu"},
    "summarization": {"check.rouge"},
    "question_answering": {"check.exact-match"},
    "chat": {"check.blind-pairs"},
}
STAGE_METRICS = {
    "pretrain": {"check.validation-loss", "check.perplexity", "check.diversity"},
    "continued_pretrain": {"check.validation-loss", "check.perplexity", "check.diversity"},
    "full_finetune": {"check.validation-loss"},
    "lora": {"check.validation-loss"},
    "no_training": set(),
}


def items(kind: str, **facts: object) -> set[str]:
    """Return the ids of the checklist's items of one kind that fit the facts."""
    return {
        row.id
        for row in BOOK.choices("checklist")
        if row.outcome["kind"] == kind and row.fits(facts)
    }


@pytest.mark.parametrize("task", TASK_METRICS)
def test_a_tuned_task_is_measured_by_its_own_metrics_alone(task: str) -> None:
    found = items("metric", approach="lora", task=task, model_kind="generative")
    assert found == TASK_METRICS[task] | STAGE_METRICS["lora"]


@pytest.mark.parametrize("approach", STAGE_METRICS)
def test_a_stage_is_measured_as_the_article_says(approach: str) -> None:
    found = items("metric", approach=approach, task="foundation", model_kind="generative")
    assert found == STAGE_METRICS[approach]


@pytest.mark.parametrize("approach", STAGE_METRICS)
def test_whatever_is_advised_is_evaluated_made_safe_and_governed(approach: str) -> None:
    for kind in ("evaluation", "safety", "governance"):
        assert items(kind, approach=approach, task="classification", model_kind="generative")


def test_what_is_answered_is_not_asked_for_again() -> None:
    assert {"check.metric", "check.failures", "check.scope"} <= items("evaluation")
    answered = items(
        "evaluation", task="extraction", success_metric="F1", acceptable_failure="an empty field"
    )
    assert not {"check.metric", "check.failures", "check.scope"} & answered
