"""A detector's categories → the catalog's own: `coat` → `Women/Jackets & Coats`."""

from collections.abc import Mapping, Sequence

import numpy as np

from visualsearch.index.paths import SEPARATOR, within
from visualsearch.types import FloatArray

CLOSE = 0.5  # cosine of words: a catalog's category less like any prompt belongs to none


def category_words(category: str) -> str:
    """Return what a catalog's category says in words: the last step of its path."""
    return category.rpartition(SEPARATOR)[2].replace("_", " ").strip() or category


def match_categories(
    prompts: Mapping[str, FloatArray], catalogue: Mapping[str, FloatArray]
) -> dict[str, tuple[str, ...]]:
    """Return for each of a detector's categories those of the catalog that it stands for.

    `prompts` are unit rows of shape (prompts, dim) by the detector's category, `catalog` the
    unit vectors, of shape (dim,), of what the catalog's categories say. Each of the catalog
    goes to the category with the closest prompt, if that is close.
    """
    names, categories = list(prompts), sorted(catalogue)
    found: dict[str, list[str]] = {name: [] for name in names}
    if names and categories:
        rows = np.stack([catalogue[category] for category in categories])
        similarity = np.stack([(prompts[name] @ rows.T).max(axis=0) for name in names])
        best, closest = similarity.argmax(axis=0).tolist(), similarity.max(axis=0).tolist()
        for category, number, close in zip(categories, best, closest, strict=True):
            if close >= CLOSE:
                found[names[number]].append(category)
    return {name: tuple(categories) for name, categories in found.items()}


def narrow_to_filter(categories: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...] | None:
    """Return the categories to search a region in, empty for all; None for no search at all.

    `wanted` is what the request's filter asks for: a region of other things is not searched, and
    one of things that the catalog has no shelf for is searched within what was asked for.
    """
    if not wanted or not categories:
        return tuple(categories or wanted)
    inner = {each for each in categories for asked in wanted if within(each, asked)}
    inner |= {asked for asked in wanted for each in categories if within(asked, each)}
    return tuple(sorted(inner)) or None
