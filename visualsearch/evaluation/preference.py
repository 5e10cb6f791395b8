"""Preferences: of several things, the one that people call the closest should score highest."""

import numpy as np

from visualsearch.types import FloatArray

_TIE = 1e-6


def agreement(anchor: FloatArray, closer: FloatArray, others: FloatArray) -> float:
    """Return 1 if `closer` is more like `anchor` than every other, 0 if it is not.

    Unit vectors of shapes (dim,), (dim,) and (n, dim). A tie counts as the chance of guessing
    right among the tied. Raises ValueError without others.
    """
    if not len(others):
        raise ValueError("a preference needs something to be compared with")
    best, rest = float(closer @ anchor), others @ anchor
    if float(rest.max()) > best + _TIE:
        return 0.0
    return 1.0 / (1 + int(np.count_nonzero(rest > best - _TIE)))
