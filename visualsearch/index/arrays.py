"""Arrays that grow by doubling, for the small per-row and per-product columns, and a queue."""

from typing import Any

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
CodeArray = npt.NDArray[np.int32]
DoubleArray = npt.NDArray[np.float64]

ABSENT = -1  # the code of no value


def grown(array: npt.NDArray[Any], size: int, fill: float) -> npt.NDArray[Any]:
    """Return `array`, or a copy of at least twice its length whose new cells hold `fill`.

    A reader that holds the former array may go on reading the cells it knew.
    """
    if size <= len(array):
        return array
    larger = np.full(max(size, 2 * len(array), 64), fill, dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def ascending(ids: npt.NDArray[np.integer]) -> IntArray:
    """Return the different ids, ascending; `np.unique` hashes, slowly and with Python's lock."""
    ranked: IntArray = np.sort(ids).astype(np.int64, copy=False)
    repeated = ranked[1:] == ranked[:-1]
    return ranked[np.append(True, ~repeated)] if repeated.any() else ranked


def distinct(slots: npt.NDArray[np.integer]) -> int:
    """Return the number of different slots."""
    seen = np.zeros(int(slots.max()) + 1 if len(slots) else 0, dtype=np.bool_)
    seen[slots] = True
    return int(np.count_nonzero(seen))


class RowQueue:
    """Row ids, first in first out; what `waiting` returned stays as it was."""

    def __init__(self) -> None:
        self._ids: CodeArray = np.empty(1024, dtype=np.int32)
        self._head = 0
        self._tail = 0
        self.popped = 0  # so far: the place of the oldest one that waits

    def __len__(self) -> int:
        return self._tail - self._head

    def push(self, rows: npt.ArrayLike) -> None:
        """Append row ids."""
        added = np.asarray(rows, dtype=np.int32)
        if self._tail + len(added) > len(self._ids):
            waiting = self.waiting()
            self._ids = np.empty(max(1024, 2 * (len(waiting) + len(added))), dtype=np.int32)
            self._ids[: len(waiting)] = waiting
            self._head, self._tail = 0, len(waiting)
        self._ids[self._tail : self._tail + len(added)] = added
        self._tail += len(added)

    def waiting(self) -> CodeArray:
        """Return what waits, oldest first, as a view that later pushes do not change."""
        return self._ids[self._head : self._tail]

    def pop(self, count: int) -> None:
        """Drop the oldest ones."""
        self._head += count
        self.popped += count
