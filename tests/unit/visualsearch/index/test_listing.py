"""The coder: kept over snapshots, trained again when the index has grown or drifted, refined."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.index_machine import drain
from tests.support.index_storage import check_storage
from tests.support.index_tiny import shrink
from tests.support.snapshots import DIM, LISTED, MODEL, pictured, restored, written
from tests.support.strategies import clustered
from visualsearch.engine import Engine
from visualsearch.index import find, listing
from visualsearch.index.arrays import CodeArray
from visualsearch.index.codes import ListArray, misfit
from visualsearch.index.coding import Coding
from visualsearch.index.lists import Coder, Effort, Piece
from visualsearch.index.planner import Choice
from visualsearch.types import FloatArray, Query

THIN_ONLY = replace(LISTED, segment_rows=1_000)  # no number of rows here is a bulk

V = clustered(900, DIM, clusters=5, seed=8)
ELSEWHERE = -clustered(900, DIM, clusters=40, seed=9)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meet every border."""
    shrink(monkeypatch)
    monkeypatch.setattr(listing, "CHECKED", 64)


def put(engine: Engine, vectors: FloatArray, time: int = 1, first: int = 0) -> None:
    """Upsert a product of one image for each vector."""
    for n in range(len(vectors)):
        engine.apply(pictured(vectors[n : n + 1], time, first + n))


def engine_with(vectors: FloatArray) -> Engine:
    """Return an engine that has done all work behind."""
    engine = Engine(MODEL, DIM, layout=LISTED)
    put(engine, vectors)
    drain(engine)
    return engine


def coder_of(engine: Engine) -> Coder:
    """Return the coder in use."""
    coder = engine._upkeep._listing.coder
    assert coder is not None
    return coder


def test_a_snapshot_keeps_the_coder(tmp_path: Path) -> None:
    """Bit for bit, also in a snapshot of what was restored: nothing is trained again."""
    engine = engine_with(V[:300])
    book = coder_of(engine).book
    once = restored(written(engine, tmp_path, at=1.0)).engine
    twice = restored(written(once, tmp_path, at=2.0)).engine
    for other in (coder_of(once).book, coder_of(twice).book):
        for name in ("centroids", "along", "fine", "coarse"):
            assert np.array_equal(getattr(other, name), getattr(book, name))
        assert (other.rows, other.misfit) == (book.rows, book.misfit)
    before = coder_of(twice)
    drain(twice)
    assert coder_of(twice) is before


def test_a_coarse_piece_is_coded_finely_beside_new_rows(tmp_path: Path) -> None:
    """Searches have half the bytes at first, then the codes that they always have."""
    engine = restored(written(engine_with(V[:300]), tmp_path)).engine
    (piece,) = engine._index.built.pieces
    assert piece.coarse
    put(engine, V[300:400], first=300)
    put(engine, V[400:450], time=2)
    drain(engine)
    check_storage(engine)
    assert not any(piece.coarse for piece in engine._index.built.pieces)
    assert engine.stats().fresh_rows == 0
    assert sum(len(p.rows) for p in engine._index.built.pieces) >= 400 - LISTED.piece_rows


def test_a_coarse_piece_that_is_trained_over_is_dropped(tmp_path: Path) -> None:
    """Four times the rows: everything is coded anew, the piece that was on its way is not."""
    engine = restored(written(engine_with(V[:120]), tmp_path)).engine
    old = coder_of(engine)
    engine.index_pending(16)
    put(engine, V[120:], first=120)
    drain(engine)
    check_storage(engine)
    assert coder_of(engine) is not old
    assert all(piece.coder is coder_of(engine) for piece in engine._index.built.pieces)
    assert not any(piece.coarse for piece in engine._index.built.pieces)


def test_the_newest_piece_grows_without_its_rows_being_coded_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that a search has few pieces to look through while images pour in."""
    monkeypatch.setattr(listing, "YOUNG", 6)  # pieces' worth of rows
    engine = engine_with(V[:150])
    coded: list[int] = []
    real = Piece.add

    def add(self: Piece, rows: CodeArray, vectors: FloatArray, lists: ListArray) -> None:
        coded.extend(rows.tolist())
        real(self, rows, vectors, lists)

    monkeypatch.setattr(Piece, "add", add)
    monkeypatch.setattr(listing, "to_join", lambda *_: ())
    pieces = []
    for begin in range(150, 390, 20):
        put(engine, V[begin : begin + 20], first=begin)
        for _ in range(4):
            engine._upkeep._listing.step()
        check_storage(engine)
        pieces.append([len(piece.rows) for piece in engine._index.built.pieces])
    assert len(coded) == len(set(coded)), "coded twice"
    most = 6 * LISTED.piece_rows
    assert most // 2 < max(max(sizes) for sizes in pieces) <= most
    assert max(len(sizes) for sizes in pieces) <= 390 // (most // 2)


def test_rows_that_died_do_not_count_for_long() -> None:
    """New rows are added to the sizes of lists; what has died is left out now and then."""
    engine = engine_with(V[:300])
    for time in range(2, 6):
        put(engine, V[300:400], time=time)
        put(engine, V[400:500], time=time + 10)
        drain(engine)
        check_storage(engine)
        on_lists = 300 - len(engine._index.for_lists)
        assert on_lists <= engine._index.built.list_sizes.sum() <= on_lists + LISTED.piece_rows


def test_rows_that_wait_are_looked_at_where_their_lists_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As soon as their lists are known, which are not worked out again when the rows are coded."""
    engine = engine_with(V[:300])
    put(engine, V[300:340], first=300)
    monkeypatch.setattr(find, "choose", lambda *_: Choice("ivfpq", effort=Effort(0.0, 1.0)))
    monkeypatch.setattr(find, "MANY", 5)
    waiting, index = engine._index.for_lists.waiting(), engine._index
    before = engine.search(Query(V[320], top_k=1))
    assert before.plan.visited >= len(waiting) >= 40, "all of them are scanned"
    engine._upkeep._listing.look()
    check_storage(engine)
    assert len(index.near) == len(waiting)
    after = engine.search(Query(V[320], top_k=1))
    assert after.hits == before.hits
    assert after.hits[0].product_id == "p320"
    assert after.plan.visited < before.plan.visited
    put(engine, V[340:345], first=340)
    assert engine.search(Query(V[342], top_k=1)).hits[0].product_id == "p342"
    looked: list[int] = []
    real = Coder.lists_of

    def lists_of(self: Coder, vectors: FloatArray) -> ListArray:
        looked.append(len(vectors))
        return real(self, vectors)

    monkeypatch.setattr(Coder, "lists_of", lists_of)
    while len(index.for_lists):
        engine._upkeep._listing.step()
        engine._upkeep._listing.tidy()
    assert sum(looked) == 5, "of those that came later"
    check_storage(engine)


def test_few_rows_go_on_lists_when_there_is_nothing_else_to_do() -> None:
    """Each search scans what waits; while there is other work, more rows are waited for."""
    engine = engine_with(V[:300])
    waiting = engine._index.for_lists
    few = LISTED.piece_rows - 1 - len(waiting)
    put(engine, V[300 : 300 + few], first=300)
    engine._upkeep._listing.step()
    assert len(waiting) == LISTED.piece_rows - 1
    drain(engine)
    assert len(engine._index.for_lists) < LISTED.piece_rows // listing.FEWER
    check_storage(engine)


def test_pieces_are_not_joined_in_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    """Joining takes some time, in which many rows wait that each search scans."""
    engine = engine_with(V[:150])
    monkeypatch.setattr(listing, "MOST_ROWS", 10)
    put(engine, V[150:170], first=150)
    assert len(engine._upkeep._listing._young(1_000)) == 1
    put(engine, V[170:171], first=170)
    assert engine._upkeep._listing._young(1_000) == []


def test_rows_that_lie_elsewhere_train_the_coder_again() -> None:
    """The index has not grown, but what is in it has changed: measured, not guessed."""
    engine = engine_with(V[:300])
    old = coder_of(engine)
    put(engine, ELSEWHERE[:300], time=2)
    drain(engine)
    check_storage(engine)
    assert coder_of(engine) is not old
    book = coder_of(engine).book
    assert misfit(ELSEWHERE[:300], book.centroids) < listing.DRIFT * book.misfit


def test_rows_of_the_same_kind_do_not() -> None:
    """Any number of them: training is what costs."""
    engine = engine_with(V[:300])
    old = coder_of(engine)
    put(engine, V[300:600], time=2)
    drain(engine)
    assert coder_of(engine) is old


def test_rows_that_are_used_again_are_no_rows_of_a_coarse_piece(tmp_path: Path) -> None:
    """A replay kills rows before the first step, and others get their ids while it is coded."""
    engine = restored(written(engine_with(V[:300]), tmp_path), THIN_ONLY).engine
    put(engine, V[300:400], time=2)
    rows = engine._index.rows
    reused = steps = 0
    while any(piece.coarse for piece in engine._index.built.pieces):
        free = set(rows._ids.free)
        put(engine, V[400 + 4 * steps : 404 + 4 * steps], time=3 + steps, first=100 + 4 * steps)
        reused += len(free - set(rows._ids.free))
        engine.index_pending(8)
        check_storage(engine)
        steps += 1
        assert steps < 60, "coded again and again"
    assert reused > 0


def test_a_row_that_is_used_again_keeps_the_list_of_its_new_picture(tmp_path: Path) -> None:
    """The piece that is coded finely has seen the image of before, and may come later."""
    engine = restored(written(engine_with(V[:300]), tmp_path)).engine
    index = engine._index
    (coarse,) = index.built.pieces
    coding = Coding(
        coder_of(engine),
        coarse.rows,
        index.rows,
        lambda rows: index.list_of[rows],
        replaces=(coarse,),
    )
    while not coding.finished:
        coding.step()
    other = (int(index.list_of[7]) + 1) % len(coder_of(engine).centroids)
    index.list_of[7] = other  # by the piece of its new image
    engine._upkeep._listing._publish(coding)
    assert index.list_of[7] == other
    assert index.built.pieces == (coding.piece,)
