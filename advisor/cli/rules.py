"""`advisor rules`: the decision tables, checked and listed."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from advisor.cli.flags import debug_flag, json_flag, rules_dir_flag
from advisor.errors import AdvisorError, ErrorName

if TYPE_CHECKING:
    from advisor.tables import RuleBook
    from advisor.tables.checks import Checked


@click.group(name="rules")
def command() -> None:
    """The decision tables: checked, and listed."""


@command.command(name="check")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@json_flag
@debug_flag
def check(folder: Path | None, as_json: bool) -> None:
    """Tell all that is wrong with the tables, or with the pack in DIR."""
    found = check_pack(folder)
    if found.faults:
        raise AdvisorError(ErrorName.RULES_INVALID, "this rule pack is wrong", found.faults)
    if as_json:
        document = {**found._asdict(), "folder": str(found.folder), "faults": []}
        click.echo(json.dumps({"schema": "advisor.rules.check/1", **document}, indent=2))
        return
    from advisor.report.rules import checked_lines
    from advisor.report.terminal import show

    show(checked_lines(found))


@command.command(name="list")
@rules_dir_flag
@json_flag
@debug_flag
def list_(rules_dir: Path | None, as_json: bool) -> None:
    """List every rule, when it speaks, and its source."""
    from advisor.tables import RuleBook
    from advisor.tables.lookup import packs_of, rule_document

    rules = [place for pack in packs_of(RuleBook(own=rules_dir)) for place in pack.rules]
    if as_json:
        document = {"schema": "advisor.rules/1", "rules": [rule_document(one) for one in rules]}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    from advisor.report.rules import rule_lines
    from advisor.report.terminal import show

    show(rule_lines([one.row for one in rules]))


def check_pack(folder: Path | None = None) -> "Checked":
    """Return what is wrong with a rule pack, as the decision itself scores with it."""
    from advisor.answers import Answers
    from advisor.decision import decide
    from advisor.options import Option
    from advisor.tables import APPROACHES
    from advisor.tables.checks import check as checked

    nothing = Answers().facts()
    options = [Option(approach, "", "", None, None, None, ()) for approach in APPROACHES]

    def score(book: "RuleBook", point: Mapping[str, object]) -> Iterable[float]:
        decision = decide({**nothing, **point}, options, rules=book, rule_set="all")
        return [ranked.score for ranked in decision.ranked]

    return checked(folder, score)
