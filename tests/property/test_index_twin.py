"""The engine against its exact twin: any course of records, index steps and searches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from tests.support import strategies as world
from tests.support.index_machine import SEEN, TwinMachine, drain, tiny_engine
from tests.support.index_storage import check_storage
from tests.support.index_tiny import shrink
from visualsearch.types import Query, Record


def test_any_course_of_events_is_answered_as_by_the_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer, every count and the storage itself, after every step; no strategy is missed."""
    shrink(monkeypatch)
    SEEN.clear()
    machine = settings(max_examples=15, stateful_step_count=25)
    run_state_machine_as_test(TwinMachine, settings=machine)
    print("twin:", dict(SEEN))
    ways = {"exact", "graph", "ivfpq", "empty"}
    assert set(SEEN) >= ways | {"merge", "reuse", "piece", "measured", "coarse"}


@given(
    batch=st.lists(
        world.records, max_size=40, unique_by=lambda r: (type(r), r.product_id, r.order)
    ),
    shuffle=st.randoms(use_true_random=False),
    query=world.queries(),
)
@settings(max_examples=100)
def test_any_order_and_repetition_of_records_gives_the_same_state(
    batch: list[Record], shuffle: "np.random.Generator", query: Query
) -> None:
    """Replays, duplicates and late events change nothing: the newest of each kind decides."""
    straight, mixed = tiny_engine("exact"), tiny_engine("exact")
    straight.apply(batch)
    again = [*batch, *batch[::2]]
    shuffle.shuffle(again)
    for record in again:
        mixed.apply([record])
        mixed.index_pending(3)
    drain(mixed)
    check_storage(mixed)
    for product_id in {record.product_id for record in batch}:
        assert straight.product(product_id) == mixed.product(product_id)
        left, right = straight.vectors_of(product_id), mixed.vectors_of(product_id)
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(left, right, strict=True))
    one, other = straight.search(query), mixed.search(query)
    assert one.hits == other.hits
    assert one.plan == other.plan
