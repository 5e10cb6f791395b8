"""Projections of rows on what they differ by, and graphs that hold them."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.index_machine import drain
from tests.support.snapshots import LISTED, MODEL, pictured
from tests.support.strategies import SCORE_TOLERANCE, clustered
from visualsearch.engine import Engine
from visualsearch.index.graph import DENSE, Segment
from visualsearch.index.reduction import LEFT_OUT, Reducer, Reduction, reduction_of
from visualsearch.index.rows import NewRows, Rows, stored
from visualsearch.types import FloatArray

DIM = 32
STEP = 4
SMALL = replace(LISTED, probe_share=0.0)


def within(depth: int, count: int = 2_000, noise: float = 0.0, mean: float = 0.0) -> FloatArray:
    """Return unit rows that differ in `depth` directions, but for some noise."""
    rng = np.random.default_rng(depth)
    axes = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0]
    rows = rng.standard_normal((count, depth)) @ axes[:depth]
    rows += noise * rng.standard_normal((count, DIM)) + mean * axes[-1]
    unit: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


@pytest.mark.parametrize(("depth", "kept"), [(8, 8), (12, 12), (19, 20), (4, 4)])
def test_it_keeps_the_directions_that_rows_differ_by(depth: int, kept: int) -> None:
    """In whole steps of an eighth; products with any query are those of before."""
    rows = within(depth, noise=0.01)
    reduction = reduction_of(rows)
    assert reduction is not None
    assert reduction.kept == kept
    assert np.allclose(reduction.axes.T @ reduction.axes, np.eye(kept), atol=1e-4)
    assert reduction(rows).shape == (2_000, kept)
    query = rows[0] + 0.1 * clustered(1, DIM, clusters=1, seed=1)[0]
    assert np.allclose(reduction(rows) @ reduction(query), rows @ query, atol=0.05)


def test_it_leaves_out_a_tenth_of_the_variance_at_most() -> None:
    """And as many steps as that allows."""
    rows = within(12, noise=0.3)
    reduction = reduction_of(rows)
    assert reduction is not None

    def lost(axes: FloatArray) -> float:
        rest = rows - (rows @ axes) @ axes.T
        return float((rest**2).sum() / ((rows - rows.mean(axis=0)) ** 2).sum())

    assert 0.0 < lost(reduction.axes) <= LEFT_OUT < lost(reduction.axes[:, STEP:])


def test_what_all_rows_have_in_common_is_kept_though_none_differs_by_it() -> None:
    """Queries have some of it too, more or less than rows."""
    rows = within(8, mean=2.0)
    reduction = reduction_of(rows)
    assert reduction is not None
    mean = rows.mean(axis=0)
    assert np.linalg.norm(reduction(mean)) == pytest.approx(np.linalg.norm(mean), abs=1e-3)


def test_rows_that_differ_in_every_direction_are_left_as_they_are() -> None:
    """Nothing can be left out of these."""
    assert reduction_of(within(DIM)) is None


def test_a_graph_of_projections_finds_what_is_best_among_some_more() -> None:
    """The nearest by the projections, in their order: what the whole rows say is near that."""
    rows = within(8, count=500, noise=0.05)
    reduction = reduction_of(rows)
    assert isinstance(reduction, Reduction)
    segment = Segment(DIM, 500, DENSE, 1, reduction)
    segment.add(np.arange(500), rows)
    for vector in rows[:50]:
        found = segment.search(vector, 40)
        assert found is not None
        estimates = reduction(rows[found]) @ reduction(vector)
        assert (np.diff(estimates) <= SCORE_TOLERANCE).all()
        best = np.argsort(-(rows @ vector))[:10]
        assert len(np.intersect1d(found, best)) == 10


def test_graphs_of_too_few_rows_stay_whole_until_there_are_more() -> None:
    """A few rows say little of the axes; such a graph is outgrown when there are enough."""
    vectors = within(8, count=300)
    rows = Rows(DIM, chunk_rows=64)
    rows.write([NewRows(0, rows.take(300), *stored(vectors), [False] * 300)])
    reducer = Reducer(rows, 200, np.random.default_rng(0))
    assert reducer.of(1, np.arange(199)) is None
    reduction = reducer.of(2, np.arange(0, 300, 1))
    assert reduction is not None
    assert reduction.kept == 8
    assert [reducer.outgrown(graph, count) for graph in (1, 2) for count in (199, 200)] == [
        False, True, False, False,
    ]  # fmt: skip


def test_an_index_at_rest_has_no_graph_of_whole_rows_that_it_has_outgrown() -> None:
    """The first ones are built again; then nothing is left to do."""
    engine = Engine(MODEL, DIM, layout=SMALL)
    for begin in range(0, 160, 20):
        engine.apply(pictured(within(8, count=160)[begin : begin + 20], first=begin))
        drain(engine)
        graphs = engine._index.built.segments
        whole = [graph._reduction is None for graph in graphs]
        assert whole == ([True] if begin + 20 < 100 else [False] * len(graphs))
        assert sum(graph.live for graph in graphs) == begin + 20


def test_curves_are_measured_again_when_graphs_were_rebuilt() -> None:
    """As many rows as before, in graphs of other axes: what was measured says nothing of them."""
    engine = Engine(MODEL, DIM, layout=SMALL)
    for time, vectors in ((1, within(8, count=400)), (2, within(12, count=400))):
        before = engine._index.built.curves
        for begin in range(0, 400, 20):
            engine.apply(pictured(vectors[begin : begin + 20], time, begin))
            engine.index_pending(16)
        drain(engine)
        assert engine._index.built.curves is not before
        assert engine._index.built.curves.rows == 400
