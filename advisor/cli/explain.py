"""`advisor explain`: one id of the decision tables."""

import json
from pathlib import Path

import click

from advisor.cli.flags import debug_flag, json_flag, rules_dir_flag


@click.command(name="explain")
@click.argument("rule_id", metavar="RULE_ID")
@rules_dir_flag
@json_flag
@debug_flag
def command(rule_id: str, rules_dir: Path | None, as_json: bool) -> None:
    """What a row of the tables says, and what it rests on."""
    from advisor.tables import RuleBook
    from advisor.tables.lookup import explain

    found = explain(RuleBook(own=rules_dir), rule_id)
    if as_json:
        click.echo(json.dumps(found.as_document(), indent=2, ensure_ascii=False))
        return
    from advisor.report.rules import explanation_lines
    from advisor.report.terminal import show

    show(explanation_lines(found))
