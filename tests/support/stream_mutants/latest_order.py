"""Bugs to plant in the order of events, and in the guard of a product's latest order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from streams.ingest.latest import LatestOrder, _ProductLock
from streams.ingest.order import OriginalPosition
from streams.ingest.outcome import EventOutcome
from tests.support.stream_mutants.planting import Mutants
from visualsearch.contracts.records import Order
from visualsearch.lru import Lru
from visualsearch.types import Outcome as Applied
from visualsearch.types import Record

MUTANTS = Mutants()


@MUTANTS.plant("streams.ingest.latest.LatestOrder.is_stale", "latest_order")
def supersedes_an_equal_order(_: Any) -> Any:
    """Take a retry of an event for older than its first write."""

    def is_stale(self: LatestOrder, product_id: str, order: Order) -> bool:
        known = self._orders.get(product_id)
        return known is not None and order <= known

    return is_stale


@MUTANTS.plant("streams.ingest.latest.LatestOrder.is_stale", "latest_order")
def compares_times_only(_: Any) -> Any:
    """Look at the first number of an order."""

    def is_stale(self: LatestOrder, product_id: str, order: Order) -> bool:
        known = self._orders.get(product_id)
        return known is not None and order[0] < known[0]

    return is_stale


@MUTANTS.plant("streams.ingest.latest.LatestOrder.is_stale", "latest_order")
def knows_no_order(_: Any) -> Any:
    """Write whatever comes."""
    return lambda *_: False


def _turn(
    *,
    early: bool = False,
    locked: bool = True,
    faults: bool = True,
    shared: bool = True,
    clean: bool = True,
    late: bool = True,
) -> Any:
    """Return a `turn` with one slip.

    It notes the order before the write, takes no lock, loses the dead letters, drops a lock that
    others wait for, leaves the lock of a failed write behind, or decides before it has the lock.
    """

    @asynccontextmanager
    async def turn(self: LatestOrder, outcome: EventOutcome) -> AsyncIterator[EventOutcome]:
        product_id, record, _ = outcome.records[0]
        lock = self._writing.setdefault(product_id, _ProductLock()) if locked else _ProductLock()
        lock.users += 1
        done, stale = False, self.is_stale(product_id, record.order)
        try:
            async with lock.lock:
                if self.is_stale(product_id, record.order) if late else stale:
                    kept = outcome.faults if faults else []
                    yield EventOutcome("superseded", outcome.type, faults=kept)
                else:
                    if early:
                        self._orders.put(product_id, record.order)
                    yield outcome
                    self._orders.put(product_id, record.order)
            done = True
        finally:
            lock.users -= 1
            if (not lock.users or not shared) and (done or clean):
                self._writing.pop(product_id, None)

    return turn


@MUTANTS.plant("streams.ingest.latest.LatestOrder.turn", "latest_order")
def notes_the_order_before_the_write(_: Any) -> Any:
    """Let a write that fails supersede older ones."""
    return _turn(early=True)


@MUTANTS.plant("streams.ingest.latest.LatestOrder.turn", "latest_order")
def writes_without_the_lock(_: Any) -> Any:
    """Let two writes of a product overtake each other."""
    return _turn(locked=False)


@MUTANTS.plant("streams.ingest.latest.LatestOrder.turn", "latest_order")
def loses_the_dead_letters_of_a_superseded_event(_: Any) -> Any:
    """Supersede an event together with its dead letters."""
    return _turn(faults=False)


@MUTANTS.plant("streams.ingest.latest.LatestOrder.turn", "latest_order")
def drops_a_lock_that_others_wait_for(_: Any) -> Any:
    """Forget a product's lock with its first user, so that a newcomer gets another one."""
    return _turn(shared=False)


@MUTANTS.plant("streams.ingest.latest.LatestOrder.turn", "latest_order")
def keeps_the_lock_of_a_failed_write(_: Any) -> Any:
    """Leave a lock behind for each product whose write raised."""
    return _turn(clean=False)


@MUTANTS.plant("streams.ingest.latest.LatestOrder.turn", "latest_order")
def looks_before_it_waits(_: Any) -> Any:
    """Decide what is superseded before the lock is held."""
    return _turn(late=False)


@MUTANTS.plant("visualsearch.lru.Lru.put", "latest_order")
def remembers_one_product_less(_: Any) -> Any:
    """Let one go before the memory is full."""

    def put(self: Lru[Any, Any], key: Any, value: Any) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) >= self._size:
            self._values.popitem(last=False)

    return put


@MUTANTS.plant("visualsearch.lru.Lru.put", "latest_order")
def keeps_the_first_order(_: Any) -> Any:
    """Leave a value that is known already."""

    def put(self: Lru[Any, Any], key: Any, value: Any) -> None:
        self._values.setdefault(key, value)

    return put


@MUTANTS.plant("streams.ingest.order.original_position", "replayed_events")
def orders_a_replay_by_where_it_stands(_: Any) -> Any:
    """Give a replayed event the time and offset of its replay."""
    return lambda message: OriginalPosition(message.timestamp_ms, message.offset)


@MUTANTS.plant("visualsearch.index.products.Products.judge", "crashed_readers")
def applies_older_records(real: Any) -> Any:
    """Let the index take whatever comes."""
    return lambda record, _: real(record, None)


@MUTANTS.plant("visualsearch.index.products.Products.judge", "log_healing")
def ignores_records_of_equal_order(real: Any) -> Any:
    """Take a record that is as new as what is known for older."""

    def judge(record: Record, state: Any) -> Applied:
        orders = {} if state is None else state.orders
        known = record.order in orders.values()
        return Applied.STALE if known else real(record, state)

    return judge
