"""The latest order of each product: keeps one process from writing stale records.

An event that was slow to fetch, or comes back from `product-retry`, may be older than the last
record. A reader would ignore the stale record, but compaction would keep it until the log is healed
(ADR 5).
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
    users: int = 0  # tasks that hold the lock or wait for it


class LatestOrder:
    """The order of the newest record that this process wrote, for the last products."""

    def __init__(self) -> None:
        self._orders = Lru[str, Order](REMEMBERED)
        self._writing: dict[str, _ProductLock] = {}

    def is_stale(self, product_id: str, order: Order) -> bool:
        """Return whether a newer record is written already."""
        known = self._orders.get(product_id)
        return known is not None and order < known

    @asynccontextmanager
    async def turn(self, outcome: EventOutcome) -> AsyncIterator[EventOutcome]:
        """Hold the product's lock; yield the outcome, `superseded` if its record is stale.

        Records of one product are written one at a time. A record counts as written once the block
        ends without an error.
        """
        if not outcome.records:
            yield outcome
            return
        product_id, record, _ = outcome.records[0]
        entry = self._writing.setdefault(product_id, _ProductLock())
        entry.users += 1
        try:
            async with entry.lock:
                if self.is_stale(product_id, record.order):
                    yield EventOutcome("superseded", outcome.type, faults=outcome.faults)
                else:
                    yield outcome
                    self._orders.put(product_id, record.order)
        finally:
            entry.users -= 1
            if not entry.users:
                del self._writing[product_id]
