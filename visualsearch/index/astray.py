"""Whether a walk of a graph has missed where the best rows are, as the lists tell.

Clusters are linked to each other by few edges: in a graph of 300,000 rows the beams of two queries
in a hundred ended in a wrong one, in one of a million four, and a wider beam helps late. What the
lists know of their rows says how many are expected to score better than the last one that was
found. If the answer is right, that is about as many as were wanted.
"""

from math import erfc, sqrt

import numpy as np
import numpy.typing as npt

from visualsearch.index.arrays import IntArray
from visualsearch.types import FloatArray

ASTRAY = 5.0  # times the rows wanted: right answers stay below, wrong ones have 8 to 500
RIGHT = 2.0  # and so many are expected at most of right answers,
SURE = 0.98  # but for a few
SPREADS = np.geomspace(0.01, 0.3, 25)
SPREAD = 0.05  # before it was measured

_LEAST, _MOST, _STEP = -4.0, 8.0, 1 / 64  # deviations
_TAIL = np.array([erfc(z / sqrt(2)) / 2 for z in np.arange(_LEAST, _MOST, _STEP)], np.float32)


def better_rows(
    usual: FloatArray, across: FloatArray, sizes: IntArray, last: FloatArray, spread: float
) -> npt.NDArray[np.floating]:
    """Return about how many rows score better than `last`, of its shape.

    The scores of a list's rows lie around its usual one, as a normal distribution does, by `spread`
    times what is left of a row besides its centroid. `usual` has the shape of `last` and then that
    of `across` and of `sizes`: one value a list.
    """
    deviations = (last[..., None] - usual) * (np.float32(1 / (spread * _STEP)) / across)
    deviations -= np.float32(_LEAST / _STEP)
    # "clip" takes the first or the last of the table for what lies beyond it
    tails = _TAIL.take(deviations.astype(np.intp), mode="clip")
    rows: npt.NDArray[np.floating] = tails @ sizes.astype(np.float32)
    return rows


def measured_spread(
    usual: FloatArray, across: FloatArray, sizes: IntArray, last: FloatArray, wanted: int
) -> float:
    """Return the widest spread at which right answers hardly ever look wrong.

    `last` are the true scores of the last rows wanted, of shape (n,); `usual` of shape (n, lists).
    """
    for spread in SPREADS[::-1]:
        expected = better_rows(usual, across, sizes, last, float(spread))
        if np.quantile(expected, SURE) <= RIGHT * wanted:
            return float(spread)
    return float(SPREADS[0])
