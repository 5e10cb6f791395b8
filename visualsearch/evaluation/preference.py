"""Agreement with human preferences: the item judged closest should have the highest score."""

import numpy as np

from visualsearch.types import FloatArray

_TIE = 1e-6


def agreement(anchor: FloatArray, closer: FloatArray, others: FloatArray) -> float:
    """Return 1 if `closer` is more similar to `anchor` than all others, else 0.

    Unit vectors of shapes (dim,), (dim,) and (n, dim). A tie of k counts 1 / k. Raises ValueError
    without others.
    """
    if not len(others):
        raise ValueError("a preference needs something to be compared with")
    best, rest = float(closer @ anchor), others @ anchor
    if float(rest.max()) > best + _TIE:
        return 0.0
    return 1.0 / (1 + int(np.count_nonzero(rest > best - _TIE)))
