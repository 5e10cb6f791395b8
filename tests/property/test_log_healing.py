"""The index log heals itself: compacted without mercy, it still replays to the live index.

A history here is the life of one product; products share lanes, readers and log in a run.
"""

import os
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.ingest.order import OrderMode
from tests.support.log_catalogue import PRODUCTS
from tests.support.log_history import History
from tests.support.log_replica import state_of

# Half of them in each order mode; `make test-deep` runs 10,000, a minute more.
HISTORIES = int(os.environ.get("VISUALSEARCH_TEST_HISTORIES", "2000"))
STEPS = 64  # about four events per product
MODES: tuple[OrderMode, OrderMode] = ("timestamp", "explicit")


def assert_healed(history: History) -> None:
    """Check a run: replicas agree, hold the newest event of each kind, and so does the log."""
    live = state_of(history.replicas[0].engine, PRODUCTS)
    for (product_id, kind), order in history.truth().items():
        assert live[product_id][0].orders[kind] == order
    assert [len(replica.ledger) for replica in history.replicas] == [0, 0]
    assert state_of(history.replicas[1].engine, PRODUCTS) == live
    fresh = history.replayed()
    assert state_of(fresh.engine, PRODUCTS) == live
    assert len(fresh.ledger) == 0
    assert all(len({e.key() for e in part}) == len(part) for part in history.log.entries)


def runs(mode: OrderMode, histories: int, *, heals: bool) -> Iterator[History]:
    """Yield runs that hold exactly so many histories in all."""
    assert histories % len(PRODUCTS) == 0
    for seed in range(histories // len(PRODUCTS)):
        history = History(random.Random(f"{mode}-{seed}"), mode, heals=heals)
        history.run(STEPS)
        yield history


def check_healing(mode: OrderMode, histories: int) -> None:
    """Check so many histories, and that they had something to heal."""
    appended = 0
    for history in runs(mode, histories, heals=True):
        assert_healed(history)
        appended += sum(replica.appended for replica in history.replicas)
    assert appended > histories // 10, "hardly anything had to be healed"


@pytest.mark.parametrize("mode", MODES)
def test_a_compacted_log_replays_to_the_live_index(mode: OrderMode) -> None:
    """Whatever overtook what, and whichever heal was lost or came late."""
    check_healing(mode, HISTORIES // 2)


@pytest.mark.parametrize("mode", MODES)
def test_without_healing_a_compacted_replay_differs(mode: OrderMode) -> None:
    """Or the test above would show nothing: deleted products come back, and live ones go."""
    resurrected = gone = stale = 0
    for history in runs(mode, 400, heals=False):
        live = state_of(history.replicas[0].engine, PRODUCTS)
        replayed = state_of(history.replayed().engine, PRODUCTS)
        for name in PRODUCTS:
            resurrected += replayed[name][1] and not live[name][1]
            gone += live[name][1] and not replayed[name][1]
            stale += live[name] != replayed[name]
    assert resurrected > 5
    assert gone > 5
    assert stale > resurrected + gone


@settings(max_examples=40)
@given(st.randoms(use_true_random=False), st.sampled_from(MODES), st.integers(1, STEPS))
def test_the_smallest_history_that_breaks_it(
    rng: random.Random, mode: OrderMode, steps: int
) -> None:
    """The same, for hypothesis to shrink what it finds."""
    history = History(rng, mode)
    history.run(steps)
    assert_healed(history)
