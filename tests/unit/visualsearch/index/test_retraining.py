"""New lists for all rows, made while the former ones serve and rows go on coming."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.support.index_machine import drain
from tests.support.index_storage import check_storage
from tests.support.index_tiny import shrink
from tests.support.snapshots import DIM, LISTED, MODEL, pictured
from tests.support.strategies import clustered
from visualsearch.engine import Engine, Layout
from visualsearch.index import listing, retraining
from visualsearch.index.codes import NO_LIST
from visualsearch.index.retraining import Retraining
from visualsearch.types import FloatArray, Query

V = clustered(900, DIM, clusters=5, seed=8)
FIRST, THEN = 110, 460  # rows that the former coder is trained on


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small steps, and few rows that may be left for after the swap."""
    shrink(monkeypatch)
    monkeypatch.setattr(retraining, "FEW", 4)


def put(engine: Engine, vectors: FloatArray, first: int, time: int = 1) -> None:
    """Upsert a product of one image for each vector."""
    for n in range(len(vectors)):
        engine.apply(pictured(vectors[n : n + 1], time, first + n))


def served(layout: Layout = LISTED) -> Engine:
    """Return an engine with lists, and so many rows more that these are to be made anew."""
    engine = Engine(MODEL, DIM, layout=layout)
    put(engine, V[:FIRST], 0)
    drain(engine)
    assert engine._upkeep._listing.coder is not None
    put(engine, V[FIRST:THEN], FIRST)
    return engine


def course(engine: Engine, meanwhile: Callable[[int], object]) -> list[int]:
    """Step until a new coder serves; return how many rows were on no list after each step."""
    lists = engine._upkeep._listing
    former, waiting = lists.coder, []
    while lists.coder is former:
        meanwhile(len(waiting))
        lists.step()
        check_storage(engine)
        waiting.append(len(engine._index.for_lists))
        assert len(waiting) < 2_000, "it never ends"
    return waiting


def test_rows_that_come_meanwhile_go_on_the_former_lists() -> None:
    """No search has to scan all that came while a coder was trained and coded the others."""
    engine = served()
    coming = iter(range(THEN, 900))

    def meanwhile(step: int) -> None:
        for n in (next(coming), next(coming)):
            put(engine, V[n : n + 1], n)
        if step % 4 == 0:
            hits = engine.search(Query(V[n], top_k=5)).hits
            assert f"p{n}" in {hit.product_id for hit in hits}

    waiting = course(engine, meanwhile)
    came = next(coming) - THEN
    assert came > 3 * LISTED.piece_rows, "there was time for many"
    settled = waiting[waiting.index(min(waiting)) :]
    assert max(settled) <= 2 * LISTED.piece_rows
    coded = {id(piece.coder) for piece in engine._index.built.pieces}
    assert coded == {id(engine._upkeep._listing.coder)}, "those of the former coder are gone"
    drain(engine)
    check_storage(engine)


def test_those_that_came_are_coded_before_the_swap(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but a few, unless they come faster than they can be coded twice."""
    engine = served()
    coming = iter(range(THEN, 900))
    left: list[int] = []
    rounds: list[int] = []
    real = Retraining.left

    def spy(self: Retraining, *args: object) -> object:
        rows = real(self, *args)  # type: ignore[arg-type]
        left.append(len(rows))
        rounds.append(len(self.codings))
        return rows

    monkeypatch.setattr(Retraining, "left", spy)

    def meanwhile(_: int) -> None:
        for n in (next(coming), next(coming)):
            put(engine, V[n : n + 1], n)

    course(engine, meanwhile)
    assert rounds[0] > 1
    assert left[0] <= retraining.FEW + 2 * LISTED.piece_rows


def test_a_flood_does_not_put_the_swap_off_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """After some rounds the rest waits for the new lists, and is scanned until then."""
    monkeypatch.setattr(retraining, "CATCH_UPS", 2)
    engine = served()
    lists = engine._upkeep._listing
    coming = iter(range(THEN, 900))

    def meanwhile(_: int) -> None:
        if lists._retraining is not None and lists._retraining.codings:
            n = next(coming)
            put(engine, V[n : n + 1], n)

    course(engine, meanwhile)
    drain(engine)
    check_storage(engine)
    listed = engine._index.list_of[: engine._index.rows.count] != NO_LIST
    assert np.count_nonzero(listed) >= engine.stats().rows - LISTED.piece_rows


def test_rows_that_are_used_again_meanwhile_wait_for_new_lists() -> None:
    """What the new coder has of such a row is another image's."""
    engine = served(replace(LISTED, segment_rows=1_000))  # no number of rows here is a bulk
    rows = engine._index.rows
    now: dict[int, int] = {}  # the image that each changed product has
    reused = 0

    def meanwhile(step: int) -> None:
        nonlocal reused
        free = set(rows._ids.free)
        for place in (2 * step % FIRST, (2 * step + 1) % FIRST):
            for time in (2 * step + 2, 2 * step + 3):  # the first one dies before a graph has it
                now[place] = THEN + (17 * time + place) % 400
                put(engine, V[now[place] : now[place] + 1], place, time)
        reused += len(free - set(rows._ids.free))
        engine._upkeep._mark()
        engine._upkeep._insert(32)

    course(engine, meanwhile)
    drain(engine)
    check_storage(engine)
    assert reused > 0
    for place, picture in now.items():
        best = engine.search(Query(V[picture], top_k=3, recall_target=0.99)).hits
        assert any(hit.product_id == f"p{place}" or hit.score > 0.999 for hit in best)


def test_training_that_fails_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has failed half-way cannot go on; rows wait, and are scanned."""
    engine = served()
    lists = engine._upkeep._listing
    former = lists.coder
    real = Retraining.train
    failures = iter([True, False])

    def train(self: Retraining) -> None:
        if next(failures, False):
            raise MemoryError
        real(self)

    monkeypatch.setattr(Retraining, "train", train)
    with pytest.raises(MemoryError):
        drain(engine)
    assert lists._retraining is None
    drain(engine)
    check_storage(engine)
    assert lists.coder is not former


def test_lists_are_looked_through_for_dead_rows_when_some_have_died(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each look is at every row: it comes after one death in so many rows, or another piece."""
    engine = Engine(MODEL, DIM, layout=LISTED)
    put(engine, V[:FIRST], 0)
    drain(engine)
    looks: list[int] = []
    real = listing.to_join
    monkeypatch.setattr(listing, "to_join", lambda *args: looks.append(1) or real(*args))
    lists = engine._upkeep._listing
    lists.step()
    begun = len(looks)
    for _ in range(5):
        lists.step()
    assert len(looks) == begun
    put(engine, V[100:101], 0, time=2)
    lists.step()
    assert len(looks) == begun + 1
