"""Live recall: a sampled share of the queries, answered again exactly, in the background."""

import math
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from visualsearch.index.arrays import IntArray
from visualsearch.index.find import Finder
from visualsearch.index.live import LiveIndex
from visualsearch.index.view import View
from visualsearch.types import Filters, FloatArray, Query

MOST_WAITING = 8  # exact answers cost up to a thousand times the query: others are not sampled


@dataclass(frozen=True, slots=True)
class Probed:
    """The recall of one answer: the share of the exact answer's products that it had."""

    top_k: int
    recall: float


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    query: Query
    vector: FloatArray
    version: int
    slots: IntArray


class Probe:
    """Keeps a few answers to check; one thread checks them."""

    def __init__(
        self,
        share: float,
        core: float = math.inf,
        *,
        draw: Callable[[], float] = random.random,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Sample a share of the answers; `core` is the part of a core's time to spend on them."""
        self._share = share
        self._core = core
        self._draw = draw
        self._now = now
        self._resume = -math.inf  # what was spent has been saved by then
        self._waiting: deque[_Question] = deque()

    def offer(self, query: Query, vector: FloatArray, version: int, slots: IntArray) -> bool:
        """Take an answer, by chance, to be checked; return whether it was."""
        taken = bool(len(slots)) and self._draw() < self._share and self._now() >= self._resume
        if taken and len(self._waiting) < MOST_WAITING:
            self._waiting.append(_Question(query, vector, version, slots))
        return taken

    def answer(
        self,
        index: LiveIndex,
        finder: Finder,
        view: Callable[[Filters], View],
        tell: Callable[[Probed], object],
    ) -> int:
        """Check one answer; return how many were checked.

        Products that have changed since are left out on both sides: the answer may have been
        right about what they were.
        """
        if not self._waiting:
            return 0
        asked = self._waiting.popleft()
        now = view(asked.query.filters)
        if not now.matches:
            return 1
        begin = self._now()
        exact = finder.exact(now, asked.vector, min(asked.query.top_k, now.matches))
        self._resume = self._now() + (self._now() - begin) / self._core
        ranked = exact.slots[np.argsort(-exact.scores, kind="stable")][: asked.query.top_k]
        had, due = (
            [slot for slot in slots.tolist() if not index.changed_since(slot, asked.version)]
            for slots in (asked.slots, ranked)
        )
        due = due[: len(had)]  # others have moved up to the places of those that changed
        if due:
            recall = len(set(due).intersection(had)) / len(due)
            tell(Probed(asked.query.top_k, recall))
        return 1
