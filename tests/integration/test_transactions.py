"""Events of a transactional producer: markers and aborted records are no messages, nobody waits."""

import asyncio
from pathlib import Path as Folder

import pytest
from confluent_kafka import Producer as ConfluentProducer

from streams.kafka import lag
from streams.tools.broker import BrokerInfo
from tests.integration.test_fsck import fsck, named
from tests.support.harness import (
    Path,
    inline,
    make_settings,
    make_topics,
    path_of,
    running_path,
)
from tests.support.path_events import created, offer
from visualsearch.contracts.events import ProductEvent, encode_event

ROUND_S = 0.3


class Shop:
    """A catalog system that publishes in transactions."""

    def __init__(self, path: Path) -> None:
        self._topic = path.topics.product_events
        self._producer = ConfluentProducer(
            path.settings.kafka() | {"transactional.id": self._topic, "linger.ms": 0}
        )
        self._producer.init_transactions(30)

    def begin(self, *events: ProductEvent) -> None:
        """Begin a transaction of these events; all of them are written to the topic."""
        self._producer.begin_transaction()
        for event in events:
            key = event.product.product_id.encode()
            self._producer.produce(self._topic, key=key, value=encode_event(event))
        assert self._producer.flush(10) == 0

    def commit(self, *events: ProductEvent) -> None:
        """Publish these events."""
        self.begin(*events)
        self._producer.commit_transaction(30)

    def abort(self, *events: ProductEvent) -> None:
        """Take these events back."""
        self.begin(*events)
        self._producer.abort_transaction(30)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have lag measured more often than in a worker."""
    monkeypatch.setattr(lag, "EVERY_S", ROUND_S)


async def rounds(count: int = 4) -> None:
    """Let the lag be measured so many times."""
    await asyncio.sleep(count * ROUND_S)


async def test_after_a_transactional_producer_nothing_is_late_and_nothing_is_left(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """Each group stands before a marker for good, and before aborted records."""
    async with running_path(kafka.bootstrap, tmp_path) as path:
        shop = await asyncio.to_thread(Shop, path)
        for n in range(8):
            shop.commit(created(f"p{n}", inline(n)))
            shop.abort(offer(f"p{n}", price=1.0), created(f"aborted-{n}", inline(n)))
        shop.abort(*(offer(f"p{n % 8}", price=2.0) for n in range(500)))
        await path.settled()
        report = await fsck(path, wait_s=5.0)
        assert (report.status, named(report)) == (0, {})
        assert (report.events, report.expected, report.served) == (8, 8, 8)
        await rounds()
        for group in ("attributes", "embedding"):
            assert path.exported_lag(group) == (0.0, 0.0)


async def test_an_event_between_markers_and_aborted_records_is_late(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """It is one message among many offsets, and nobody works on it."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    await asyncio.to_thread(make_topics, settings)
    async with path_of(settings, frozenset({"search"})) as path:
        shop = await asyncio.to_thread(Shop, path)
        shop.abort(created("never", inline(1)), created("never", inline(2)))
        shop.commit(created("late", inline(3)))
        shop.abort(created("never", inline(4)))
        assert path.lag("attributes") == 1
        report = await fsck(path, wait_s=0.2)
        assert (report.status, report.verdict) == (2, "late")
        assert {f.product_id for f in report.findings["late"] if f.product_id} == {"late"}


async def test_what_an_open_transaction_holds_is_no_lag_yet(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """Nobody may read it; once committed it is searchable, and the path is settled."""
    async with running_path(kafka.bootstrap, tmp_path) as path:
        shop = await asyncio.to_thread(Shop, path)
        shop.begin(created("p", inline(1)))
        await path.settled()
        await rounds()
        assert path.exported_lag("embedding") == (0.0, 0.0)
        assert (await fsck(path, wait_s=2.0)).expected == 0
        shop._producer.commit_transaction(30)
        await path.settled()
        assert await path.names_showing(1) == ["p"]
