"""Searches while another thread applies records."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Self

import numpy as np

from streams.tools.bench import ours
from streams.tools.bench.clock import TimedSearches, percentile
from streams.tools.bench.clustered import IntArray
from streams.tools.bench.truth import best
from visualsearch.engine import Engine
from visualsearch.types import FloatArray, Query, Record

STATS_EVERY = 5  # searches between two reads of the number of fresh rows


class Feeder:
    """Applies batches of records in a thread of its own: at a pace, or as fast as it may."""

    def __init__(
        self,
        engine: Engine,
        batches: Sequence[Sequence[Record]],
        *,
        pause_s: float = 0.0,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self.done = 0  # batches that are applied
        self.inside_s = 0.0  # seconds in `apply`
        self.cpu_s = 0.0  # of this thread's core
        self.wall_s = 0.0
        self.behind_s = 0.0  # the most that a batch was late, at a pace
        self._begun = 0.0
        self._engine = engine
        self._batches = batches
        self._pause_s = pause_s
        self._may_go_on = may_go_on
        self._stop = Event()
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, name="feeder", daemon=True)

    @property
    def running(self) -> bool:
        """Return whether it still applies."""
        return self._thread.is_alive()

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since its start."""
        return time.perf_counter() - self._begun

    @property
    def products(self) -> int:
        """Return how many products are applied, at two records each."""
        return sum(len(batch) // 2 for batch in self._batches[: self.done])

    def __enter__(self) -> Self:
        self._begun = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            self._feed()
        except Exception as error:
            self._error = error

    def _feed(self) -> None:
        begin, cpu = time.perf_counter(), time.thread_time()
        for number, batch in enumerate(self._batches):
            due = begin + number * self._pause_s
            self.behind_s = max(self.behind_s, time.perf_counter() - due if self._pause_s else 0.0)
            while (left := due - time.perf_counter()) > 0 and not self._stop.wait(left):
                pass
            while not self._may_go_on() and not self._stop.wait(0.01):
                pass
            if self._stop.is_set():
                break
            start = time.perf_counter()
            self._engine.apply(batch)
            self.inside_s += time.perf_counter() - start
            self.done += 1
        self.wall_s = time.perf_counter() - begin
        self.cpu_s = time.thread_time() - cpu


@dataclass(slots=True)
class WatchedSearches:
    """Searches beside a feeder, and the state of the index when each began."""

    searched: TimedSearches = field(default_factory=TimedSearches)
    queries: list[int] = field(default_factory=list)  # which query
    batches: list[int] = field(default_factory=list)  # applied when it began
    fresh: list[int] = field(default_factory=list)

    def with_fresh_rows(self, least_fresh: int) -> "WatchedSearches":
        """Return the searches that began with at least so many fresh rows."""
        kept = [n for n, fresh in enumerate(self.fresh) if fresh >= least_fresh]
        took = self.searched
        return WatchedSearches(
            TimedSearches(
                [took.wall[n] for n in kept],
                [took.cpu[n] for n in kept],
                [took.found[n] for n in kept],
            ),
            [self.queries[n] for n in kept],
            [self.batches[n] for n in kept],
            [self.fresh[n] for n in kept],
        )


def watch(
    engine: Engine,
    queries: FloatArray,
    go_on: Callable[[], bool],
    batches: Callable[[], int],
    k: int,
    target: float,
) -> WatchedSearches:
    """Search again and again, in this thread, while `go_on` says so."""
    watched = WatchedSearches()
    fresh = 0
    while go_on():
        n = len(watched.queries)
        if n % STATS_EVERY == 0:
            fresh = engine.stats().fresh_rows
        which = n % len(queries)
        watched.queries.append(which)
        watched.batches.append(batches())
        watched.fresh.append(fresh)
        query = Query(queries[which], top_k=k, recall_target=target)
        watched.searched.add(lambda query=query: engine.search(query), ours.ids_of)  # type: ignore[misc]
    return watched


@dataclass(frozen=True, slots=True, eq=False)
class GrowingTruth:
    """Exact answers while rows are added: those of the old rows, and scores of the new ones."""

    ids: IntArray  # of before, best first: (queries, k)
    scores: FloatArray
    new: FloatArray  # cosine of each new row: (queries, rows)
    first: int  # number of the first new row

    def recall(self, which: int, added: int, found: IntArray, k: int) -> float:
        """Return the recall of an answer that began when `added` new rows were there.

        Rows added during the search may be in the answer or not: they do not count.
        """
        known = found[found < self.first + added]
        wanted = k - (len(found) - len(known))
        if wanted <= 0:
            return 1.0
        ids = np.concatenate([self.ids[which], np.arange(self.first, self.first + added)])
        scores = np.concatenate([self.scores[which], self.new[which, :added]])
        truth, _ = best(ids[None], scores[None], wanted)
        return len(np.intersect1d(truth[0], known)) / wanted

    def mean_recall(
        self, watched: WatchedSearches, rows_per_batch: int, k: int, most: int = 400
    ) -> float:
        """Return the mean over the searches, or over so many of them."""
        return (
            float(
                np.mean(
                    [
                        self.recall(
                            watched.queries[n],
                            min(watched.batches[n] * rows_per_batch, self.new.shape[1]),
                            watched.searched.found[n],
                            k,
                        )
                        for n in sample_searches(len(watched.queries), most)
                    ]
                )
            )
            if watched.queries
            else float("nan")
        )


def sample_searches(count: int, most: int = 400) -> list[int]:
    """Return a random sample of the numbers of so many searches.

    Queries repeat in a cycle: a regular sample, such as every 220th, would cover few of them.
    """
    looked: list[int] = np.random.default_rng(count).permutation(count)[:most].tolist()
    return looked


def p99(watched: WatchedSearches) -> float:
    """Return the 99th percentile in milliseconds; NaN without a search."""
    return percentile(watched.searched.wall, 99) if watched.searched.wall else float("nan")
