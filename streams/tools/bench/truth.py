"""Exact answers, and the share of them that was found."""

from collections.abc import Sequence

import numpy as np

from streams.tools.bench.clustered import IntArray
from visualsearch.types import FloatArray

BLOCK = 8_192


def nearest(
    vectors: FloatArray, queries: FloatArray, k: int, rows: IntArray | None = None
) -> tuple[IntArray, FloatArray]:
    """Return the ids and cosines of the k best rows of each query, best first.

    `rows` restricts the search to these rows. Both are of shape (q, min(k, rows)).
    """
    count = len(vectors) if rows is None else len(rows)
    ids = np.empty((len(queries), 0), dtype=np.int64)
    scores = np.empty((len(queries), 0), dtype=np.float32)
    for begin in range(0, count, BLOCK):
        block = (
            np.arange(begin, min(count, begin + BLOCK)) if rows is None else rows[begin:][:BLOCK]
        )
        scored = queries @ vectors[block].T
        if len(block) > k:
            top = np.argpartition(-scored, k - 1, axis=1)[:, :k]
            scored, block_ids = np.take_along_axis(scored, top, axis=1), block[top]
        else:
            block_ids = np.broadcast_to(block, scored.shape)
        ids, scores = best(
            np.concatenate([ids, block_ids], axis=1), np.concatenate([scores, scored], axis=1), k
        )
    return ids, scores


def best(ids: IntArray, scores: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """Return the k best of each row, best first."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1)


def recall(found: Sequence[IntArray], truth: IntArray, k: int) -> float:
    """Return the mean share of the k best rows that was found."""
    wanted = truth[:, :k]
    shares = [
        len(np.intersect1d(ids[:k], best_ids)) / len(best_ids)
        for ids, best_ids in zip(found, wanted, strict=True)
    ]
    return float(np.mean(shares))
