"""What the disturbances play on: a broker, topics, picture hosts, writers, a fleet of workers."""

import contextlib
import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streams.config.settings import Settings
from streams.config.topics import topic_specs
from streams.ingest.order import OrderMode
from streams.kafka.topics import create_topics
from streams.tools.broker import BrokerInfo, broker_status, start_broker, stop_broker
from streams.tools.fsck.cluster import Cluster
from streams.tools.fsck.lateness import LANES
from streams.tools.fsck.values import FsckError
from tests.support.bomb import publish_bomb
from tests.support.fault.catalogue import Author, Writer
from tests.support.fault.fleet import Fleet, Life, until
from tests.support.fault.hosts import Hosts
from tests.support.harness import make_settings
from tests.support.path_events import created
from tests.support.raw_producer import RawMessage, publish
from visualsearch.client.search_client import SearchClient
from visualsearch.contracts.events import encode_event
from visualsearch.contracts.search import QuerySpec, SearchRequest

PARTITIONS = 4
CHOSEN: dict[str, Any] = {
    "heal_grace_s": 1.0,
    "fetch_timeout_s": 10.0,
    "retry_delays_s": (1.0, 3.0, 10.0, 20.0),
    "retry_timeout_s": 10.0,
    "snapshot_interval_s": 2.0,
    "snapshot_at_stop": True,
    "session_timeout_s": 6.0,  # the least that a broker takes: a killed worker stands for so long
}


class Stage:
    """All parts of a run, and what several of its scenes need."""

    def __init__(
        self, folder: Path, info: BrokerInfo, settings: Settings, hosts: Hosts, rng: random.Random
    ) -> None:
        self._folder = folder
        self._rng = rng
        self._port = int(info.bootstrap.rpartition(":")[2])
        self.settings = settings
        self.fleet = Fleet(folder / "workers", environ_of(settings))
        self.authors = [
            Author(random.Random(rng.randrange(2**32)), hosts, settings.topics, settings.order_mode)
            for _ in range(2)
        ]
        self.writers = [Writer(settings, author) for author in self.authors]
        self.cluster = Cluster(settings.kafka(), timeout_s=5.0)
        self.images = folder / "images"  # where the blob store is, when it is there
        self.images.mkdir()
        (folder / "no-store").touch()
        self.put_store(away=False)

    def burst(self) -> None:
        """Have both writers publish many events now."""
        for writer in self.writers:
            writer.burst()

    def committed(self) -> list[int] | None:
        """Return how many events each lane has committed; None while the broker is away."""
        topics = self.settings.topics.product_topics()
        parts = [(topic, number) for topic in topics for number in range(PARTITIONS)]
        try:
            found = [self.cluster.committed(self.settings.group(x), parts) for x in LANES]
        except FsckError:
            return None
        return [sum(offsets.values()) for offsets in found]

    def await_progress(self, patience_s: float = 240.0, *, lanes: tuple[str, ...] = LANES) -> None:
        """Wait until each of these pipelines has committed more than it has now. StuckError."""
        marks: list[list[int]] = []
        chosen = [LANES.index(lane) for lane in lanes]

        def advanced() -> bool:
            now = self.committed()
            if now is not None and not marks:
                marks.append(now)
            return now is not None and all(now[n] > marks[0][n] for n in chosen)

        until(advanced, f"{', '.join(lanes)} advance ({self.fleet.alive})", patience_s)

    def await_searches(self, patience_s: float = 60.0) -> None:
        """Wait until ten searches in a row are answered within their two seconds. StuckError."""
        settings = self.settings
        answered = 0

        def enough() -> bool:
            nonlocal answered
            body = SearchRequest(request_id=f"s{answered}", query=QuerySpec(text="a mug"))
            answered = answered + 1 if client.search(body).status == "ok" else 0
            return answered >= 10

        topics = settings.topics
        with contextlib.closing(
            SearchClient(settings.kafka(), topics.search_requests, topics.search_results)
        ) as client:
            client.wait_ready()
            until(enough, "searches are answered whatever the workers' clocks say", patience_s)

    def poison(self) -> None:
        """Publish headers that are no text, and batches that do not unpack: events, requests."""
        for topic, body in (
            (self.settings.topics.product_events, encode_event(created("poisoned"))),
            (self.settings.topics.search_requests, b'{"request_id": "p", "query": {"text": "x"}}'),
        ):
            number = self._rng.randrange(PARTITIONS)
            headers = ((b"\xff\xfe\x80", b"v"),)
            publish(
                self.settings.bootstrap, [RawMessage(topic, number, b"poisoned", body, headers)]
            )
            publish_bomb(self.settings, topic, number, messages=self._rng.choice((1, 40)))

    def up_to_strength(self, count: int) -> None:
        """Have so many workers ready, none of them condemned. Raises StuckError."""

        def enough() -> bool:
            alive = [life for life in self.fleet.alive if not life.condemned]
            for _ in range(count - len(alive)):
                self.fleet.launch()
            return len(self.fleet.ready) >= count

        until(enough, f"{count} workers are ready")

    def kill_broker(self) -> None:
        """Kill the broker: no warning, nothing flushed."""
        info = broker_status(self._folder / "broker")
        assert info is not None
        assert info.pid is not None
        os.kill(info.pid, signal.SIGKILL)
        until(lambda: broker_status(self._folder / "broker") is None, "the broker is gone")

    def put_store(self, *, away: bool) -> None:
        """Take the blob store away, so that every write fails, or bring it back as it was."""
        store = self.settings.data_dir / "blobs"
        store.parent.mkdir(exist_ok=True)
        following = store.with_name("following")
        following.symlink_to(self._folder / "no-store" if away else self.images)
        following.replace(store)

    def start_broker(self) -> None:
        """Start it again: same folder, same port."""
        start_broker(self._folder / "broker", port=self._port)

    def calm(self) -> None:
        """Publish nothing more."""
        for writer in self.writers:
            writer.close()

    def survivors(self) -> list[Life]:
        """Return the workers that serve, clocks set right."""
        for life in self.fleet.ready:
            life.order("clock 0")
        return self.fleet.ready


def environ_of(settings: Settings) -> dict[str, str]:
    """Return the settings as the environment of a process."""
    names = {
        "bootstrap",
        "topic_prefix",
        "order_mode",
        "data_dir",
        "http_port",
        "fetch_allow",
        "snapshot_store",
    }
    given = settings.model_dump(mode="json", include=names | CHOSEN.keys(), exclude_none=True)
    values = {f"VISUALSEARCH_{n.upper()}": _text(value) for n, value in given.items()}
    return values | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@contextlib.contextmanager
def staged(folder: Path, mode: OrderMode, rng: random.Random) -> Iterator[Stage]:
    """Give a stage on an Apache Kafka of its own; nothing of it is left behind."""
    info = start_broker(folder / "broker")
    try:
        settings = make_settings(info.bootstrap, folder / "data", order_mode=mode,
                                 snapshot_store=(folder / "store").as_uri(), **CHOSEN)  # fmt: skip
        specs = topic_specs(settings.topics, products=PARTITIONS, index_log=PARTITIONS)
        create_topics(settings.bootstrap, specs)
        with Hosts() as hosts:
            stage = Stage(folder, info, settings, hosts, rng)
            with contextlib.closing(stage.fleet):
                yield stage
    finally:
        stop_broker(folder / "broker")
