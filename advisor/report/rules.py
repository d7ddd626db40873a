"""Rule packs as text: the rows as a list, and one id explained."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from advisor.report.drawing import section, words
from advisor.safe_text import safe_text
from advisor.tables import Override, Rule
from advisor.tables.checks import Checked
from advisor.tables.lookup import Explanation


def checked_lines(found: Checked) -> Iterator[RenderableType]:
    """Yield what a check without findings looked at."""
    yield Text(
        f"nothing is wrong with {safe_text(found.folder)}: {found.rules} rules, "
        f"{found.overrides} overrides, {found.choices} rows of choice tables",
        style="bold",
    )
    yield Text(f"each of {found.points:,} combinations of answers has an approach that scores")


def rule_lines(rules: Sequence[Rule]) -> Iterator[RenderableType]:
    """Yield the rules, each under its id, and how many there are."""
    for rule in rules:
        yield from section(rule.id, _rule_words(rule))
    yield Text(f"\n{len(rules)} rules; advisor explain ID tells more of one")


def _rule_words(rule: Rule) -> list[str]:
    when = "; ".join(condition.in_words for condition in rule.conditions) or "always"
    weights = ", ".join(f"{words(name)} {weight:+g}" for name, weight in rule.weights.items())
    return [f"when {when}", f"{weights} [{rule.set}: {rule.source.publisher}]"]


def explanation_lines(found: Explanation) -> Iterator[RenderableType]:
    """Yield one id explained: what it says first, then when it speaks and what it rests on."""
    place = f" · {found.file}:{found.line}" if found.file else ""
    yield Text(f"{safe_text(found.id)} ({found.kind}){safe_text(place)}", style="bold")
    yield Text(safe_text(found.says))
    if found.kind in ("rule", "choice"):
        when = [condition.in_words for condition in found.conditions]
        yield from section("When", when or ["always"])
    yield from section(
        "Weighs", [f"{words(name)}: {weight:+g}" for name, weight in found.weights.items()]
    )
    for title, cells in (("Details", found.details), ("Source", found.source)):
        yield from section(title, [f"{words(name)}: {cell}" for name, cell in cells.items()])
    said = [f"{one.says} [{one.article}, {one.section}; {one.id}]" for one in found.statements]
    yield from section("Statements that it carries", said)
    touching = [_override(one, found.id) for one in found.overrides]
    yield from section("Overrides", touching)


def _override(override: Override, rule: str) -> str:
    side = "loses" if rule in override.loses else "wins"
    others = sorted(override.wins if side == "loses" else override.loses)
    return f"{side} against {', '.join(others)}: {override.why} [{override.id}]"
