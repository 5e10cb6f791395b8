"""How the engine's rows travel into graphs, and what searches meet on the way."""

import threading

import numpy as np
import pytest

from tests.support.strategies import SCORE_TOLERANCE, clustered
from visualsearch.engine import Engine, Hooks, Layout
from visualsearch.index.arrays import IntArray
from visualsearch.index.curve import Curves, Point
from visualsearch.index.find import Finder, Found
from visualsearch.index.graph import Segment
from visualsearch.index.planner import Costs, Tuning
from visualsearch.index.view import View
from visualsearch.types import (
    BaseRecord,
    Filters,
    FloatArray,
    ImageVector,
    OfferRecord,
    Query,
    VectorsRecord,
)

DIM = 16
COUNT = 120
V = clustered(COUNT, DIM, clusters=4, seed=8)
GRAPHS_ALWAYS = Costs(row=1e6, entry=0.0, candidate=1e-6)


def engine_with(count: int, hooks: Hooks | None = None) -> Engine:
    """Return an engine of so many products, whose plan is the graph as soon as there is one."""
    engine = Engine(
        "m",
        DIM,
        tuning=Tuning(exact_rows=0, surplus=1.3),
        costs=GRAPHS_ALWAYS,
        layout=Layout(chunk_rows=16, segment_rows=50, threads=1, probe_share=0.0),
        hooks=hooks,
    )
    engine._index.built.curves = Curves(graph=(Point(16.0, 1.0, 1.0, 1.0),))
    for n in range(count):
        put(engine, n, V[n])
    return engine


def put(engine: Engine, n: int, vector: FloatArray, time: int = 1) -> None:
    """Upsert product n with one image; even ones are shoes."""
    order = (time, 0, 0)
    image = ImageVector("i", vector)
    category = "bags" if n % 2 else "shoes"
    engine.apply(
        [
            BaseRecord(f"p{n:03d}", order, category=category),
            VectorsRecord(f"p{n:03d}", order, model="m", images=(image,)),
        ]
    )


def drain(engine: Engine) -> None:
    """Index until nothing is left."""
    while engine.index_pending(16):
        pass


def test_fresh_rows_are_found_before_any_graph_has_them() -> None:
    """Searchable means applied; indexing changes the plan and not the answer."""
    engine = engine_with(40)
    query = Query(V[3], top_k=5)
    before = engine.search(query)
    assert (before.plan.strategy, engine.stats().fresh_rows) == ("exact", 40)
    drain(engine)
    after = engine.search(query)
    assert (after.plan.strategy, engine.stats().fresh_rows) == ("graph", 0)
    assert after.hits == before.hits
    put(engine, 41, V[41])
    mixed = engine.search(Query(V[41], top_k=3))
    assert mixed.plan.strategy == "graph"
    assert mixed.hits[0].product_id == "p041"


def test_a_step_is_bounded_and_says_what_it_did() -> None:
    """Steps of 16 rows; segments open as they fill, and at last one is made of them."""
    moved: list[int] = []
    engine = engine_with(COUNT, Hooks(on_indexed=moved.append))
    assert engine.index_pending(16) == 16
    assert engine.stats().fresh_rows == COUNT - 16
    while engine.stats().fresh_rows:
        assert engine.index_pending(16) <= 16
    assert sum(moved) == COUNT
    assert engine.stats().segments == 3
    drain(engine)
    assert engine.index_pending() == 0
    assert engine.stats().segments == 1


def test_superseded_rows_are_marked_or_never_added() -> None:
    """A row replaced while fresh is skipped; one that a graph holds counts as dead."""
    engine = engine_with(40)
    put(engine, 0, V[50], time=2)  # while fresh
    drain(engine)
    assert engine.stats().dead_ratio == 0.0
    for n in range(8):
        put(engine, n, V[60 + n], time=3)
    assert engine.stats().dead_ratio == pytest.approx(8 / 40)
    drain(engine)
    stats = engine.stats()
    assert stats.dead_ratio == pytest.approx(8 / 48)
    assert (stats.products, stats.vectors, stats.rows, stats.fresh_rows) == (40, 40, 48, 0)
    assert engine.search(Query(V[65], top_k=1)).hits[0].product_id == "p005"


def test_a_row_that_dies_while_a_graph_takes_it_is_marked_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The writer works without the lock: a record may overtake it."""
    engine = engine_with(10)
    real = Segment.add

    def add(self: Segment, rows: IntArray, vectors: FloatArray, threads: int = 1) -> None:
        real(self, rows, vectors, threads)
        if rows[0] == 0:
            put(engine, 4, V[60], time=2)

    monkeypatch.setattr(Segment, "add", add)
    assert engine.index_pending(10) == 10
    assert engine.stats().dead_ratio == pytest.approx(1 / 10)
    drain(engine)
    assert engine.stats().dead_ratio == pytest.approx(1 / 11)
    assert len(engine.search(Query(V[4], top_k=50)).hits) == 10


def test_pictures_that_stay_keep_their_rows() -> None:
    """An update of the title brings the same vectors again: no row is added, none dies."""
    engine = engine_with(40)
    drain(engine)
    for time in (2, 3):
        for n in range(40):
            put(engine, n, V[n], time)
    assert (engine.stats().rows, engine.stats().dead_ratio) == (40, 0.0)
    pair = (ImageVector("new", V[70]), ImageVector("renamed", V[5]), ImageVector("again", V[5]))
    engine.apply([VectorsRecord("p005", (4, 0, 0), model="m", images=pair)])
    assert engine.stats().rows == 42
    assert engine.stats().vectors == 42
    assert engine.stats().dead_ratio == 0.0
    names = [name for name, _ in engine.vectors_of("p005")]
    assert names == ["new", "renamed", "again"]
    [hit] = engine.search(Query(V[70], top_k=1)).hits
    assert (hit.product_id, hit.image_id) == ("p005", "new")
    scene = (ImageVector("i", V[5], kind="lifestyle"),)
    engine.apply([VectorsRecord("p005", (5, 0, 0), model="m", images=scene)])
    answer = engine.search(Query(V[5], Filters(image_kind="lifestyle")))
    assert [hit.product_id for hit in answer.hits] == ["p005"]
    assert engine.stats().rows == 43


def test_an_offer_touches_no_row() -> None:
    """Price and stock are columns."""
    engine = engine_with(40)
    drain(engine)
    rows = engine.stats().rows
    engine.apply([OfferRecord(f"p{n:03d}", (9, 0, 0), price=1.0) for n in range(40)])
    assert engine.stats().rows == rows
    assert engine.index_pending() == 0


def two_camps(per_camp: int) -> tuple[Engine, FloatArray]:
    """Return shoes around a query and bags on the other side of the world, taking turns."""
    query = V[0]
    rng = np.random.default_rng(2)
    engine = engine_with(0)
    for n in range(2 * per_camp):
        vector = (-query if n % 2 else query) + 0.1 * rng.normal(size=DIM).astype(np.float32)
        put(engine, n, vector / np.linalg.norm(vector))
    drain(engine)
    return engine, query


@pytest.mark.parametrize(("top_k", "ef"), [(1, 4 * 42), (60, 4 * 60)])
def test_a_walk_that_finds_too_few_is_widened(top_k: int, ef: int) -> None:
    """Half match the filter, but the query's whole neighborhood is of the other half.

    The first beam is ceil(16 * 1.3 / 0.5), or what is wanted if that is more.
    """
    engine, query = two_camps(per_camp=100)
    answer = engine.search(Query(query, Filters(category=("bags",)), top_k))
    assert (answer.plan.strategy, answer.plan.ef) == ("graph", ef)
    assert len(answer.hits) == top_k
    assert {hit.category for hit in answer.hits} == {"bags"}
    scan = engine.search(Query(query, Filters(category=("bags",)), 100))
    assert answer.hits[0] == scan.hits[0]


def test_when_every_beam_finds_too_few_all_matches_are_scanned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Graphs may be unable to reach some rows: the answer is complete all the same."""
    engine, query = two_camps(per_camp=20)
    monkeypatch.setattr(Segment, "search", lambda *_: np.empty(0, np.int64))
    answer = engine.search(Query(query, Filters(category=("bags",)), 15))
    assert (answer.plan.strategy, answer.plan.matches, len(answer.hits)) == ("exact", 20, 15)


def test_a_graph_that_fails_twice_is_bridged_by_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is the same, though hnswlib gave none."""
    engine = engine_with(COUNT)
    drain(engine)
    query = Query(V[7], Filters(category=("bags",)), 9)
    whole = engine.search(query)
    assert whole.plan.strategy == "graph"
    monkeypatch.setattr(Segment, "search", lambda *_: None)
    bridged = engine.search(query)
    assert bridged.hits == whole.hits
    assert bridged.plan.visited == COUNT // 2


def test_a_product_that_changes_under_every_search_is_answered_rightly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After three vain attempts the search holds the lock, and ends."""
    engine = engine_with(30)
    real, calls = Finder.find, []

    def find(self: Finder, view: View, vector: FloatArray, top_k: int, target: float) -> Found:
        found = real(self, view, vector, top_k, target)
        calls.append(view)
        if len(calls) <= 3:  # a writer that is always quicker
            put(engine, 5, V[70 + len(calls)], time=2 + len(calls))
        return found

    monkeypatch.setattr(Finder, "find", find)
    hits = engine.search(Query(V[5], top_k=30)).hits
    assert len(calls) == 4
    [hit] = [hit for hit in hits if hit.product_id == "p005"]
    assert hit.score == pytest.approx(float(V[5] @ V[73]), abs=SCORE_TOLERANCE)


def test_the_background_writer_indexes_and_stops() -> None:
    """It works through what was there before and comes after; close ends its thread."""
    done = threading.Event()

    def look(_: int) -> None:
        stats = engine.stats()
        if stats.products == 80 and not stats.fresh_rows:
            done.set()

    engine = engine_with(40, Hooks(on_indexed=look))
    engine.start()
    engine.start()
    for n in range(40, 80):
        put(engine, n, V[n])
    assert done.wait(20)
    engine.close()
    assert engine.stats().fresh_rows == 0
    assert "graph-writer" not in [thread.name for thread in threading.enumerate()]
    assert engine.search(Query(V[1], top_k=3)).plan.strategy == "graph"


def test_a_failing_writer_is_told_of_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows stay fresh and found; the next records wake the writer, which tries again."""
    errors: list[Exception] = []
    failed, done = threading.Event(), threading.Event()

    def note(error: Exception) -> None:
        errors.append(error)
        failed.set()

    engine = engine_with(10, Hooks(on_error=note, on_indexed=lambda _: done.set()))
    real = Segment.add

    def add(self: Segment, rows: IntArray, vectors: FloatArray, threads: int = 1) -> None:
        if not errors:
            raise RuntimeError("no memory")
        real(self, rows, vectors, threads)

    monkeypatch.setattr(Segment, "add", add)
    engine.start()
    assert failed.wait(20)
    assert len(engine.search(Query(V[0], top_k=50)).hits) == 10
    put(engine, 10, V[10])
    assert done.wait(20)
    engine.close()
    assert str(errors[0]) == "no memory"
    assert engine.stats().fresh_rows == 0
