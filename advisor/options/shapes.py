"""The size of a model trained from nothing: what the text at hand can fill."""

from advisor.catalog import Catalog, PretrainingShape

# Compute-optimal training: about 20 tokens a parameter (Hoffmann et al. 2022, arXiv 2203.15556,
# table 3); up to 4 passes over the same text are as good as fresh text (Muennighoff et al. 2023,
# arXiv 2305.16264).
TOKENS_PER_PARAMETER = 20
MOST_PASSES = 4


def filled_shapes(tokens: float, catalog: Catalog) -> list[PretrainingShape]:
    """Return the shapes that so much text can fill, the largest first; at least the smallest."""
    shapes = list(catalog.shapes.values())
    most = tokens * MOST_PASSES / TOKENS_PER_PARAMETER
    return [shape for shape in shapes if shape.params <= most][::-1] or shapes[:1]


def passes_over(tokens: float, shape: PretrainingShape) -> int:
    """Return how often to read the text: as often as the shape asks for, at most four times."""
    wanted = round(TOKENS_PER_PARAMETER * shape.params / max(1.0, tokens))
    return min(max(1, wanted), MOST_PASSES)


def shape_fields(shape: PretrainingShape) -> dict[str, float]:
    """Return the keys of an estimate request that describe the shape."""
    return {
        "params_b": shape.params / 1e9,
        "n_layers": shape.n_layers,
        "hidden": shape.hidden,
        "n_heads": shape.n_heads,
        "n_kv_heads": shape.n_kv_heads,
        "intermediate": shape.intermediate,
        "vocab": shape.vocab,
    }
