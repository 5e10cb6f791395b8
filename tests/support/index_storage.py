"""What must hold of an index's storage at any moment between two steps, seen from inside."""

from collections import Counter

import numpy as np

from visualsearch.engine import Engine
from visualsearch.index.codes import NO_LIST
from visualsearch.index.graph import NO_GRAPH
from visualsearch.index.live import LiveIndex


def check_storage(engine: Engine) -> None:
    """Assert that every row is where it belongs, once, and that the counts say so.

    Takes the writer's lock, then the engine's: neither a step nor a record is under way.
    """
    with engine._index_lock, engine._lock:
        index = engine._index
        _check_chains(engine, index)
        _check_graphs(index)
        _check_lists(index)


def _check_chains(engine: Engine, index: LiveIndex) -> None:
    """Each alive row is in its own product's chain; live ones are those of searchable products."""
    rows, products = index.rows, engine._products
    chained: Counter[int] = Counter()
    live: set[int] = set()
    searchable = 0
    for slot in range(len(products)):
        own = index.rows_of(slot)
        assert len(own) == len(products.state(slot).images)
        assert own == _walked(index, slot)
        assert (rows.slot[list(own)] == slot).all()
        chained.update(own)
        if products.state(slot).searchable:
            live.update(own)
            searchable += 1
    assert max(chained.values(), default=1) == 1, "a row of two products"
    assert set(np.flatnonzero(rows.alive[: rows.count]).tolist()) == set(chained)
    assert set(np.flatnonzero(rows.live[: rows.count]).tolist()) == live
    assert (index.live_rows, index.live_products) == (len(live), searchable)
    assert int(index._live.sum()) == searchable


def _walked(index: LiveIndex, slot: int) -> tuple[int, ...]:
    """Return the slot's rows as a search walks them."""
    walked: list[int] = []
    row = int(index._first[slot]) if slot < len(index._first) else -1
    while row >= 0:
        walked.append(row)
        row = int(index.rows.next[row])
    return tuple(walked)


def _check_graphs(index: LiveIndex) -> None:
    """Each row in use is in one graph or on its way there; the free ones are nowhere."""
    rows, built = index.rows, index.built
    alive = rows.alive[: rows.count]
    graph_of = np.full(rows.count, NO_GRAPH)
    holders = np.zeros(rows.count, dtype=int)
    to_mark = np.bincount(np.array(index.to_mark, dtype=int), minlength=rows.count)
    assert to_mark.max(initial=0) <= 1, "a row to be marked twice"
    assert not alive[to_mark > 0].any(), "an alive row to be marked"
    for segment in built.segments:
        graph_of[segment.rows] = segment.number
        np.add.at(holders, segment.rows, 1)
        dead = int(np.count_nonzero(~alive[segment.rows]))
        assert segment.marked == dead - int(to_mark[segment.rows].sum()), "dead rows go unmarked"
    for queued in (index.for_graph.waiting(), built.building):
        np.add.at(holders, queued, 1)
    assert np.array_equal(index.graph_of[: rows.count], graph_of)
    assert holders.max(initial=0) <= 1, "a row in two graphs"
    assert holders[alive].all(), "an alive row that no graph will ever hold"
    _check_places(index)
    free = np.array([*rows._ids.free, *index.resting.waiting(rows.free)], dtype=int)
    assert len(np.unique(free)) == len(free), "a row free twice"
    assert not alive[free].any(), "a free row that is in use"
    assert not holders[free].any(), "a free row that a graph holds"
    assert np.count_nonzero(holders) + len(free) == rows.count, "a row that is lost"


def _check_places(index: LiveIndex) -> None:
    """Each alive row's vector has a place of its own; all other places are free, or will be."""
    rows = index.rows
    alive = np.flatnonzero(rows.alive[: rows.count])
    places = [*rows._places.free, *index.resting.waiting(rows.vacate), *rows.places_of(alive)]
    assert sorted(places) == list(range(rows._places.top)), "a place that is lost, or given twice"


def _check_lists(index: LiveIndex) -> None:
    """Each alive row waits for its list or is on the one that a piece has coded."""
    rows, pieces = index.rows, index.built.pieces
    alive = rows.alive[: rows.count]
    coded = np.zeros(rows.count, dtype=np.bool_)
    waiting = np.zeros(rows.count, dtype=np.bool_)
    for piece in pieces:
        assert len(piece.rows) > 0
        assert piece.coder is pieces[0].coder
        assert len(np.unique(piece.rows)) == len(piece.rows) == piece._index.ntotal
        coded[piece.rows] = True
    waiting[index.for_lists.waiting()] = True
    listed = index.list_of[: rows.count] != NO_LIST
    assert (coded | waiting)[alive].all(), "an alive row that the lists miss"
    assert (coded & listed)[alive & ~waiting].all()
    if pieces:
        assert (index.list_of[: rows.count][listed] < len(pieces[0].coder.centroids)).all()
        assert len(index.built.list_sizes) == len(pieces[0].coder.centroids)
    queue, count = index.for_lists.waiting().astype(np.int64), len(index.near)
    assert count <= len(queue), "lists of rows that wait no longer"
    if count:
        last = np.empty(rows.count, dtype=np.int64)
        last[queue] = np.arange(len(queue))  # an id that was used again waits twice
        there = np.flatnonzero(rows.alive[queue[:count]] & (last[queue[:count]] < count))
        there = there[last[queue[there]] == there]
        lists = pieces[0].coder.lists_of(rows.unit(queue[there]))
        assert (index.near[there] == lists).all(), "another row's list"
    settled = alive & ~waiting
    sizes = index.built.list_sizes
    held = np.bincount(index.list_of[: rows.count][settled], minlength=len(sizes))
    assert (sizes >= held).all(), "rows of a list that are not counted: searches may pass it by"
