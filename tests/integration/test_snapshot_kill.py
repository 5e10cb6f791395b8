"""Worker processes killed with SIGKILL, that come back from their snapshots."""

import asyncio
import contextlib
import signal
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path as Folder

import pytest

from streams.config.settings import Settings
from streams.snapshots.request import AskError, ask_for_snapshot
from streams.snapshots.source import read_source
from streams.tools.broker import BrokerInfo
from streams.tools.fsck.worker import Worker
from tests.support.fault.fleet import Fleet, Life, until
from tests.support.fault.stage import environ_of
from tests.support.harness import inline, make_settings, make_topics, read_topic
from tests.support.path_events import created, deleted, offer
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import Producer
from visualsearch.client.tail import Position
from visualsearch.contracts.events import ProductEvent, encode_event
from visualsearch.snapshot.manifest import read_manifest

PRODUCTS = 20


class Shop:
    """A catalogue, and workers as processes, one at a time."""

    def __init__(self, settings: Settings, folder: Folder) -> None:
        self._settings = settings
        self.fleet = Fleet(folder / "workers", environ_of(settings))
        self._producer = Producer(settings.kafka())

    def close(self) -> None:
        """Kill what is left."""
        self.fleet.close()
        self._producer.close()

    def start(self) -> Life:
        """Return a new worker that is ready."""
        life = self.fleet.launch()
        until(lambda: life.ready or not life.alive, "the worker is ready")
        assert life.ready, life.tail()
        return life

    def kill(self, life: Life) -> None:
        """Kill a worker: nothing is flushed."""
        life.signal(signal.SIGKILL)
        life.process.wait()

    def after(self, starts: Sequence[Position]) -> int:
        """Return how many records the log has from these offsets on."""
        records = read_topic(self._settings, self._settings.topics.index_log)
        return sum(record.offset() >= starts[record.partition()].offset for record in records)

    def publish(self, *events: ProductEvent) -> None:
        """Publish events."""
        topic = self._settings.topics.product_events
        asyncio.run(
            self._producer.send(
                OutgoingMessage(topic, e.product.product_id.encode(), encode_event(e))
                for e in events
            )
        )


def found(life: Life) -> dict[str, float | None]:
    """Return the price of each product that a worker serves."""
    served = Worker(life.url).products()
    return {each.product_id: each.offer.price for each in served if each.searchable and each.offer}


def metric(life: Life, start: str) -> float:
    """Return the sum of the metrics whose lines begin so."""
    with urllib.request.urlopen(f"{life.url}/metrics", timeout=30) as answer:  # noqa: S310
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(start))


RESTORED = 'visualsearch_snapshots_total{outcome="restored"}'
READ = "visualsearch_log_records_total{"


@pytest.fixture
def shop(kafka: BrokerInfo, tmp_path: Folder) -> Iterator[Shop]:
    """Give a shop without workers, whose snapshots are taken by command alone."""
    settings = make_settings(kafka.bootstrap, tmp_path / "data")
    make_topics(settings)
    with contextlib.closing(Shop(settings, tmp_path)) as made:
        yield made


def test_a_killed_worker_comes_back_from_its_snapshot(shop: Shop) -> None:
    """It reads the tail alone, and what was deleted, before and after, stays deleted."""
    first = shop.start()
    shop.publish(*(created(f"p{n}", inline(n), price=1.0) for n in range(PRODUCTS)))
    shop.publish(deleted("p0"))
    expected: dict[str, float | None] = {f"p{n}": 1.0 for n in range(1, PRODUCTS)}
    until(lambda: found(first) == expected, "all is indexed")
    taken = ask_for_snapshot(first.url)
    assert taken["products"] == PRODUCTS
    shop.publish(offer("p2", price=9.0), deleted("p1"), created("new", inline(99), price=3.0))
    del expected["p1"]
    expected |= {"p2": 9.0, "new": 3.0}
    until(lambda: found(first) == expected, "the tail is applied")
    shop.kill(first)
    second = shop.start()
    assert metric(second, RESTORED) == 1
    assert found(second) == expected  # at once: ready is caught up
    starts = read_source(read_manifest(Folder(taken["path"])).source).positions
    until(lambda: metric(second, READ) == shop.after(starts), "it has read the tail")
    assert 0 < shop.after(starts) < shop.after([Position(0)] * len(starts))
    shop.publish(offer("p2", price=10.0))
    expected["p2"] = 10.0
    until(lambda: found(second) == expected, "it goes on")


def test_one_killed_at_each_step_of_a_snapshot_comes_back(shop: Shop) -> None:
    """From the older one, or from the new one if it has its name already."""
    life = shop.start()
    shop.publish(*(created(f"p{n}", inline(n), price=1.0) for n in range(PRODUCTS)))
    prices: dict[str, float | None] = {f"p{n}": 1.0 for n in range(PRODUCTS)}
    until(lambda: found(life) == prices, "all is indexed")
    ask_for_snapshot(life.url)
    for number, point in enumerate(
        ("freeze the index: after", "copy the vectors: after", "fsync a snapshot: before",
         "rename a snapshot: before", "rename a snapshot: after", "prune snapshots: before")
    ):  # fmt: skip
        shop.publish(offer("p1", price=float(number)))
        prices["p1"] = float(number)
        until(lambda life=life: found(life) == prices, f"price {number}")
        life.trap(point, 1, signal.SIGKILL)
        with contextlib.suppress(AskError):
            for _ in range(100):  # the trap is set when the worker has heard of it
                ask_for_snapshot(life.url)
        life.process.wait(30)
        assert life.hit == (point, "SIGKILL")
        life = shop.start()
        assert metric(life, RESTORED) == 1
        assert found(life) == prices
