"""Measure wall time and CPU time: machines are shared."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from streams.tools.bench.clustered import IntArray
from visualsearch.types import FloatArray

T = TypeVar("T")
WARM_UP = 20  # searches that are not counted


@dataclass(frozen=True, slots=True)
class Durations:
    """Wall seconds, and CPU seconds of the process."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Durations:
    """Return what the work took; CPU time is of the whole process, its other threads included."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Durations(time.perf_counter() - wall, time.process_time() - cpu)


@dataclass(slots=True)
class TimedSearches:
    """Single searches: wall and thread CPU milliseconds, and the ids found."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    found: list[IntArray] = field(default_factory=list)

    def add(self, search: Callable[[], T], ids: Callable[[T], IntArray]) -> T:
        """Time one search; reading its ids is not timed."""
        wall, cpu = time.perf_counter(), time.thread_time()
        raw = search()
        wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
        self.wall.append(1e3 * wall)
        self.cpu.append(1e3 * cpu)
        self.found.append(ids(raw))
        return raw

    def figures(self) -> dict[str, float]:
        """Return mean, p50 and p99 of both clocks, in milliseconds."""
        return {
            "mean_ms": float(np.mean(self.wall)),
            "p50_ms": percentile(self.wall, 50),
            "p99_ms": percentile(self.wall, 99),
            "cpu_ms": float(np.mean(self.cpu)),
            "cpu_p50_ms": percentile(self.cpu, 50),
            "cpu_p99_ms": percentile(self.cpu, 99),
        }


Side = Callable[[FloatArray], TimedSearches]  # searches all queries


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile."""
    return float(np.percentile(values, share))


def time_searches(
    search: Callable[[FloatArray], T], ids: Callable[[T], IntArray], queries: Iterable[FloatArray]
) -> TimedSearches:
    """Search once for each query."""
    result = TimedSearches()
    for query in queries:
        result.add(lambda query=query: search(query), ids)  # type: ignore[misc]
    return result


def run_alternating(
    sides: Mapping[str, Side], queries: FloatArray, rounds: int
) -> dict[str, list[TimedSearches]]:
    """Time the sides in alternating rounds: what slows the machine down slows both."""
    for side in sides.values():
        side(queries[:WARM_UP])
    results: dict[str, list[TimedSearches]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            results[name].append(side(queries))
    return results


def ratio(
    ours: Sequence[TimedSearches], theirs: Sequence[TimedSearches], clock: str = "wall"
) -> float:
    """Return our throughput over theirs, above 1 if we are faster: the median of the rounds."""
    rounds = [
        np.mean(getattr(other, clock)) / np.mean(getattr(one, clock))
        for one, other in zip(ours, theirs, strict=True)
    ]
    return float(np.median(rounds))


def pooled(rounds: Sequence[TimedSearches]) -> TimedSearches:
    """Return the times of all rounds, and the ids of the first one."""
    every = TimedSearches(found=rounds[0].found)
    for one in rounds:
        every.wall += one.wall
        every.cpu += one.cpu
    return every
