"""The latest-order guard against the log that it writes: side by side, with writes that fail."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.ingest.dead_letters import Fault
from streams.ingest.latest import LatestOrder
from streams.ingest.outcome import EventOutcome
from visualsearch.contracts.records import Order, VectorsLogRecord
from visualsearch.lru import Lru

PRODUCTS = ("a", "b")
TRIES = 3
FAULTS = [Fault("fetch", "image_http_404", "gone")]


@dataclass(frozen=True, slots=True)
class Write:
    """A record to publish; times are turns of the event loop."""

    product_id: str
    version: int
    starts_at: int
    takes: int
    failures: int  # of `TRIES` attempts; if all fail, the record is given up

    @property
    def order(self) -> Order:
        """The order of the record."""
        return (self.version // 2, self.version % 2, 0)

    @property
    def outcome(self) -> EventOutcome:
        """What the pipeline publishes: the record, and a dead letter for one of its images."""
        record: Any = (self.product_id, VectorsLogRecord(order=self.order, deleted=True), None)
        return EventOutcome("indexed", "product-updated", [record], FAULTS)


WRITES = st.lists(
    st.builds(
        Write,
        product_id=st.sampled_from(PRODUCTS),
        version=st.integers(0, 4),
        starts_at=st.integers(0, 12),
        takes=st.integers(0, 4),
        failures=st.sampled_from((0, 0, 0, 1, 2, TRIES)),
    ),
    min_size=2,
    max_size=8,
)


class Publishing:
    """Writers that share a guard, and the log of each product that they write."""

    def __init__(self) -> None:
        self.latest = LatestOrder()
        self.latest._orders = Lru(len(PRODUCTS))  # no more than it has to remember here
        self.log: defaultdict[str, list[Order]] = defaultdict(list)
        self.published = 0

    async def run(self, writes: Sequence[Write]) -> None:
        """Publish all side by side."""
        await asyncio.gather(*map(self._retried, writes))

    async def _retried(self, write: Write) -> None:
        await _turns(write.starts_at)
        for attempt in range(TRIES):
            try:
                await self._attempt(write, fails=attempt < write.failures)
            except ConnectionError:
                continue
            return

    async def _attempt(self, write: Write, *, fails: bool) -> None:
        async with self.latest.turn(write.outcome) as current:
            await _turns(write.takes)
            if fails:
                raise ConnectionError("the broker is away")
            self._append(write, current)

    def _append(self, write: Write, outcome: EventOutcome) -> None:
        """Append to the log. Superseded are only records older than one that is written."""
        self.published += 1
        written = self.log[write.product_id]
        if outcome.records:
            assert outcome == write.outcome
            written.append(write.order)
        else:
            assert outcome == replace(write.outcome, label="superseded", records=[])
            assert written
            assert write.order < max(written), "a record is superseded by none that is written"


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def check_latest_order(writes: Sequence[Write]) -> None:
    """Check that the log of each product is in order, and that nothing is lost or left over."""
    publishing = Publishing()
    asyncio.run(publishing.run(writes))
    for product_id, orders in publishing.log.items():
        assert orders == sorted(orders), f"{product_id}: an older record follows a newer one"
    assert publishing.published == sum(write.failures < TRIES for write in writes)
    assert not publishing.latest._writing


@given(WRITES)
def test_the_log_of_a_product_is_in_order(writes: list[Write]) -> None:
    """Records of equal order are all written: a retry of an event has the order of its event."""
    check_latest_order(writes)
