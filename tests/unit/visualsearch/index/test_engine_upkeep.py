"""What goes on behind the searches, at its worst moments: deaths, reuse, failures, emptiness."""

import sys

import numpy as np
import pytest

from tests.support.index_machine import drain
from tests.support.index_storage import check_storage
from tests.support.index_tiny import MACHINE, rising_clock, shrink
from tests.support.strategies import SCORE_TOLERANCE, clustered
from visualsearch.engine import Engine, Hooks
from visualsearch.errors import MissingLibraryError
from visualsearch.index import upkeep
from visualsearch.index.coding import Coding
from visualsearch.index.find import Finder, Found
from visualsearch.index.merge import Merge
from visualsearch.index.planner import Costs, Tuning
from visualsearch.index.view import View
from visualsearch.types import BaseRecord, FloatArray, ImageVector, Query, VectorsRecord

DIM = 16
V = clustered(600, DIM, clusters=5, seed=8)
LISTS_ALWAYS = Costs(row=1e6, entry=1e9, candidate=1e9)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meet every border."""
    shrink(monkeypatch)


def engine_with(count: int, hooks: Hooks | None = None) -> Engine:
    """Return a tiny engine of so many products, that goes by its lists as soon as there are any."""
    lists = Tuning(exact_rows=0, weak_filter=2.0)  # no filter keeps so much, nor does none
    engine = Engine(
        "m", DIM, tuning=lists, costs=LISTS_ALWAYS, layout=MACHINE, hooks=hooks,
        clock=rising_clock(),
    )  # fmt: skip
    for n in range(count):
        put(engine, n, V[n])
    return engine


def put(engine: Engine, n: int, vector: FloatArray, time: int = 1) -> None:
    """Upsert product n with one image."""
    order = (time, 0, 0)
    picture = VectorsRecord(f"p{n}", order, model="m", images=(ImageVector("i", vector),))
    engine.apply([BaseRecord(f"p{n}", order), picture])


def assert_right(engine: Engine, vectors: dict[int, FloatArray]) -> None:
    """Assert that these products, and no others, are found, with their own images' scores."""
    check_storage(engine)
    for query in V[::100]:
        answer = engine.search(Query(query, top_k=1_000))
        scores = {int(hit.product_id[1:]): hit.score for hit in answer.hits}
        assert set(scores) == set(vectors)
        for n, score in scores.items():
            assert score == pytest.approx(float(vectors[n] @ query), abs=SCORE_TOLERANCE)
    for n, vector in vectors.items():
        hits = engine.search(Query(vector, top_k=8)).hits
        assert hits[0].score == pytest.approx(1.0, abs=SCORE_TOLERANCE)
        assert f"p{n}" in [hit.product_id for hit in hits]


@pytest.mark.parametrize("kind", [Merge, Coding])
@pytest.mark.parametrize("when", ["before", "after"])
def test_rows_that_die_and_come_back_as_others_while_something_is_built(
    monkeypatch: pytest.MonkeyPatch, kind: type, when: str
) -> None:
    """Every step of a rebuild or a coding is overtaken by updates, until ids are used again."""
    engine = engine_with(60)
    vectors = {n: V[n] for n in range(60)}
    real, steps, time = kind.step, [0], [1]

    def change(n: int) -> None:
        time[0] += 1
        vectors[n] = V[60 + (31 * time[0]) % 540]
        put(engine, n, vectors[n], time[0])

    def step(self: object, *args: object) -> object:
        result = real(self, *args) if when == "after" else None
        steps[0] += 1
        for n in range(3):
            change((7 * steps[0] + 11 * n) % 60)
        return result if when == "after" else real(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(kind, "step", step)
        for turn in range(80):
            change(turn % 60)
            engine.index_pending(16)
            if turn % 4 == 0:
                check_storage(engine)
    drain(engine)
    assert steps[0] > 3
    assert_right(engine, vectors)
    assert engine._index.rows.count < 60 + time[0] / 2, "hardly any id was used again"


def test_dead_rows_are_rebuilt_away_and_their_ids_used_again() -> None:
    """Three turnovers later the store is no larger, and no image of before is found."""
    engine = engine_with(60)
    drain(engine)
    for turn in range(1, 4):
        for n in range(60):
            put(engine, n, V[60 * turn + n], time=1 + turn)
            if n % 5 == 0:
                engine.index_pending(16)
        drain(engine)
        assert_right(engine, {n: V[60 * turn + n] for n in range(60)})
        assert engine.stats().dead_ratio <= 0.25
    assert engine._index.rows.count < 60 * 2.5


def test_when_everything_is_deleted_nothing_is_left_and_the_work_ends() -> None:
    """Neither a rebuild nor a measurement of nothing fails; the next product is found."""
    errors: list[Exception] = []
    engine = engine_with(60, Hooks(on_error=errors.append))
    drain(engine)
    for n in range(60):
        engine.apply([VectorsRecord(f"p{n}", (2, 0, 0), deleted=True)])
    drain(engine)
    check_storage(engine)
    stats = engine.stats()
    assert (stats.products, stats.vectors, stats.fresh_rows) == (0, 0, 0)
    assert engine.search(Query(V[0])).plan.strategy == "empty"
    put(engine, 3, V[99], time=3)
    drain(engine)
    assert_right(engine, {3: V[99]})


def test_products_that_come_back_are_found_on_their_lists() -> None:
    """Pieces made while most of the products were away must not count their lists as empty."""
    engine = engine_with(200)
    drain(engine)
    near = np.argsort(-(V[:200] @ V[0]))[:120].tolist()  # whole lists
    for n in near:
        engine.apply([BaseRecord(f"p{n}", (2, 0, 0), deleted=True)])
    for n, other in enumerate(V[np.argsort(V @ V[0])[:60]], 200):  # enough for another piece
        put(engine, n, other)
    drain(engine)
    for n in near:
        engine.apply([BaseRecord(f"p{n}", (3, 0, 0))])
    check_storage(engine)
    answers = [engine.search(Query(V[n], top_k=3)) for n in near]
    assert {answer.plan.strategy for answer in answers} == {"ivfpq"}
    assert sum(answer.hits[0].score > 0.9999 for answer in answers) >= 0.95 * len(near)


def failing_once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, which: int) -> None:
    """Let the method's call of this number raise."""
    real = getattr(owner, name)
    calls = [0]

    def called(self: object, *args: object, **kwargs: object) -> object:
        calls[0] += 1
        if calls[0] == which:
            raise RuntimeError("no memory")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, called)


@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize(
    ("owner", "name"),
    [(Merge, "__init__"), (Merge, "step"), (Coding, "__init__"), (Coding, "step")],
)
def test_work_that_fails_loses_no_row(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, which: int
) -> None:
    """Whatever a step was about to do, the next one does it: every row ends where it belongs."""
    engine = engine_with(0)
    failing_once(monkeypatch, owner, name, which)
    failures = 0
    for n in range(420):
        put(engine, n, V[n])
        if n % 45 > 2:  # so that now and then many rows wait
            continue
        try:
            engine.index_pending(16)
        except RuntimeError:
            failures += 1
        check_storage(engine)
    for _ in range(60):
        try:
            engine.index_pending(16)
        except RuntimeError:
            failures += 1
    drain(engine)
    assert failures == 1
    assert_right(engine, {n: V[n] for n in range(420)})


def test_a_measurement_that_fails_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then the curves are those of before."""
    engine = engine_with(60)
    failing_once(monkeypatch, Finder, "listed", 3)
    failures = 0
    for _ in range(300):
        try:
            engine.index_pending(16)
        except RuntimeError:
            failures += 1
            assert engine._index.built.curves.rows == 0
    assert failures == 1
    assert engine._index.built.curves.rows == 60


def test_curves_follow_an_index_that_never_rests() -> None:
    """When it has more than doubled they are measured between the other work; no view is kept."""
    engine = engine_with(60)
    drain(engine)
    known = engine._index.built.curves.rows
    for n in range(60, 400):
        put(engine, n, V[n])
        put(engine, n - 30, V[n - 31], time=2)  # rows die all the time
        engine.index_pending(1)
        assert not engine.settled
    assert engine._index.built.curves.rows > 2 * known
    drain(engine)
    assert not engine._index.resting._waiting
    assert len(engine._index.resting._views) == 0


def test_without_faiss_it_is_said_once_and_searches_stay_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Filters are scanned, graphs are built: only slower."""
    monkeypatch.setitem(sys.modules, "faiss", None)
    engine = engine_with(60)
    errors: list[Exception] = []
    for _ in range(100):
        try:
            engine.index_pending(16)
        except MissingLibraryError as error:
            errors.append(error)
    assert len(errors) == 1
    assert engine.stats().fresh_rows == 0
    assert_right(engine, {n: V[n] for n in range(60)})


@pytest.mark.parametrize("count", [3, 64])
def test_a_row_used_again_under_a_search_hides_no_product(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Its view shows the row alive; by the time it looks, the row is another product's.

    That product may even be one of which the view has no cell (`count` fills the arrays).
    """
    engine = engine_with(count)
    real, calls = Finder.find, []
    moved = V[0] + np.float32(0.1) * V[500]
    moved /= np.linalg.norm(moved)

    def find(self: Finder, view: View, *args: object) -> Found:
        if not calls:
            put(engine, 0, moved, time=2)  # its only row dies,
            drain(engine)  # is let go,
            put(engine, count, -V[500])  # and is taken by a newcomer far away
        calls.append(view)
        return real(self, view, *args)

    monkeypatch.setattr(Finder, "find", find)
    answer = engine.search(Query(V[0], top_k=count))
    assert "p0" in [hit.product_id for hit in answer.hits]


def test_a_bulk_load_becomes_one_dense_graph() -> None:
    """The thin graph that was begun before the bulk came is taken in, not left beside it."""
    engine = engine_with(30)
    while engine.stats().fresh_rows > 20:
        engine.index_pending(8)
    assert engine.stats().segments == 1
    for n in range(30, 64):
        put(engine, n, V[n])
    drain(engine)
    assert engine.stats().segments == 1
    assert_right(engine, {n: V[n] for n in range(64)})


def test_rows_go_on_lists_first() -> None:
    """While many are on none no graph takes any, for every search scans them."""
    engine = engine_with(60)
    drain(engine)
    for n in range(60, 84):
        put(engine, n, V[n])
    for_graph, for_lists = engine._index.for_graph, engine._index.for_lists
    waiting = len(for_graph)
    while len(for_lists) > upkeep.UNCODED_MOST:
        assert len(for_graph) == waiting
        assert engine.index_pending(8)
    drain(engine)
    assert engine.stats().fresh_rows == 0
    assert_right(engine, {n: V[n] for n in range(84)})
