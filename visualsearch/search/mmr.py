"""Maximal marginal relevance: each next hit is near the query and unlike those before it."""

import numpy as np
import numpy.typing as npt

from visualsearch.types import FloatArray


def mmr(
    scores: npt.NDArray[np.floating], vectors: FloatArray, wanted: int, diversity: float
) -> list[int]:
    """Return the places of `wanted` candidates (all, if there are fewer), in their new order.

    `scores` are the candidates' cosines with the query, best first, `vectors` their unit vectors,
    of shape (n, dim). The first stays first; then whoever has the most of
    `(1 - diversity) * score - diversity * similarity`, where similarity is the greatest to those
    chosen. Both are scaled to 0..1 over the candidates: cosines of words with images are several
    times smaller than those among images, and would otherwise count for nothing.
    At 0 nothing changes, at 1 only the first is near the query. (λ = 1 - diversity.)
    """
    count = len(scores)
    if not count:
        return []
    relevance = _scaled(np.asarray(scores, dtype=np.float64))
    similarity = np.full(count, -np.inf)
    low, spread = _range(vectors)
    chosen = [0]
    left = np.ones(count, dtype=np.bool_)
    left[0] = False
    while len(chosen) < min(wanted, count):
        similarity = np.maximum(similarity, (vectors @ vectors[chosen[-1]] - low) / spread)
        marginal = (1 - diversity) * relevance - diversity * similarity
        marginal[~left] = -np.inf
        place = int(marginal.argmax())  # of equals the nearest to the query
        chosen.append(place)
        left[place] = False
    return chosen


def _scaled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    low, high = values.min(), values.max()
    scaled: npt.NDArray[np.float64] = (values - low) / max(high - low, 1e-9)
    return scaled


def _range(vectors: FloatArray) -> tuple[float, float]:
    """Return the least similarity to the first candidate, and how far it is to 1."""
    low = float((vectors @ vectors[0]).min())
    return low, max(1.0 - low, 1e-9)
