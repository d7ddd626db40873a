"""Decision tables: read from rules/, checked, and asked which of their rows fit the facts.

A table is a CSV file. A column named after a fact (an answer, see `Answers.facts`) holds a
condition; the others hold the outcome. Every condition of a row must hold, and an empty cell
asks nothing. What a condition can say is told in `advisor.tables.conditions`; how to write a
table, in `rules/README.md`.
"""

from advisor.tables.book import RuleBook, RuleSet
from advisor.tables.conditions import APPROACHES, Approach, Condition
from advisor.tables.rows import Choice, Override, Rule, Source

__all__ = [
    "APPROACHES",
    "Approach",
    "Choice",
    "Condition",
    "Override",
    "Rule",
    "RuleBook",
    "RuleSet",
    "Source",
]
