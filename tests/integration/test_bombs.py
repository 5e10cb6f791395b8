"""Messages that are small on the wire and huge unpacked: what they cost a worker's process."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from streams.config.settings import Settings
from streams.tools.broker import BrokerInfo
from tests.support.bomb import publish_bomb
from tests.support.fault.fleet import Life, until
from tests.support.harness import facts, inline, make_settings, make_topics, read_topic
from tests.support.lone_worker import lone_worker
from tests.support.meter import Meter
from tests.support.path_events import created
from visualsearch.contracts.events import encode_event

# What one bomb may cost at most, by codec: megabytes and CPU seconds. Measured: 96 MB and .2 s for
# zstd, 288 MB and 1.5 s for gzip, which the client unpacks whole and twice, in each of the two
# groups. Before, one request took 3.6 GB and 10 CPU-seconds, each time that it was read.
MOST = {"zstd": (250.0, 2.0), "lz4": (250.0, 2.0), "gzip": (500.0, 6.0)}
TAGS = b'"",'


class Target:
    """A worker in a process of its own, and its meter."""

    def __init__(self, settings: Settings, life: Life) -> None:
        self.settings = settings
        self.life = life
        self.meter = Meter(life.process.pid)

    def cost(self, attack: Callable[[], None], over: Callable[[], bool]) -> tuple[float, float]:
        """Return the CPU seconds and the megabytes that an attack takes until it is over."""
        time.sleep(1.0)  # for what the one before left behind
        cpu_s, before_mb = self.meter.cpu_s(), self.meter.rss_mb()
        self.meter.peak_mb()
        attack()
        until(over, "the bomb is dealt with", 60.0)
        return self.meter.cpu_s() - cpu_s, self.meter.peak_mb() - before_mb

    def codes(self) -> list[str]:
        """Return the codes of all dead letters."""
        return [
            facts(letter)["code"]
            for letter in read_topic(self.settings, self.settings.topics.dead_letters)
        ]

    def refused(self) -> list[str]:
        """Return the codes of the answers so far."""
        results = read_topic(self.settings, self.settings.topics.search_results)
        return [(json.loads(each.value())["error"] or {}).get("code", "") for each in results]


@pytest.fixture
def target(kafka: BrokerInfo, tmp_path: Path) -> Iterator[Target]:
    """Give a worker that is ready and has worked before."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    make_topics(settings)
    with lone_worker(settings, tmp_path) as life:
        target = Target(settings, life)
        yield target
        target.meter.close()


def publish(settings: Settings, topic: str, value: bytes, codec: str, key: bytes = b"bomb") -> None:
    """Publish one message, compressed."""
    producer = Producer(
        settings.kafka()
        | {"message.max.bytes": 990_000_000, "queue.buffering.max.kbytes": 1_000_000,
           "compression.type": codec}
    )  # fmt: skip
    failed: list[object] = []
    producer.produce(topic, value, key, 0, on_delivery=lambda error, _: failed.append(error))
    assert producer.flush(60) == 0
    assert failed == [None]


def request_of(megabytes: int) -> bytes:
    """Return a request whose filters name so many megabytes of empty tags."""
    tags = b"[" + TAGS * (megabytes * 1_000_000 // len(TAGS)) + b'""]'
    return b'{"request_id":"bomb","query":{"text":"x"},"filters":{"tags":' + tags + b"}}"


def test_bombs_cost_little_and_are_told(target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    """As an event and as a request, in each codec; afterwards the worker does its work."""
    settings, topics = target.settings, target.settings.topics
    event = encode_event(created("good", inline(1)))

    def unreadable(topic: str) -> tuple[float, float]:
        wanted = target.codes().count("message_unreadable") + 1
        return target.cost(
            lambda: publish_bomb(settings, topic, 0, messages=1),
            lambda: target.codes().count("message_unreadable") == wanted,
        )

    def event_of(codec: str, megabytes: int) -> tuple[float, float]:
        wanted = target.codes().count("event_too_large") + 1
        return target.cost(
            lambda: publish(
                settings, topics.product_events, event.ljust(megabytes * 1_000_000), codec
            ),
            lambda: target.codes().count("event_too_large") == wanted,
        )

    def request(codec: str, megabytes: int, code: str) -> tuple[float, float]:
        wanted = target.refused().count(code) + 1
        return target.cost(
            lambda: publish(settings, topics.search_requests, request_of(megabytes), codec),
            lambda: target.refused().count(code) == wanted,
        )

    costs = {
        "event, zstd, 110 MB": unreadable(topics.product_events),
        "request, zstd, 110 MB": unreadable(topics.search_requests),
        "event, zstd, 20 MB": event_of("zstd", 20),
        "event, gzip, 100 MB": event_of("gzip", 100),
        "event, lz4, 25 MB": event_of("lz4", 25),
        "request, zstd, 20 MB": request("zstd", 20, "request_too_large"),
        "request, gzip, 100 MB": request("gzip", 100, "request_too_large"),
        "request, zstd, 9 MB": request("zstd", 9, "request_too_large"),
        "request, zstd, 1 MB": request("zstd", 1, "field_invalid"),
    }
    with capsys.disabled():
        for name, (cpu_s, megabytes) in costs.items():
            print(f"\n{name:24} {cpu_s:5.2f} CPU-s {megabytes:5.0f} MB", end="")
    dear = {
        name: cost
        for name, cost in costs.items()
        if any(of > most for of, most in zip(cost[::-1], MOST[name.split(", ")[1]], strict=True))
    }
    assert dear == {}
    publish(settings, topics.product_events, event, "none", b"good")
    url = f"{target.life.url}/v1/products/good"

    def found() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310
                return bool(json.loads(reply.read())["searchable"])
        except OSError:
            return False

    until(found, "a good event is indexed", 60.0)
