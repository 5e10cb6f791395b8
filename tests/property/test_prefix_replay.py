"""A search worker that crashes after any record of the log: read again, the state is the same.

The straight run is the exact twin's, to which every record is applied once and in order.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.indexer.ledger import Ledger
from streams.indexer.reader import LogReader
from streams.indexer.records import engine_record
from streams.ingest.order import OrderMode
from tests.support.log_catalogue import PRODUCTS
from tests.support.log_history import History
from tests.support.log_replica import (
    DIM,
    METRICS,
    MODEL,
    PARTITIONS,
    SMALL,
    TOPIC,
    Entry,
    Log,
    LogConsumer,
    take,
)
from visualsearch.contracts.records import decode_record
from visualsearch.engine import Engine
from visualsearch.index.exact import ExactIndex
from visualsearch.index.products import Products
from visualsearch.types import Outcome, Record

MODES: tuple[OrderMode, OrderMode] = ("timestamp", "explicit")
STEPS = 64  # about four events per product
START = [0] * PARTITIONS


class Gullible(Products):
    """What takes whatever comes for the newest."""

    def judge(self, record: Record, slot: int | None) -> Outcome:  # noqa: ARG002 - as the real one
        """Say that nothing is known of the product."""
        return super().judge(record, None)


class Unguarded(Engine):
    """An engine that applies whatever comes, however old."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._products = Gullible()


def replay(rng: random.Random, log: Log, engine: Engine, start: Sequence[int]) -> None:
    """Read the log from these offsets to its ends, as the reader of a new process does."""
    consumer = LogConsumer(log)
    consumer._positions = list(start)
    ledger = Ledger(1.0, lambda: 0.0)
    reader = LogReader({}, TOPIC, engine, ledger, METRICS, lambda: 0.0, partitions=PARTITIONS)
    while not reader.caught_up.is_set():
        consumer.fetch(rng.randrange(PARTITIONS), rng.randint(1, 20))
        take(reader, consumer)


def prefixes(rng: random.Random, log: Log) -> Iterator[tuple[Log, Entry]]:
    """Yield the log with one record more each time, and that record."""
    left = [deque(entries) for entries in log.entries]
    prefix = Log()
    while ready := [place for place in range(PARTITIONS) if left[place]]:
        entry = left[rng.choice(ready)].popleft()
        prefix.entries[entry.place].append(entry)
        prefix.ends[entry.place] = entry.at + 1
        yield prefix, entry


def state(index: Engine | ExactIndex) -> dict[str, Any]:
    """Return what an index knows of each product, its vectors bit by bit."""
    return {
        name: (index.product(name), [(i, row.tobytes()) for i, row in index.vectors_of(name)])
        for name in PRODUCTS
    }


def wrong_after_crashes(
    rng: random.Random, log: Log, make_engine: Callable[[], Engine], skip: int = 0
) -> int:
    """Crash three workers after each record and let them replay; count what differs then.

    One keeps its state and reads from the start, one from any offset that it has applied (`skip`
    offsets further is too far), one has lost its state.
    """
    twin = ExactIndex(MODEL, DIM)
    from_start, from_any = make_engine(), make_engine()
    wrong = 0
    applied = START
    for prefix, entry in prefixes(rng, log):
        twin.apply([engine_record(*decode_record(entry.key(), entry.value()))])
        replay(rng, prefix, from_start, START)
        earlier = [rng.randint(0, end) for end in applied]
        replay(rng, prefix, from_any, [offset + skip for offset in earlier])
        replay(rng, prefix, empty := make_engine(), START)
        straight = state(twin)
        wrong += sum(state(engine) != straight for engine in (from_start, from_any, empty))
        applied = list(prefix.ends)
    return wrong


def guarded() -> Engine:
    """Return the engine as it is."""
    return Engine(MODEL, DIM, layout=SMALL)


def unguarded() -> Engine:
    """Return one without the order's guard."""
    return Unguarded(MODEL, DIM, layout=SMALL)


def log_of(rng: random.Random, mode: OrderMode, steps: int, *, heals: bool) -> Log:
    """Return the log of a random history, with late, repeated, healed and compacted records."""
    history = History(rng, mode, heals=heals)
    history.run(steps)
    return history.log


def check_replays(rng: random.Random, mode: OrderMode, steps: int, heals: bool) -> None:
    """Check that crashes leave no trace in the index."""
    log = log_of(rng, mode, steps, heals=heals)
    assert wrong_after_crashes(random.Random(steps), log, guarded) == 0


@settings(max_examples=16, deadline=None)
@given(
    st.randoms(use_true_random=False), st.sampled_from(MODES), st.integers(1, STEPS), st.booleans()
)
def test_a_replay_from_every_prefix_is_the_straight_run(
    rng: random.Random, mode: OrderMode, steps: int, heals: bool
) -> None:
    """After each record of the log, from its start, from any earlier offset, from nothing."""
    check_replays(rng, mode, steps, heals)


def test_without_the_guard_of_the_order_it_is_not() -> None:
    """Or the test above would show nothing."""
    rng = random.Random(1)
    log = log_of(rng, "timestamp", STEPS, heals=False)
    assert wrong_after_crashes(rng, log, unguarded) > 10


def test_one_record_that_is_not_read_shows() -> None:
    """An offset too far is a loss, and is seen as one."""
    rng = random.Random(2)
    log = log_of(rng, "timestamp", STEPS, heals=True)
    assert wrong_after_crashes(rng, log, guarded, skip=1) > 0
