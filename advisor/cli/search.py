"""`advisor search`: the whole catalogue's front of time against money for one job."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from advisor.cli.estimate import request_flags
from advisor.cli.flags import debug_flag, json_flag
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation.documents import EstimateRequest, read_request
from advisor.search import Limits
from advisor.search.finding import find_front
from advisor.units import parse_hours, parse_usd

# What a recommendation settles of a job; its hardware and layout are what is searched.
SETTLED = frozenset(
    {
        "model",
        "params_b",
        "active_params_b",
        "n_layers",
        "hidden",
        "n_heads",
        "n_kv_heads",
        "intermediate",
        "vocab",
        "approach",
        "method",
        "objective",
        "tokens",
        "examples",
        "epochs",
        "lora_rank",
        "provider",
        "spot",
        "region",
        "privacy",
    }
)


@click.command(name="search")
@request_flags
@click.option("--deadline", metavar="TIME", help="The longest wall time, such as 3 days.")
@click.option("--budget-usd", metavar="USD", help="The most money, such as 500.")
@click.option(
    "--answers",
    "answers_file",
    metavar="FILE",
    help="Search for what is recommended on these answers (YAML or JSON; - is stdin).",
)
@json_flag
@debug_flag
def command(
    as_json: bool,
    answers_file: str | None,
    deadline: str | None,
    budget_usd: str | None,
    **flags: Any,  # noqa: ANN401
) -> None:
    """Search GPUs, counts, methods and layouts: the front of time against money.

    What is given is fixed, what is left out is searched.
    """
    from advisor.catalog import load_catalog

    given = {name: value for name, value in flags.items() if value is not None}
    request, limits = _asked(given, deadline, budget_usd)
    if answers_file is not None:
        advised, answered = _advised(answers_file)
        request = read_request({**advised, **given})
        limits = Limits(
            answered.deadline if limits.deadline is None else limits.deadline,
            answered.budget if limits.budget is None else limits.budget,
        )
    found = find_front(request, limits, catalog=load_catalog())
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    from advisor.report.fronts import search_lines
    from advisor.report.terminal import show

    show(search_lines(found))


def _asked(
    given: Mapping[str, Any], deadline: str | None, budget_usd: str | None
) -> tuple[EstimateRequest, Limits]:
    """Return the request and the limits that the flags describe; raises with every fault."""
    faults: list[Fault] = []
    limits = Limits(
        deadline=_read("deadline", deadline, parse_hours, faults),
        budget=_read("budget_usd", budget_usd, parse_usd, faults),
    )
    try:
        request = read_request(given)
    except AdvisorError as error:
        faults += error.faults
    if faults:
        raise AdvisorError(ErrorName.REQUEST_INVALID, "the request is not valid", faults)
    return request, limits


def _read(
    field: str, text: str | None, parse: Callable[[object], float], faults: list[Fault]
) -> float | None:
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        faults.append(Fault(field=field, expected=str(error), found=text))
        return None


def _advised(answers_file: str) -> tuple[Mapping[str, Any], Limits]:
    """Return the job that is recommended on the answers, and the limits that they set."""
    from advisor.cli.answering import gather_answers
    from advisor.recommendation import recommend

    answers = gather_answers(answers_file, {})
    found = recommend(answers, explore=False)
    if found.estimate is None:
        chosen = found.recommended.approach if found.recommended else "nothing that is feasible"
        fault = Fault(path=answers_file, expected="answers that lead to training", found=chosen)
        raise AdvisorError(ErrorName.NOTHING_TO_TRAIN, "there is no job to search for", [fault])
    budget = answers.gpu_budget
    settled = found.estimate.request.model_dump(include=set(SETTLED), exclude_none=True)
    fixed = {"gpu": budget.gpu, "gpus": budget.gpus}
    settled |= {name: value for name, value in fixed.items() if value is not None}
    return settled, Limits(budget.deadline, budget.budget_usd)
