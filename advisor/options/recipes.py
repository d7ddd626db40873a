"""What a recipe comes to for one model and its data: the rank, the scale and the epochs."""

from collections.abc import Iterable

from advisor.catalog import Catalog, Recipe
from advisor.estimation.shape import ALL_LINEAR, Shape, lora_params

SMALLEST_RANK = 16


def recipe_of(catalog: Catalog, approach: str, method: str, *, params: float) -> Recipe:
    """Return the recipe of a method; where the approach has none, that of tuning with it.

    Raises:
        AdvisorError: `name_unknown` where no approach has a recipe for the method.
    """
    has_own = any((row.approach, row.method) == (approach, method) for row in catalog.recipes)
    tuning = "full_finetune" if method == "frozen" else "lora"
    return catalog.recipe(approach if has_own else tuning, method, params=params)


def chosen_rank(
    recipe: Recipe,
    shape: Shape,
    completion_tokens: float | None,
    targets: Iterable[str] = ALL_LINEAR,
) -> int:
    """Return the least rank whose parameters are as many as the tokens of all completions.

    Within the recipe's bounds, in doublings of its least rank; the least where the tokens are
    unknown. Necessary, not sufficient, for domains far from what the base has read.

    Source: Tinker documentation, LoRA primer (parameters >= completion tokens); Schulman et al.
    2025, LoRA Without Regret (past its capacity LoRA learns less efficiently).
    """
    rank = recipe.lora_rank or SMALLEST_RANK
    names = tuple(targets)
    while rank < (recipe.lora_rank_most or rank):
        if lora_params(shape, rank, names) >= (completion_tokens or 0.0):
            break
        rank *= 2
    return rank


def chosen_alpha(recipe: Recipe, rank: int) -> float:
    """Return LoRA's alpha: in the recipe's proportion to the rank, for rsLoRA the recipe's own.

    Source: Biderman et al. 2024, arXiv 2405.09673 (alpha twice the rank; a fixed 32 was too small
    at rank 256); Kalajdzievski 2023, arXiv 2312.03732 (rsLoRA divides by the root of the rank, so
    that one alpha suits every rank).
    """
    alpha = float(recipe.lora_alpha or rank)
    if recipe.method == "rslora":
        return alpha
    return alpha * rank / (recipe.lora_rank or rank)


def chosen_epochs(recipe: Recipe, amount: float | None) -> int:
    """Return the passes over so many labelled examples, or so many tokens of raw text."""
    if amount is None or recipe.few_below is None or amount >= recipe.few_below:
        return recipe.epochs
    return recipe.few_epochs or recipe.epochs


def example_tokens(seq_len: int) -> float:
    """Return the tokens of one example as long as none was read: half of a row."""
    return seq_len / 2


def work_on_examples(
    recipe: Recipe, shape: Shape, examples: int, *, objective: str
) -> dict[str, object]:
    """Return what an estimate request says of labelled examples: how often, and at which rank.

    How long the completions are is not known before the data is read: they are taken to be at most
    the whole example. A class is no text to be learned.
    """
    work: dict[str, object] = {"examples": examples, "epochs": chosen_epochs(recipe, examples)}
    if recipe.lora_rank:
        seq_len = min(recipe.seq_len, shape.max_context or recipe.seq_len)
        most = None if objective == "classification" else examples * example_tokens(seq_len)
        work["lora_rank"] = chosen_rank(recipe, shape, most)
    return work
