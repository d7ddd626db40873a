"""`advisor recommend`: answers in, recommendation out."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from advisor.cli.answering import answer_flags, gather_answers
from advisor.cli.batch import answer_batch
from advisor.cli.flags import debug_flag, json_flag, rules_dir_flag, rules_flag
from advisor.errors import AdvisorError, ErrorName
from advisor.tables import RuleBook, RuleSet

if TYPE_CHECKING:
    from advisor.recommendation import Recommendation


@click.command(name="recommend")
@answer_flags
@rules_flag
@rules_dir_flag
@json_flag
@click.option("--batch", metavar="FILE", help="One answers object a line (JSONL); - is stdin.")
@click.option("--exit-code", is_flag=True, help="Exit with 3 where nothing is feasible.")
@debug_flag
def command(
    answers_file: str | None,
    rule_set: RuleSet,
    rules_dir: Path | None,
    as_json: bool,
    batch: str | None,
    exit_code: bool,
    **flags: Any,  # noqa: ANN401
) -> None:
    """Answers in, recommendation out: what to train, why, and what it takes."""
    from advisor.catalog import load_catalog
    from advisor.recommendation import recommend

    rules = RuleBook(own=rules_dir)
    advise = partial(recommend, rule_set=rule_set, rules=rules, catalog=load_catalog())
    if batch is not None:
        answer_batch(batch, advise)
        return
    found = advise(gather_answers(answers_file, flags))
    if as_json:
        click.echo(found.model_dump_json(indent=2))
    else:
        _show_recommendation(found)
    if exit_code and not found.feasible:
        raise AdvisorError(ErrorName.INFEASIBLE, "nothing is feasible as answered")


def _show_recommendation(found: "Recommendation") -> None:
    from advisor.cli.ages import tell_old_price
    from advisor.report.advice import recommendation_lines
    from advisor.report.terminal import show

    show(recommendation_lines(found))
    tell_old_price(found.estimate.cost_usd if found.estimate else None)
