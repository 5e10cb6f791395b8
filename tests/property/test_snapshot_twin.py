"""A snapshot of an engine that never stands still: restored and replayed, it is the twin."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import strategies as world
from tests.support.index_machine import (
    PRODUCTS,
    check_against,
    drain,
    reborn,
    restored_from,
    tiny_engine,
)
from tests.support.index_storage import check_storage
from tests.support.index_tiny import shrink
from visualsearch.engine import Engine
from visualsearch.index.exact import ExactIndex
from visualsearch.snapshot import copying
from visualsearch.snapshot.write import write
from visualsearch.types import Query, Record

batches = st.lists(st.lists(world.records, min_size=1, max_size=5), max_size=12)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy few products and rows at a time, so that much can happen between."""
    shrink(monkeypatch)
    monkeypatch.setattr(copying, "SLICE", 3)
    monkeypatch.setattr(copying, "BLOCK_ROWS", 4)


def assert_equal(engine: Engine, twin: ExactIndex, queries: list[Query]) -> None:
    """Assert that the engine knows and finds what the twin does."""
    check_storage(engine)
    names = {state.product_id for state in engine.list_products(0, 10_000)}
    assert names == {*twin._base, *twin._offer, *twin._vectors}
    for name in names:
        assert engine.product(name) == twin.product(name)
        mine, its = engine.vectors_of(name), twin.vectors_of(name)
        assert [image for image, _ in mine] == [image for image, _ in its]
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(mine, its, strict=True))
    good = wanted = 0
    for query in queries:
        both = check_against(twin, query, engine.search(query))
        good, wanted = good + both[0], wanted + both[1]
    assert good >= 0.9 * wanted - 2


@given(
    seed=st.integers(0, 99),
    before=st.lists(world.records, max_size=20),
    during=batches,
    after=st.lists(world.records, max_size=10),
    steps=st.integers(0, 40),
    queries=st.lists(world.queries(), min_size=1, max_size=4),
)
@settings(max_examples=60)
def test_what_changes_meanwhile_is_in_the_replay(
    seed: int,
    before: list[Record],
    during: list[list[Record]],
    after: list[Record],
    steps: int,
    queries: list[Query],
) -> None:
    """Records and steps behind, at every slice of the copy; the log is replayed from before it."""
    engine, twin = tiny_engine("mixed"), ExactIndex(world.MODEL, world.DIM)
    log: list[Record] = [*world.catalogue(seed, PRODUCTS), *before]
    engine.apply(log)
    for _ in range(steps):
        engine.index_pending(8)
    offset = len(log)
    coming = iter(during)

    def meanwhile() -> None:
        batch = next(coming, [])
        engine.apply(batch)
        log.extend(batch)
        engine.index_pending(8)

    with TemporaryDirectory() as folder:
        path = write(engine, Path(folder), source={}, created_at=0.0, pause=meanwhile)
        restored = restored_from(path, "mixed")
    log += after
    twin.apply(log)
    engine.apply(after)
    restored.apply(log[offset:])
    for index in (engine, restored):
        assert_equal(index, twin, queries)
    drain(restored)
    assert_equal(restored, twin, queries)
    assert_equal(reborn(restored, "mixed"), twin, queries)


@given(records=st.lists(world.records, max_size=60))
@settings(max_examples=60)
def test_deleted_products_stay_deleted(records: list[Record]) -> None:
    """Delete markers, half-known products and orders come back: what is stale stays stale."""
    engine = tiny_engine("exact")
    engine.apply(records)
    again = reborn(reborn(engine, "exact"), "exact")
    assert again.list_products(0, 1_000) == engine.list_products(0, 1_000)
    mine, its = again.stats(), engine.stats()
    assert (mine.products, mine.vectors) == (its.products, its.vectors)
    assert mine.rows == mine.fresh_rows, "dead rows are left behind"
    assert again.apply(records) == engine.apply(records)
    assert again.list_products(0, 1_000) == engine.list_products(0, 1_000)
