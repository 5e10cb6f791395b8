"""Who tells a graph of a row that has died, and when: at once, or the thread that fills it."""

import numpy as np

from tests.support.index_machine import drain
from tests.support.index_storage import check_storage
from tests.support.snapshots import DIM, LISTED, MODEL, V, pictured
from visualsearch.engine import Engine
from visualsearch.types import BaseRecord, VectorsRecord

FULL, MORE = 200, 20  # products of graphs that are full, and of the one that takes rows


def filled() -> Engine:
    """Return an engine with a graph that is full and another that still takes rows."""
    engine = Engine(MODEL, DIM, layout=LISTED)
    engine.apply(pictured(V[:FULL]))
    drain(engine)
    engine.apply(pictured(V[FULL : FULL + MORE], first=FULL))
    engine.index_pending(MORE)
    assert not len(engine._index.for_graph)
    return engine


def delete(engine: Engine, *numbers: int) -> None:
    """Delete these products."""
    for n in numbers:
        name, order = f"p{n}", (2, 0, 0)
        engine.apply(
            [
                BaseRecord(name, order, deleted=True),
                VectorsRecord(name, order, deleted=True, model=MODEL),
            ]
        )


def test_a_graph_that_is_full_knows_at_once() -> None:
    """Nobody else comes for it."""
    engine = filled()
    delete(engine, 3)
    index = engine._index
    assert index.to_mark == []
    assert [graph.marked for graph in index.built.segments] == [
        int(graph.number == index.graph_of[3]) for graph in index.built.segments
    ]
    check_storage(engine)


def test_one_that_takes_rows_is_told_by_the_thread_that_adds_them() -> None:
    """A mark beside an insert may leave hnswlib nothing to link to."""
    engine = filled()
    index = engine._index
    growing = next(graph for graph in index.built.segments if graph.number == index.growing)
    assert growing.free > 0
    delete(engine, FULL + 1)
    assert (index.to_mark, growing.marked) == ([FULL + 1], 0)
    assert not engine.settled
    engine.index_pending()
    assert (index.to_mark, growing.marked) == ([], 1)
    check_storage(engine)


def test_the_writer_comes_when_there_is_enough_for_it() -> None:
    """Not for each of many, but before the dead are a burden."""
    engine = Engine(MODEL, DIM, layout=LISTED)
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((600, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    engine.apply(pictured(vectors))
    drain(engine)
    engine._index.growing = 0  # as if every graph were full
    assert engine.settled
    settled = []
    for n in range(12):
        delete(engine, n)
        settled.append(engine.settled)
        drain(engine)
        assert engine.settled
    assert settled.count(False) == 3, "of 590 rows every fourth"
    check_storage(engine)
