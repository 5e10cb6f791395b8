"""Ranking metrics of one query, from the ranked products and the relevance grades.

`ranked` are distinct product ids, best first; `grades` the relevance of the relevant ones,
above 0 (1 for binary relevance). Every metric lies between 0 and 1.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Grades = Mapping[str, float]
Gains = npt.NDArray[np.float64]


def checked(ranked: Sequence[str], grades: Grades) -> None:
    """Raise ValueError for a product shown twice, no relevant ones, or a grade not above 0."""
    if len(set(ranked)) != len(ranked):
        raise ValueError("a product is ranked twice")
    if not grades:
        raise ValueError("no product is relevant")
    if bad := [name for name, grade in grades.items() if not 0 < grade < float("inf")]:
        raise ValueError(f"the grade of {bad[0]!r} is not a number above 0")


def recall(ranked: Sequence[str], grades: Grades, k: int) -> float:
    """Return the share of the relevant products among the first k."""
    return _found(ranked, grades, k) / len(grades)


def precision(ranked: Sequence[str], grades: Grades, k: int) -> float:
    """Return the share of relevant products among the first k; a missing product is a miss."""
    return _found(ranked, grades, k) / k


def reciprocal_rank(ranked: Sequence[str], grades: Grades) -> float:
    """Return 1 / rank of the first relevant product; 0 if none was shown."""
    return next((1.0 / rank for rank, name in enumerate(ranked, 1) if name in grades), 0.0)


def average_precision(ranked: Sequence[str], grades: Grades, k: int) -> float:
    """Return the sum of precisions at relevant ranks up to k, over min(k, relevant products)."""
    hits = np.array([name in grades for name in ranked[:k]], dtype=np.float64)
    if not len(hits):
        return 0.0
    precisions = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((precisions * hits).sum() / min(k, len(grades)))


def ndcg(ranked: Sequence[str], grades: Grades, k: int) -> float:
    """Return the discounted cumulative gain of the first k over that of the ideal order.

    The gain of a grade g is 2^g - 1: with binary relevance, 1 for each relevant product.
    """
    gained = np.array([grades.get(name, 0.0) for name in ranked[:k]])
    best = np.sort(np.fromiter(grades.values(), np.float64))[::-1][:k]
    # Large grades must not overflow; the quotient is the same.
    top = float(best[0])
    return _discounted(gained, top) / _discounted(best, top)


def _discounted(grades: Gains, top: float) -> float:
    gains = np.exp2(grades - top) - np.exp2(-top)
    return float((gains / np.log2(np.arange(2, len(grades) + 2))).sum())


def _found(ranked: Sequence[str], grades: Grades, k: int) -> int:
    return sum(name in grades for name in ranked[:k])


def scores(
    ranked: Sequence[str], grades: Grades, ks: Sequence[int], shown: int
) -> dict[str, float]:
    """Return every metric of one query at each of `ks`, and its precision at `shown`.

    `shown` is how many products the query shows. MRR and mAP are at the largest of `ks` and
    `shown`. Raises ValueError as `checked` does, and for a k below 1.
    """
    checked(ranked, grades)
    if shown < 1 or min(ks, default=1) < 1:
        raise ValueError("k must be at least 1")
    found: dict[str, float] = {}
    for k in ks:
        found[f"recall@{k}"] = recall(ranked, grades, k)
        found[f"precision@{k}"] = precision(ranked, grades, k)
        found[f"ndcg@{k}"] = ndcg(ranked, grades, k)
    deepest = max([*ks, shown])
    found["precision@shown"] = precision(ranked, grades, shown)
    found["mrr"] = reciprocal_rank(ranked[:deepest], grades)
    found["map"] = average_precision(ranked, grades, deepest)
    return found
