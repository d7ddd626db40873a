"""The five rows of the article "Pretraining vs PEFT", section "So… Which Should You Use?".

Each row's own situation, told by the articles' tables alone, gets exactly the row's answer.
"""

import pytest

from advisor.catalog import load_catalog
from advisor.recommendation import recommend
from advisor.tables import RuleBook

CATALOG, BOOK = load_catalog(), RuleBook()

# Each row: its id, the project it speaks of, the article's answer.
ROWS = {
    "building a brand-new language model": (
        "jellyfish.use.new-language-model",
        {
            "task": "foundation",
            "breadth": "general",
            "language_novelty": "unseen",
            "data": {"raw_text": "200 GB"},
            "gpu_budget": {"gpu": "h100-sxm5-80gb", "gpus": 64, "deadline": "3 months"},
        },
        "pretrain",
    ),
    "fast adaptation to a new document format": (
        "jellyfish.use.new-document-format",
        {
            "domain": "other",
            "task": "extraction",
            "language_novelty": "covered",
            "data": {"labelled_examples": 3000},
            "gpu_budget": {"gpu": "a100-sxm4-80gb", "gpus": 2, "deadline": "10 days"},
        },
        "lora",
    ),
    "low-resource legal or medical data": (
        "jellyfish.use.low-resource-legal-medical",
        {
            "domain": "medical",
            "task": "summarization",
            "language_novelty": "covered",
            "data": {"labelled_examples": 900},
        },
        "lora",
    ),
    "full control and privacy in an air-gapped system": (
        "jellyfish.use.air-gapped",
        {
            "privacy": "air_gapped",
            "vocabulary_control": True,
            "architecture_control": True,
            "data": {"raw_text": "200 GB"},
            "gpu_budget": {"gpu": "h100-sxm5-80gb", "gpus": 64, "deadline": "3 months"},
        },
        "pretrain",
    ),
    "only one GPU and a few days": (
        "jellyfish.use.one-gpu-few-days",
        {
            "domain": "support",
            "task": "generation",
            "data": {"labelled_examples": 8000},
            "gpu_budget": {"gpu": "rtx-4090", "gpus": 1, "deadline": "3 days"},
        },
        "lora",
    ),
}


@pytest.mark.parametrize(("row", "answers", "approach"), ROWS.values(), ids=ROWS)
def test_a_row_of_the_article_gets_the_articles_answer_from_the_articles_alone(
    row: str, answers: dict[str, object], approach: str
) -> None:
    found = recommend(answers, rule_set="documents", catalog=CATALOG, rules=BOOK, explore=False)
    assert found.recommended
    assert found.recommended.approach == approach
    reason = next(one for one in found.reasons if one.rule == row)
    assert reason.favours == approach
    assert reason.source.section == "So… Which Should You Use?"
    assert row in found.options[0].reasons


def test_every_row_of_the_table_has_its_project() -> None:
    table = {rule.id for rule in BOOK.documents if rule.id.startswith("jellyfish.use.")}
    assert {row for row, _, _ in ROWS.values()} == table
