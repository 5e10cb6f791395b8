"""More candidates than are wanted → an answer without near-duplicates, or of differing products."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from visualsearch.search.duplicates import group_duplicates
from visualsearch.search.mmr import mmr
from visualsearch.types import Answer, FloatArray, Hit

FetchHits = Callable[[int], Answer]
"""The best products of a search, as many as asked for, if so many match."""
HitVectors = Callable[[Sequence[Hit]], FloatArray]
"""Unit rows of shape (hits, dim): each hit's best image."""

POOL = 4  # candidates of each product wanted, that MMR chooses among
LEAST_POOL = 40


def diversify(
    find: FetchHits,
    pictures: HitVectors,
    top_k: int,
    *,
    diversity: float = 0.0,
    collapse: bool = False,
) -> Answer:
    """Return `top_k` products, or as many as there are (with `collapse`: groups of products).

    It asks for more, twice as many each time, until enough groups were met or nothing is left.
    With `collapse` each hit is the best of its group and names the others that were met as its
    `variants`; their number grows with what was looked at, so a group may have more of them.
    With `diversity` the hits are in the order of MMR, not of their scores.
    """
    pool = max(POOL * top_k, LEAST_POOL) if diversity else top_k
    fetch = max(POOL * top_k, LEAST_POOL) if diversity or collapse else top_k
    while True:
        answer = find(fetch)
        vectors = pictures(answer.hits)
        groups = (
            group_duplicates(answer.hits, vectors, pool)
            if collapse
            else [[place] for place in range(min(pool, len(answer.hits)))]
        )
        if len(groups) >= top_k or len(answer.hits) < fetch:
            break
        fetch *= 2
    heads = np.array([group[0] for group in groups], dtype=np.int64)
    order = list(range(min(top_k, len(groups))))
    if diversity:
        scores = np.array([answer.hits[head].score for head in heads])
        order = mmr(scores, vectors[heads], top_k, diversity)
    hits = [_with_variants(answer.hits, groups[place]) for place in order]
    return replace(answer, hits=tuple(hits))


def _with_variants(hits: Sequence[Hit], group: Sequence[int]) -> Hit:
    head, *others = (hits[place] for place in group)
    return msgspec.structs.replace(head, variants=tuple(others)) if others else head
