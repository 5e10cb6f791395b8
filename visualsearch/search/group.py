"""Grouping of scored rows by product: a product's score is that of its best image."""

from collections.abc import Sequence

import numpy as np

from visualsearch.index.arrays import DoubleArray, IntArray, ascending


def nth_best(scores: DoubleArray, n: int) -> float:
    """Return the n-th highest of at least n scores; 1 is the highest."""
    place = len(scores) - n
    return float(np.partition(scores, place)[place])


def near_best(slots: IntArray, scores: DoubleArray, wanted: int) -> IntArray:
    """Return the slots of the `wanted` best products, and of those that tie with the last.

    `slots` and `scores` are per row, of shape (n,); the slots come back ascending. Fewer than
    `wanted` come back only if the rows hold no more products.
    """
    count = len(scores)
    if count > wanted:  # the common case: each row is of another product
        top = np.argpartition(scores, count - wanted)[-wanted:]
        products = ascending(slots[top])
        if len(products) == wanted:
            tied = scores >= scores[top].min()
            return products if np.count_nonzero(tied) == wanted else ascending(slots[tied])
    take = min(count, 2 * wanted + 16)
    while True:
        top = np.arange(count) if take == count else np.argpartition(scores, count - take)[-take:]
        ranked = top[np.argsort(-scores[top], kind="stable")]
        products, firsts = np.unique(slots[ranked], return_index=True)
        if len(products) >= wanted or take == count:
            break
        take = min(count, take * 4)
    if len(products) < wanted:
        return np.asarray(products, dtype=np.int64)
    last_wanted = np.partition(firsts, wanted - 1)[wanted - 1]
    return ascending(slots[scores >= scores[ranked[last_wanted]]])


def best(slots: IntArray, scores: DoubleArray, names: Sequence[str], top_k: int) -> IntArray:
    """Return the indexes of the `top_k` best, highest score first, ties by product id."""
    places = np.arange(len(scores))
    if len(scores) > top_k:
        places = np.flatnonzero(scores >= nth_best(scores, top_k))
    ranked = places[np.argsort(-scores[places], kind="stable")]
    falling = scores[ranked]
    if (falling[1:] == falling[:-1]).any():  # ties, rare among real images
        keys = zip((-falling).tolist(), slots[ranked].tolist(), ranked.tolist(), strict=True)
        tied = sorted((score, names[slot], place) for score, slot, place in keys)
        ranked = np.array([place for _, _, place in tied], dtype=np.int64)
    return ranked[:top_k]
