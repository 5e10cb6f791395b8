"""Bugs to plant in the order of events, and in the guard of a product's latest order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from streams.ingest.latest import Newest, _Turn
from streams.ingest.order import Place
from streams.ingest.outcome import Outcome, Publish
from streams.kafka.messages import SourceMessage
from tests.support.stream_mutants.planting import Mutants
from visualsearch.contracts.records import Order
from visualsearch.lru import Lru
from visualsearch.types import Outcome as Applied
from visualsearch.types import Record

MUTANTS = Mutants()


@MUTANTS.plant("streams.ingest.latest.Newest.outdated", "latest_order")
def supersedes_an_equal_order(_: Any) -> Any:
    """Take a retry of an event for older than its first write."""

    def outdated(self: Newest, product_id: str, order: Order) -> bool:
        known = self._orders.get(product_id)
        return known is not None and order <= known

    return outdated


@MUTANTS.plant("streams.ingest.latest.Newest.outdated", "latest_order")
def compares_times_only(_: Any) -> Any:
    """Look at the first number of an order."""

    def outdated(self: Newest, product_id: str, order: Order) -> bool:
        known = self._orders.get(product_id)
        return known is not None and order[0] < known[0]

    return outdated


@MUTANTS.plant("streams.ingest.latest.Newest.outdated", "latest_order")
def knows_no_order(_: Any) -> Any:
    """Write whatever comes."""
    return lambda *_: False


def _publish(*, early: bool = False, alone: bool = True, faults: bool = True) -> Any:
    """Return a `publish` that notes orders early, takes no lock or loses the dead letters."""

    async def publish(
        self: Newest, message: SourceMessage, outcome: Outcome, publish: Publish
    ) -> None:
        product_id, record, _ = outcome.records[0]
        async with self._alone(product_id if alone else object()):  # type: ignore[arg-type]
            if self.outdated(product_id, record.order):
                kept = outcome.faults if faults else []
                outcome = Outcome("superseded", outcome.type, faults=kept)
            elif early:
                self._orders.put(product_id, record.order)
            await publish([message], [outcome])
            if outcome.records:
                self._orders.put(product_id, record.order)

    return publish


@MUTANTS.plant("streams.ingest.latest.Newest.publish", "latest_order")
def notes_the_order_before_the_write(_: Any) -> Any:
    """Let a write that fails supersede older ones."""
    return _publish(early=True)


@MUTANTS.plant("streams.ingest.latest.Newest.publish", "latest_order")
def writes_without_the_lock(_: Any) -> Any:
    """Let two writes of a product overtake each other."""
    return _publish(alone=False)


@MUTANTS.plant("streams.ingest.latest.Newest.publish", "latest_order")
def loses_the_dead_letters_of_a_superseded_event(_: Any) -> Any:
    """Supersede an event together with what is to be told of it."""
    return _publish(faults=False)


@MUTANTS.plant("streams.ingest.latest.Newest.publish", "latest_order")
def looks_before_it_waits(_: Any) -> Any:
    """Decide what is superseded before it is alone."""

    async def publish(
        self: Newest, message: SourceMessage, outcome: Outcome, publish: Publish
    ) -> None:
        product_id, record, _ = outcome.records[0]
        if self.outdated(product_id, record.order):
            outcome = replace(outcome, word="superseded", records=[])
        async with self._alone(product_id):
            await publish([message], [outcome])
            if outcome.records:
                self._orders.put(product_id, record.order)

    return publish


@MUTANTS.plant("streams.ingest.latest.Newest._alone", "latest_order")
def drops_a_lock_that_others_wait_for(_: Any) -> Any:
    """Forget a product's lock with its first user, so that a newcomer gets another one."""

    @asynccontextmanager
    async def alone(self: Newest, product_id: str) -> AsyncIterator[None]:
        turn = self._writing.setdefault(product_id, _Turn())
        try:
            async with turn.lock:
                yield
        finally:
            self._writing.pop(product_id, None)

    return alone


@MUTANTS.plant("streams.ingest.latest.Newest._alone", "latest_order")
def keeps_the_lock_of_a_failed_write(_: Any) -> Any:
    """Leave a lock behind for each product whose write raised."""

    @asynccontextmanager
    async def alone(self: Newest, product_id: str) -> AsyncIterator[None]:
        turn = self._writing.setdefault(product_id, _Turn())
        turn.users += 1
        async with turn.lock:
            yield
        turn.users -= 1
        if not turn.users:
            del self._writing[product_id]

    return alone


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


@MUTANTS.plant("streams.ingest.order.place_of", "replayed_events")
def orders_a_replay_by_where_it_stands(_: Any) -> Any:
    """Give a replayed event the time and offset of its replay."""
    return lambda message: Place(message.timestamp_ms, message.offset)


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
