"""Maximal marginal relevance (MMR): each next hit is near the query and unlike earlier hits."""

import numpy as np
import numpy.typing as npt

from visualsearch.types import FloatArray


def mmr(
    scores: npt.NDArray[np.floating], vectors: FloatArray, wanted: int, diversity: float
) -> list[int]:
    """Return the indexes of `wanted` candidates (all, if there are fewer), in their new order.

    `scores` are the candidates' cosines with the query, best first, `vectors` their unit vectors,
    of shape (n, dim). The first stays first. Each next one maximizes
    `(1 - diversity) * score - diversity * similarity`, where similarity is the greatest to the
    chosen ones. Both are scaled to 0..1 over the candidates, because cosines between words and
    images are several times smaller than those between images.
    A diversity of 0 keeps the order; 1 ignores the scores after the first. (λ = 1 - diversity.)
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
        place = int(marginal.argmax())  # ties: the nearest to the query
        chosen.append(place)
        left[place] = False
    return chosen


def _scaled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    low, high = values.min(), values.max()
    scaled: npt.NDArray[np.float64] = (values - low) / max(high - low, 1e-9)
    return scaled


def _range(vectors: FloatArray) -> tuple[float, float]:
    """Return the lowest similarity to the first candidate, and its distance from 1."""
    low = float((vectors @ vectors[0]).min())
    return low, max(1.0 - low, 1e-9)
