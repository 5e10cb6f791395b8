"""From scored rows to products: the best picture of a product is the product's score."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from visualsearch.index.arrays import IntArray
from visualsearch.types import FloatArray

MARGIN = 1e-5
"""float32 sums of unit vectors in another order differ by less; see `near_best`."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A product by its slot, the row of its best picture and that row's exact cosine."""

    slot: int
    row: int
    score: float


def near_best(slots: IntArray, scores: FloatArray, wanted: int) -> IntArray:
    """Return the slots of every product that may be among the `wanted` best, ascending.

    `slots` and `scores` are per row, of shape (n,). float32 scores only select, with a margin;
    exact scores decide afterwards, so that equal pictures rank equally wherever they are
    stored. Fewer than `wanted` slots come back only if the rows hold no more products.
    """
    count = len(scores)
    take = min(count, 2 * wanted + 16)
    while True:
        top = np.arange(count) if take == count else np.argpartition(scores, count - take)[-take:]
        ranked = top[np.argsort(-scores[top], kind="stable")]
        products, firsts = np.unique(slots[ranked], return_index=True)
        if len(products) >= wanted or take == count:
            break
        take = min(count, take * 4)
    if len(products) < wanted:
        return products.astype(np.int64)
    last_wanted = np.partition(firsts, wanted - 1)[wanted - 1]
    threshold = scores[ranked[last_wanted]] - MARGIN
    return np.unique(slots[scores >= threshold]).astype(np.int64)


def exact_scores(vectors: FloatArray, query: FloatArray) -> npt.NDArray[np.float64]:
    """Return float64 cosines of unit rows that do not depend on a row's position.

    BLAS sums a row differently at the end of a block; a pairwise sum per row does not.
    """
    scores: npt.NDArray[np.float64] = (vectors.astype(np.float64) * query).sum(axis=1)
    return scores


def best(candidates: Iterable[Candidate], names: Sequence[str], top_k: int) -> list[Candidate]:
    """Return the `top_k` best, highest score first, equal scores by product id."""
    return heapq.nsmallest(top_k, candidates, key=lambda each: (-each.score, names[each.slot]))
