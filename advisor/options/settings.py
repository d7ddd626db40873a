"""The hyper-parameters of an option, each with why and source; what a lead should be warned of.

Values come from the job that was priced and from its recipe (`profiles/recipes.csv`), so that the
recommendation shows what the estimate counts and a plan trains. Why a value is right is told by the
first row of `rules/choices/settings.csv` that fits; a row whose source is `recipe` states the
source of the recipe itself. A row with a value of its own is advice that no job carries out yet.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from advisor.catalog import Recipe
from advisor.estimation.shape import lora_params
from advisor.estimation.training_job import LORA_METHODS, TrainingJob
from advisor.options.candidates import Option
from advisor.options.project import Project
from advisor.options.recipes import chosen_alpha, recipe_of
from advisor.tables import Choice, RuleBook
from advisor.units import show_count

Value = float | int | str | bool
TRUTHS = {"yes": True, "no": False}
OF_RECIPE = "recipe"


class Setting(NamedTuple):
    """One hyper-parameter; `applied` says whether a plan trains with it, else it is advice."""

    name: str
    value: Value
    why: str
    source: str
    applied: bool


def settings_of(option: Option, project: Project) -> tuple[Setting, ...]:
    """Return the settings of an option; none where nothing is trained or nothing was priced."""
    if option.job is None:
        return ()
    recipe = recipe_of(
        project.catalog, option.approach, option.method, params=option.job.shape.params
    )
    facts = {**project.facts, "approach": option.approach, "method": option.method}
    applied = dict(_applied(option.job, recipe, project))
    words = _words(option.job, project)
    rows = _rows(project.rules, facts)
    return tuple(
        _setting(row, recipe, applied, words)
        for name, row in rows.items()
        if name in applied or row.outcome["value"]
    )


def cautions(rules: RuleBook, facts: Mapping[str, object]) -> tuple[str, ...]:
    """Return what the project's kind has cost others; `facts` tell the approach and the method."""
    return tuple(
        f"{row.outcome['warning']} ({row.outcome['source']})"
        for row in rules.choices("warnings")
        if row.fits(facts)
    )


def _rows(rules: RuleBook, facts: Mapping[str, object]) -> dict[str, Choice]:
    """Return the first row that fits of each setting, in the order of the table."""
    rows: dict[str, Choice] = {}
    for row in rules.choices("settings"):
        name = row.outcome["setting"]
        if name not in rows and row.fits(facts):
            rows[name] = row
    return rows


def _applied(job: TrainingJob, recipe: Recipe, project: Project) -> Iterator[tuple[str, Value]]:
    yield "learning_rate", recipe.learning_rate
    if job.method in LORA_METHODS:
        yield "lora_rank", job.lora_rank
        yield "lora_alpha", chosen_alpha(recipe, job.lora_rank)
    if recipe.lora_targets:
        yield "lora_targets", recipe.lora_targets
    yield "epochs", _epochs(job, project)
    yield "batch_tokens", round(job.step_tokens)
    yield "schedule", recipe.schedule
    yield "warmup_share", recipe.warmup_share
    yield "weight_decay", recipe.weight_decay


def _epochs(job: TrainingJob, project: Project) -> Value:
    """Return the passes that were priced: over the examples, or over the raw text."""
    text = project.answers.data.raw_text
    if job.request.epochs is not None:
        return job.request.epochs
    return round(job.tokens / text.tokens) if text and text.tokens else 1


def _words(job: TrainingJob, project: Project) -> dict[str, str]:
    """Return what a reason may name: the rate of full fine-tuning, the parameters of LoRA."""
    full = recipe_of(project.catalog, "full_finetune", "full", params=job.shape.params)
    params = lora_params(job.shape, job.lora_rank, job.lora_targets)
    return {"full_rate": f"{full.learning_rate:g}", "adapter_params": show_count(params)}


def _setting(
    row: Choice, recipe: Recipe, applied: Mapping[str, Value], words: Mapping[str, str]
) -> Setting:
    name, source = row.outcome["setting"], row.outcome["source"]
    advised = row.outcome["value"]
    return Setting(
        name=name,
        value=_read(advised) if advised else applied[name],
        why=row.outcome["why"].format_map(words),
        source=recipe.source if source == OF_RECIPE else source,
        applied=not advised,
    )


def _read(cell: str) -> Value:
    if cell in TRUTHS:
        return TRUTHS[cell]
    try:
        return float(cell)
    except ValueError:
        return cell
