"""The hnswlib wrapper: rows, marks, clamped k, and failures."""

import numpy as np
import pytest

from tests.support.strategies import SCORE_TOLERANCE, clustered
from visualsearch.index.graph import DENSE, THIN, TOPS, Segment, Shape

DIM = 16
VECTORS = clustered(100, DIM, clusters=4, seed=2)


def filled(first: int = 0, capacity: int = 100) -> Segment:
    """Return a graph of all the vectors, whose ids begin at `first`."""
    segment = Segment(DIM, capacity, THIN, 7)
    segment.add(np.arange(100) + first, VECTORS)
    return segment


def test_a_graph_knows_its_rows_and_its_room() -> None:
    """Steps of any size fill it; it is never resized."""
    segment = Segment(DIM, 30, DENSE, 3)
    segment.add(np.array([50, 7]), VECTORS[:2])
    before = segment.rows
    segment.add(np.array([9]), VECTORS[2:3])
    assert (segment.added, segment.free, segment.live, segment.number) == (3, 27, 3, 3)
    assert before.tolist() == [50, 7]
    assert segment.rows.tolist() == [50, 7, 9]
    with pytest.raises((RuntimeError, ValueError)):
        segment.add(np.arange(100, 200), VECTORS)


@pytest.mark.parametrize("shape", [THIN, DENSE])
@pytest.mark.parametrize("number", range(TOPS))
def test_no_row_beside_searches_raises_the_highest_level(shape: Shape, number: int) -> None:
    """A search that reads entry point and level while both change would crash the process."""
    rows = clustered(5_000, DIM, clusters=4, seed=3)
    segment = Segment(DIM, len(rows), shape, number)
    segment.add(np.arange(1), rows[:1])
    first = segment._graph.__getstate__()[0]["max_level"]
    segment.add(np.arange(1, len(rows)), rows[1:])
    state = segment._graph.__getstate__()[0]
    assert state["max_level"] == first >= 5
    assert state["enterpoint_node"] == 0
    levels = np.bincount(state["element_levels"])
    assert 0.8 * len(rows) / shape.links < levels[1:].sum() < 1.2 * len(rows) / shape.links


def test_each_row_finds_itself_and_the_nearest_first() -> None:
    """Labels are row ids."""
    segment = filled(first=1000)
    for row, vector in enumerate(VECTORS):
        rows = segment.search(vector, 10)
        assert rows is not None
        scores = VECTORS[rows - 1000] @ vector
        assert scores[0] == pytest.approx(1.0, abs=SCORE_TOLERANCE)
        assert (np.diff(scores) <= SCORE_TOLERANCE).all()
        assert row + 1000 in rows


def test_marked_rows_are_left_out_and_k_is_clamped_to_the_others() -> None:
    """Hnswlib raises when asked for more than it has: the segment asks for less."""
    segment = filled()
    for row in range(90):
        segment.mark(row)
    assert (segment.marked, segment.live) == (90, 10)
    found = segment.search(VECTORS[0], 1000)
    assert found is not None
    assert sorted(found.tolist()) == list(range(90, 100))


def test_an_empty_segment_finds_nothing() -> None:
    """All rows marked is no error either."""
    segment = Segment(DIM, 10, THIN, 1)
    segment.add(np.arange(2), VECTORS[:2])
    segment.mark(0)
    segment.mark(1)
    found = segment.search(VECTORS[0], 5)
    assert found is not None
    assert len(found) == 0


class Failing:
    """An hnswlib index whose first searches raise, as they may beside an insert."""

    def __init__(self, real: object, failures: int) -> None:
        self.real = real
        self.failures = failures

    def knn_query(self, *args: object, **kwargs: object) -> object:
        """Raise so many times, then answer."""
        if self.failures:
            self.failures -= 1
            raise RuntimeError("Cannot return the results in a contiguous 2D array")
        return self.real.knn_query(*args, **kwargs)


@pytest.mark.parametrize(("failures", "answered"), [(1, True), (2, False)])
def test_a_failed_search_is_repeated_once(failures: int, answered: bool) -> None:
    """A second failure is the caller's to bridge with a scan."""
    segment = filled()
    segment._graph = Failing(segment._graph, failures)
    assert (segment.search(VECTORS[0], 5) is not None) == answered
