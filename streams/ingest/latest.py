"""The latest order of each product, so that what one process writes is in order.

An event that was slow to fetch, or comes back from `product-retry`, may be older than what was
written meanwhile. A reader would ignore its record, but compaction would keep it; the log is
healed of that (ADR 5), and what need not be healed is better.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from streams.ingest.outcome import EventOutcome
from visualsearch.contracts.records import Order
from visualsearch.lru import Lru

REMEMBERED = 100_000  # products


@dataclass(slots=True)
class _ProductLock:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0  # who has the lock or waits for it


class LatestOrder:
    """The order of the newest record that was written here, for the last products."""

    def __init__(self) -> None:
        self._orders = Lru[str, Order](REMEMBERED)
        self._writing: dict[str, _ProductLock] = {}

    def is_stale(self, product_id: str, order: Order) -> bool:
        """Return whether a newer record is written already."""
        known = self._orders.get(product_id)
        return known is not None and order < known

    @asynccontextmanager
    async def turn(self, outcome: EventOutcome) -> AsyncIterator[EventOutcome]:
        """Give what is to be written of an event: `superseded` where a newer one was quicker.

        One product's records are written one at a time. A record counts as written when the block
        ends without an error.
        """
        if not outcome.records:
            yield outcome
            return
        product_id, record, _ = outcome.records[0]
        turn = self._writing.setdefault(product_id, _ProductLock())
        turn.users += 1
        try:
            async with turn.lock:
                if self.is_stale(product_id, record.order):
                    yield EventOutcome("superseded", outcome.type, faults=outcome.faults)
                else:
                    yield outcome
                    self._orders.put(product_id, record.order)
        finally:
            turn.users -= 1
            if not turn.users:
                del self._writing[product_id]
