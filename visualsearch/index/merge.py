"""Which graphs to rebuild as one, and the rebuilding, in steps: the LSM tree of the graphs.

Rows are inserted list by list, in a few rounds that each take every n-th row. Neighbours then lie
together in memory, so that both building and searching find them in the cache; the rounds keep the
graph as good as one of random order, where one sorted round loses recall
(docs/adr/0010-the-live-index-at-speed.md has the figures).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

from visualsearch.index.arrays import CodeArray, IntArray
from visualsearch.index.graph import DENSE, THIN, Segment
from visualsearch.index.layout import Layout
from visualsearch.index.reduction import Reduction
from visualsearch.index.rows import Rows

DEAD_SHARE = 0.2  # of a graph: above it the rebuild pays for itself and memory stays bounded
FAN_IN = 4  # full thin graphs become one dense one
ROUNDS = 8
UNORDERED = 32  # one of so many rows comes before them
BULK = 2  # graphs' worth of waiting rows: they go straight into a dense one
TAKEN = 2_000  # of them a second, about: what comes faster is left to gather
MOMENT_S = 0.005  # that the writer rests meanwhile, for it has little else to do
P = TypeVar("P")


def to_rebuild(segments: Sequence[Segment], most_rows: int, least_dead: int) -> tuple[Segment, ...]:
    """Return the graphs that should become one now, or none.

    First one with too many dead rows, then the thin ones when there are four that are full, then
    two dense ones of about the same size. No result exceeds `most_rows`.
    """
    worst = max(segments, key=lambda s: s.marked / max(s.added, 1), default=None)
    if worst is not None and worst.marked > max(DEAD_SHARE * worst.added, least_dead):
        return (worst,)
    thin = [s for s in segments if s.shape is THIN and s.free == 0][:FAN_IN]
    if len(thin) == FAN_IN and sum(s.live for s in thin) <= most_rows:
        return tuple(thin)
    dense = sorted((s for s in segments if s.shape is DENSE), key=lambda s: s.live)
    for small, large in pairwise(dense):
        if 2 * small.live >= large.live and small.live + large.live <= most_rows:
            return (small, large)
    return ()


def to_tidy(
    parts: Sequence[P], size: Callable[[P], int], most: float, smaller: float
) -> tuple[P, ...]:
    """Return graphs, or pieces, that should become one when there is nothing else to do, or none.

    The smallest ones, where together they are at most so many times `smaller` than the next one:
    each of them costs a search its entry, and a row is so built in again a few times at most.
    """
    ranked = sorted(parts, key=size)
    total = best = 0
    for place, part in enumerate(ranked):
        if 0 < size(part) <= smaller * total and total + size(part) <= most:
            best = place + 1
        total += size(part)
    return tuple(ranked[:best])


class Backlog:
    """Sees when so many rows wait for a graph that they should become a dense one at once."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen: tuple[float, int] | None = None  # when it was looked at, and how many waited

    def due(self, waiting: int, layout: Layout) -> bool:
        """Return whether to take them now; if not, a moment has passed.

        While they come in faster than they would be taken they are left to become more: one large
        graph costs a search less than several. Whoever brings them may stop for a moment.
        """
        now = self._now()
        slow = False
        if self._seen is None:
            self._seen = now, waiting
        elif now - self._seen[0] >= layout.backlog_s:
            slow = waiting - self._seen[1] <= TAKEN * (now - self._seen[0])
            self._seen = now, waiting
        if waiting >= layout.most_rows or (slow and self.large(waiting, layout)):
            self._seen = None
            return True
        time.sleep(min(MOMENT_S, layout.backlog_s))
        return False

    @staticmethod
    def large(waiting: int, layout: Layout) -> bool:
        """Return whether so many wait that the active graph is left alone: lists come first."""
        return waiting >= BULK * layout.segment_rows


def insertion_order(lists: Sequence[int] | IntArray | CodeArray, seed: int) -> IntArray:
    """Return positions in the order of insertion: rounds of a random part each, list by list.

    A first few come in no order: what links clusters to each other is laid then.
    """
    lists = np.asarray(lists)
    shuffled = np.random.default_rng(seed).permutation(len(lists))
    first, others = np.split(shuffled, [len(shuffled) // UNORDERED])
    rounds = np.array_split(others, min(ROUNDS, max(1, len(others) // 64)))
    sorted_rounds = [part[np.argsort(lists[part], kind="stable")] for part in rounds]
    return np.concatenate([first, *sorted_rounds])


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild is, in rows."""

    done: int
    total: int


class Merge:
    """A dense graph of the rows that were alive when it began, built in steps by one thread."""

    def __init__(
        self,
        replaces: Sequence[Segment],
        rows: CodeArray,
        lists_of: Callable[[CodeArray], IntArray],
        storage: Rows,
        number: int,
        threads: int,
        reduction: Reduction | None = None,
    ) -> None:
        self.replaces = tuple(replaces)
        self.result = Segment(storage.dim, max(1, len(rows)), DENSE, number, reduction)
        self.rows = rows[insertion_order(lists_of(rows), number)]
        self._storage = storage
        self._threads = threads
        self._done = 0

    @property
    def finished(self) -> bool:
        """Return whether every row has been taken or left out."""
        return self._done >= len(self.rows)

    @property
    def progress(self) -> Progress:
        """Return how far it is."""
        return Progress(self._done, len(self.rows))

    def step(self, count: int) -> None:
        """Insert the next rows; those that died meanwhile are left out."""
        rows = self.rows[self._done : self._done + count].astype(np.int64)
        rows = rows[self._storage.alive[rows]]
        if len(rows):
            self.result.add(rows, self._storage.unit(rows), self._threads)
        self._done += count  # last: rows of a step that failed are tried again
