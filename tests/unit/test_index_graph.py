"""The hnswlib wrapper: growth by segments, marks, clamped k, and failures."""

import numpy as np
import pytest

from tests.strategies import clustered
from visualsearch.index.graph import Graph, Segment

DIM = 16
VECTORS = clustered(100, DIM, clusters=4, seed=2)


def test_segments_open_as_they_fill_and_none_is_ever_resized() -> None:
    """One call may fill several graphs; each knows which rows it holds."""
    graph = Graph(DIM, capacity=30)
    graph.add(np.arange(0, 20), VECTORS[:20])
    graph.add(np.arange(22, 100), VECTORS[22:])
    assert [(s.first, s.last, s.added) for s in graph.segments] == [
        (0, 31, 30),
        (32, 61, 30),
        (62, 91, 30),
        (92, 99, 8),
    ]
    assert graph.rows == 98


def test_each_row_finds_itself_with_the_right_score() -> None:
    """Labels are row ids and scores are cosines."""
    segment = Segment(DIM, 100, seed=1)
    segment.add(np.arange(100) + 1000, VECTORS)
    for row, vector in enumerate(VECTORS):
        found = segment.search(vector, 10)
        assert found is not None
        rows, scores = found
        assert scores[0] == pytest.approx(1.0, abs=1e-5)
        assert np.allclose(scores, VECTORS[rows - 1000] @ vector, atol=1e-5)
        assert row + 1000 in rows


def test_marked_rows_are_left_out_and_k_is_clamped_to_the_others() -> None:
    """Hnswlib raises when asked for more than it has: the segment asks for less."""
    graph = Graph(DIM, capacity=100)
    graph.add(np.arange(100), VECTORS)
    for row in range(90):
        graph.mark(row)
    assert graph.marked == 90
    found = graph.segments[0].search(VECTORS[0], 1000)
    assert found is not None
    assert sorted(found[0].tolist()) == list(range(90, 100))


def test_an_empty_segment_finds_nothing() -> None:
    """All rows marked is no error either."""
    segment = Segment(DIM, 10, seed=1)
    segment.add(np.arange(2), VECTORS[:2])
    segment.mark(0)
    segment.mark(1)
    found = segment.search(VECTORS[0], 5)
    assert found is not None
    assert len(found[0]) == 0


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
    segment = Segment(DIM, 100, seed=1)
    segment.add(np.arange(100), VECTORS)
    segment._graph = Failing(segment._graph, failures)
    assert (segment.search(VECTORS[0], 5) is not None) == answered
