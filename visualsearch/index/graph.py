"""One HNSW graph over rows: the one file that knows hnswlib and its quirks.

- `resize_index` under a search crashes the process: a graph has a fixed capacity.
- Updating or reviving a label loses recall or rows: a label is a row id, used once in a graph.
- `set_ef` is shared by all searching threads: it is never called. A search asks for k = ef
  results, for hnswlib walks with max(ef, k).
- k above the rows it can reach raises, and so, about once in 8,000 searches, does a search
  beside an insert: k is clamped, the search is repeated once, and then the caller must scan.
- A Python filter costs one GIL round trip per visited node: none is used, the caller masks.
- Threads: a mark beside an insert may crash it if no other row is left, so while a graph takes rows
  both are one thread's; later marking is anybody's, under a lock. Searching is anybody's, always.
- A search reads the entry point and then the highest level, and an insert that raises the level
  writes them in this order: a search in between walks links that its entry point does not have,
  and may crash the process. So the first row gets a level that no other reaches: `first_on_top`.
- Batches of up to four rows per thread are added by one thread: steps should be larger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visualsearch.index.arrays import CodeArray, IntArray
from visualsearch.index.pages import huge_pages
from visualsearch.index.reduction import Reduction
from visualsearch.types import FloatArray


@dataclass(frozen=True, slots=True)
class Shape:
    """How dense a graph is: links per node (M) and the beam of its construction."""

    links: int
    build_ef: int


NO_GRAPH = -1  # no number of any
THIN = Shape(links=16, build_ef=100)  # takes 2,500 rows per core and second, for fresh rows
DENSE = Shape(links=32, build_ef=140)  # half the beam for the same recall, for merged rows


MODULUS, MULTIPLIER = 2**31 - 1, 16_807  # of libstdc++'s `default_random_engine`
TOPS = 4  # seeds that differ


def first_on_top(number: int) -> int:
    """Return a seed with which the first row gets a level that hardly any other reaches.

    hnswlib's level is -log(u) / log(M), where u is about the second number of the generator, of
    the MODULUS that it counts to: here one of the least. With M 16 and 32 the level is 6 or 7 and
    5 or 6: no lower one than one row in 16 and in 32 million reaches. With another library for
    C++ it is any seed.
    """
    inverse = pow(MULTIPLIER, -1, MODULUS)
    return (2 + number % TOPS) * inverse * inverse % MODULUS


class Segment:
    """A graph of fixed capacity and a number of its own, over the row ids in `rows`.

    With a `reduction` it holds projections: what it finds nearest is so about.
    """

    def __init__(
        self,
        dim: int,
        capacity: int,
        shape: Shape,
        number: int,
        reduction: Reduction | None = None,
        seed: int = 100,
    ) -> None:
        import hnswlib

        self.number = number
        self.capacity = capacity
        self.shape = shape
        self.added = 0
        self.marked = 0
        self._torn = False  # a call has failed half-way
        self._rows: CodeArray = np.empty(capacity, dtype=np.int32)
        self._reduction = reduction
        # Inner product on unit vectors: "cosine" would copy and normalise every row again.
        self._graph: Any = hnswlib.Index(space="ip", dim=reduction.kept if reduction else dim)
        with huge_pages():
            self._graph.init_index(
                max_elements=capacity,
                M=shape.links,
                ef_construction=shape.build_ef,
                random_seed=first_on_top(seed + number),
            )
        self._graph.set_num_threads(1)

    @property
    def free(self) -> int:
        """Return how many more rows fit."""
        return self.capacity - self.added

    @property
    def live(self) -> int:
        """Return how many rows are not marked."""
        return self.added - self.marked

    @property
    def rows(self) -> CodeArray:
        """Return the ids of the rows that are in the graph, marked ones included."""
        return self._rows[: self.added]

    def add(self, rows: IntArray, vectors: FloatArray, threads: int = 1) -> None:
        """Insert rows that were never in it; at most `free` of them.

        After a call that failed, which may have added some, the same rows can be given again.
        """
        if self._torn:
            held = np.isin(rows, self.rows)
            rows, vectors = rows[~held], vectors[~held]
        if self._reduction is not None:
            vectors = self._reduction(vectors)
        try:
            self._graph.add_items(vectors, rows, num_threads=threads)
            self._rows[self.added : self.added + len(rows)] = rows
        except BaseException:
            labels = self._graph.get_ids_list()
            self._rows[: len(labels)] = labels
            self._torn = True
            raise
        finally:
            self.added = int(self._graph.get_current_count())

    def mark(self, row: int) -> None:
        """Leave a row out of later results; it goes on carrying paths."""
        self._graph.mark_deleted(row)
        self.marked += 1

    def search(self, vector: FloatArray, ef: int) -> IntArray | None:
        """Return up to `ef` near rows, the nearest first, or None if hnswlib failed twice."""
        if self._reduction is not None:
            vector = self._reduction(vector)
        for _ in range(2):
            wanted = min(ef, self.live)
            if wanted <= 0:
                return np.empty(0, dtype=np.int64)
            try:
                labels, _ = self._graph.knn_query(vector, k=wanted, num_threads=1)
            except RuntimeError:
                continue
            found: IntArray = labels[0].view(np.int64)  # they come unsigned
            return found
        return None


def leave_out(graphs: Sequence[Segment], rows: Sequence[int], numbers: Sequence[int]) -> None:
    """Mark each row in the graph of its number.

    It takes a microsecond, less than it costs a thread that kills rows if another comes to do it.
    """
    by_number = {graph.number: graph for graph in graphs}
    for row, number in zip(rows, numbers, strict=True):
        by_number[number].mark(row)
