"""HNSW graphs over the rows: the one file that knows hnswlib and its quirks.

- `resize_index` under a search crashes the process: a graph has a fixed capacity, and when it is
  full the next one is opened.
- Updating or reviving a label loses recall or rows: every label is a row id, used once.
- `set_ef` is shared by all searching threads: it is never called. A search asks for k = ef
  results, for hnswlib walks with max(ef, k).
- k above the rows it can reach raises, and so, about once in 8,000 searches, does a search
  beside an insert: k is clamped, the search is repeated once, and then the caller must scan.
- A Python filter costs one GIL round trip per visited node: none is used, the caller masks.
- Threads: adding and marking are one thread's; searching is anybody's, beside it.
"""

from typing import Any

import numpy as np

from visualsearch.index.arrays import IntArray
from visualsearch.types import FloatArray

LINKS = 16
BUILD_EF = 100
CAPACITY = 50_000


class Segment:
    """One graph of fixed capacity over the rows first..last, both included."""

    def __init__(self, dim: int, capacity: int, seed: int) -> None:
        import hnswlib

        self.capacity = capacity
        self.first = -1
        self.last = -1
        self.added = 0
        self.marked = 0
        # Inner product on unit vectors: "cosine" would copy and normalise every row again.
        self._graph: Any = hnswlib.Index(space="ip", dim=dim)
        self._graph.init_index(
            max_elements=capacity, M=LINKS, ef_construction=BUILD_EF, random_seed=seed
        )
        self._graph.set_num_threads(1)

    @property
    def free(self) -> int:
        """Return how many more rows fit."""
        return self.capacity - self.added

    def add(self, rows: IntArray, vectors: FloatArray) -> None:
        """Insert rows, ascending and above all former ones; at most `free` of them."""
        if self.first < 0:
            self.first = int(rows[0])
        self.last = int(rows[-1])
        try:
            self._graph.add_items(vectors, rows, num_threads=1)
        finally:  # a failed call may have added some; adding those again is harmless
            self.added = int(self._graph.get_current_count())

    def mark(self, row: int) -> None:
        """Leave a row out of later results; it goes on carrying paths."""
        self._graph.mark_deleted(row)
        self.marked += 1

    def search(self, vector: FloatArray, ef: int) -> tuple[IntArray, FloatArray] | None:
        """Return up to `ef` near rows and their cosines, or None if hnswlib failed twice."""
        for _ in range(2):
            wanted = min(ef, self.added - self.marked)
            if wanted <= 0:
                return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
            try:
                labels, distances = self._graph.knn_query(vector, k=wanted, num_threads=1)
            except RuntimeError:
                continue
            return labels[0].astype(np.int64), np.float32(1.0) - distances[0]
        return None


class Graph:
    """The segments of one index, in the order of their rows."""

    def __init__(self, dim: int, *, capacity: int = CAPACITY, seed: int = 100) -> None:
        self.segments: tuple[Segment, ...] = ()
        self._dim = dim
        self._capacity = capacity
        self._seed = seed

    @property
    def rows(self) -> int:
        """Return how many rows the graphs hold, marked ones included."""
        return sum(segment.added for segment in self.segments)

    @property
    def marked(self) -> int:
        """Return how many rows are marked as deleted."""
        return sum(segment.marked for segment in self.segments)

    def add(self, rows: IntArray, vectors: FloatArray) -> None:
        """Insert rows, ascending and above all former ones, opening segments as they fill."""
        begin = 0
        while begin < len(rows):
            if not self.segments or self.segments[-1].free == 0:
                opened = Segment(self._dim, self._capacity, self._seed + len(self.segments))
                self.segments = (*self.segments, opened)
            active = self.segments[-1]
            stop = begin + active.free
            active.add(rows[begin:stop], vectors[begin:stop])
            begin = min(stop, len(rows))

    def mark(self, row: int) -> None:
        """Mark a row that was added and has not been marked before."""
        for segment in self.segments:
            if segment.first <= row <= segment.last:
                segment.mark(row)
                return
