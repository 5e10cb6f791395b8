"""Which engine is said to answer, and when the graphs took over."""

import time
from typing import Any

import pytest

from streams.serving import ENGINES, Served, Serving, serving
from tests.snapshot_parts import fresh_metrics, value
from visualsearch.index.state import IndexStats


def stats(rows: int, fresh_rows: int, segments: int, pieces: int) -> IndexStats:
    """Return the counts that matter."""
    others: dict[str, Any] = {"products": rows, "vectors": rows, "known_products": rows,
                              "dead_ratio": 0.0, "merged_rows": 0, "merging_rows": 0}  # fmt: skip
    return IndexStats(rows=rows, fresh_rows=fresh_rows, segments=segments, pieces=pieces, **others)


@pytest.mark.parametrize(
    ("found", "engine"),
    [
        (stats(0, 0, 0, 0), "exact"),
        (stats(100, 100, 0, 0), "exact"),
        (stats(100, 100, 0, 1), "ivfpq"),
        (stats(1000, 900, 1, 1), "ivfpq"),  # the first rows after a restore are in a graph
        (stats(1000, 500, 1, 1), "hnsw"),
        (stats(1000, 0, 3, 0), "hnsw"),
    ],
)
def test_who_serves(found: IndexStats, engine: Serving) -> None:
    """Graphs do once they hold most of the rows; one engine at a time is said to."""
    assert serving(found) == engine
    metrics = fresh_metrics()
    Served(metrics, None).update(found)
    told = {each: value(metrics, "index_serving", engine=each) for each in ENGINES}
    assert told == {each: float(each == engine) for each in ENGINES}


def test_the_swap_is_timed_once_and_only_after_a_restore() -> None:
    """From the restored index to the graphs."""
    metrics = fresh_metrics()
    served = Served(metrics, time.monotonic() - 5.0)
    served.update(stats(1000, 1000, 0, 1))
    assert value(metrics, "restore_seconds", step="swap") == 0
    served.update(stats(1000, 0, 1, 1))
    taken_s = value(metrics, "restore_seconds", step="swap")
    assert 5.0 <= taken_s < 60.0
    served.update(stats(1000, 0, 1, 1))
    assert value(metrics, "restore_seconds", step="swap") == taken_s
    empty = fresh_metrics()
    Served(empty, None).update(stats(1000, 0, 1, 1))
    assert value(empty, "restore_seconds", step="swap") == 0
