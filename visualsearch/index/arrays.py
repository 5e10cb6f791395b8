"""Arrays that grow by doubling, for the small per-row and per-product columns."""

from typing import Any

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
CodeArray = npt.NDArray[np.int32]


def grown(array: npt.NDArray[Any], size: int, fill: float) -> npt.NDArray[Any]:
    """Return `array`, or a copy of at least twice its length whose new cells hold `fill`.

    A reader that holds the former array may go on reading the cells it knew.
    """
    if size <= len(array):
        return array
    larger = np.full(max(size, 2 * len(array), 64), fill, dtype=array.dtype)
    larger[: len(array)] = array
    return larger
