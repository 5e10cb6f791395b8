"""Between the copy of the products and that of their vectors, everything may change."""

import sys
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from tests.support.index_machine import drain
from tests.support.index_storage import check_storage
from tests.support.index_tiny import shrink
from tests.support.snapshots import DIM, LISTED, MODEL, pictured, restored, written
from tests.support.strategies import clustered
from visualsearch.engine import Engine
from visualsearch.index.codes import sample_rows, trained
from visualsearch.index.lists import Coder
from visualsearch.snapshot import copying
from visualsearch.types import FloatArray, Query

COUNT = 200
V = clustered(3 * COUNT, DIM, clusters=5, seed=21)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meet every border."""
    shrink(monkeypatch)
    monkeypatch.setattr(copying, "SLICE", 7)
    monkeypatch.setattr(copying, "BLOCK_ROWS", 16)


def put(engine: Engine, vectors: FloatArray, time: int) -> None:
    """Give the products 0, 1, 2 … these images."""
    for n in range(len(vectors)):
        engine.apply(pictured(vectors[n : n + 1], time, n))


def pictures(engine: Engine) -> dict[str, FloatArray]:
    """Return the only image of each product."""
    states = engine.list_products(0, 10_000)
    return {s.product_id: engine.vectors_of(s.product_id)[0][1] for s in states}


def test_rows_are_not_used_again_while_they_are_copied(tmp_path: Path) -> None:
    """Every image is replaced and every graph rebuilt: the copy has those of before."""
    engine = Engine(MODEL, DIM, layout=LISTED)
    put(engine, V[:COUNT], time=1)
    drain(engine)
    before = pictures(engine)
    used: list[int] = []

    def step(name: str) -> None:
        if name == "vectors":
            for time in (2, 3, 4):
                part = V[COUNT * (time % 2 + 1) :][:COUNT]
                put(engine, part, time)
                drain(engine)
            used.append(engine._index.rows.count)

    back = restored(written(engine, tmp_path, step=step)).engine
    check_storage(back)
    after = pictures(back)
    assert set(after) == set(before)
    assert all(np.array_equal(after[name], before[name]) for name in before)
    put(engine, V[:COUNT], time=5)  # now they may be
    drain(engine)
    put(engine, V[COUNT : 2 * COUNT], time=6)
    assert engine._index.rows.count < used[0] + COUNT // 4


def test_a_coder_that_is_trained_meanwhile_does_not_mix(tmp_path: Path) -> None:
    """Lists of rows and the coder that they are of are taken at one moment."""
    engine = Engine(MODEL, DIM, layout=LISTED)
    put(engine, V[:COUNT], time=1)
    drain(engine)
    listing = engine._upkeep._listing

    def retrain() -> None:
        listing.coder = Coder(trained(V[: sample_rows(COUNT)], COUNT, seed=2))
        engine._index.for_lists.push(np.arange(COUNT))
        listing._coding = None

    def pause() -> None:
        engine.index_pending(64)

    back = restored(
        written(engine, tmp_path, pause=pause, step=lambda n: retrain() if n == "vectors" else None)
    ).engine
    (piece,) = back._index.built.pieces
    lists = piece.coder.lists_of(back._index.rows.unit(np.arange(COUNT)))
    assert np.array_equal(lists, back._index.list_of[:COUNT])


def test_an_index_without_lists_gets_them_in_its_snapshot(tmp_path: Path) -> None:
    """A bulk load that was not coded yet: what is restored must not scan."""
    engine = Engine(MODEL, DIM, layout=LISTED)
    put(engine, V[:COUNT], time=1)
    assert not engine._index.built.pieces
    path = written(engine, tmp_path)
    (piece,) = restored(path).engine._index.built.pieces
    assert len(piece.rows) == COUNT


def test_searches_and_records_go_on_in_other_threads(tmp_path: Path) -> None:
    """Real threads: nothing fails, and every snapshot is whole."""
    engine = Engine(MODEL, DIM, layout=LISTED)
    put(engine, V[:COUNT], time=1)
    engine.start()
    failures: list[Exception] = []
    going = [True]

    def work(once: object) -> None:
        try:
            time = 2
            while going[0]:
                if once == "search":
                    assert len(engine.search(Query(V[time % COUNT], top_k=5)).hits) == 5
                else:
                    put(engine, V[time % COUNT :][:40], time)
                time += 1
        except Exception as error:
            failures.append(error)

    threads = [Thread(target=work, args=(kind,)) for kind in ("search", "records", "search")]
    for thread in threads:
        thread.start()
    try:
        for at in range(4):
            back = restored(written(engine, tmp_path, at=float(at))).engine
            check_storage(back)
            assert len(back.search(Query(V[0], top_k=COUNT)).hits) == COUNT
    finally:
        going[0] = False
        for thread in threads:
            thread.join()
        engine.close()
    assert failures == []


def test_without_faiss_a_snapshot_with_lists_is_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the live index would be: right, only slower; and its rows wait for lists again."""
    engine = Engine(MODEL, DIM, layout=LISTED)
    put(engine, V[:COUNT], time=1)
    path = written(engine, tmp_path)
    monkeypatch.setitem(sys.modules, "faiss", None)
    back = restored(path).engine
    check_storage(back)
    assert back.active_strategy == "exact"
    assert len(back.search(Query(V[0], top_k=COUNT)).hits) == COUNT
    monkeypatch.undo()
    drain(back)
    assert back._index.built.pieces
    check_storage(back)
