"""Thousands of hostile Kafka messages: nobody dies, all is accounted for, and what it costs."""

import asyncio
import base64
import os
import random
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from streams.config.settings import Settings
from streams.tools.broker import BrokerInfo
from streams.tools.fsck.check import Check, Options
from streams.tools.fsck.worker import Worker
from tests.integration.test_fsck import Silent, named
from tests.support.fakes import FakeEncoder
from tests.support.fault.fleet import Life
from tests.support.fault.fleet import until as until_so
from tests.support.fuzz import Fuzz
from tests.support.harness import make_settings, make_topics, picture, read_topic
from tests.support.lone_worker import lone_worker
from tests.support.meter import Meter
from tests.support.raw_producer import RawMessage, publish

SEED = int(os.environ.get("VISUALSEARCH_FUZZ_SEED", "0")) or random.randrange(1, 10**9)
GROUP = 50  # messages that are published together
PARTITIONS = 2


class Hostile:
    """A worker in a process of its own, on topics that anyone may write to."""

    def __init__(self, settings: Settings, life: Life) -> None:
        self.settings = settings
        self.life = life
        self.requests: list[int] = []  # correlation ids of those whose headers can be read
        self.lost = 0  # requests whose headers are lost
        self.worst_s = self.worst_mb = 0.0

    def send(self, messages: Sequence[RawMessage], meter: Meter) -> None:
        """Publish in groups; note what each group cost the worker."""
        for start in range(0, len(messages), GROUP):
            cpu, before_mb = meter.cpu_s(), meter.rss_mb()
            meter.peak_mb()
            offsets = publish(self.settings.bootstrap, messages[start : start + GROUP])
            for message, offset in zip(messages[start : start + GROUP], offsets, strict=True):
                self._note(message, offset)
            time.sleep(0.3)
            self.worst_s = max(self.worst_s, meter.cpu_s() - cpu)
            self.worst_mb = max(self.worst_mb, meter.peak_mb() - before_mb)
            assert self.life.alive, f"seed {SEED}: {self.life.tail()}"

    def _note(self, message: RawMessage, offset: int) -> None:
        if message.topic != self.settings.topics.search_requests or offset < 0:
            return
        try:
            for name, _ in message.headers:
                name.decode()
        except UnicodeDecodeError:
            self.lost += 1
        else:
            self.requests.append(int(message.headers[0][1] or b"0"))

    def transactions(self, rng: random.Random) -> None:
        """Commit and abort: their markers take offsets and are no messages."""
        topic = self.settings.topics.product_events
        producer = Producer(self.settings.kafka() | {"transactional.id": uuid.uuid4().hex})
        producer.init_transactions(30)
        for _ in range(10):
            producer.begin_transaction()
            producer.produce(topic, b"{}", b"in-a-transaction", rng.randrange(PARTITIONS))
            if rng.random() < 0.5:
                producer.commit_transaction(30)
            else:
                producer.abort_transaction(30)

    def answers(self) -> Counter[bytes | None]:
        """Return how many answers there are by correlation id."""
        found: Counter[bytes | None] = Counter()
        for message in read_topic(self.settings, self.settings.topics.search_results):
            msgspec.json.decode(message.value())  # an answer is JSON, whatever was asked
            found[dict(message.headers() or ()).get("correlation_id")] += 1
        return found


@pytest.fixture
def hostile(kafka: BrokerInfo, tmp_path: Path) -> Iterator[Hostile]:
    """Give a worker that is ready."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    make_topics(settings, {"message.timestamp.type": "CreateTime"})
    with lone_worker(settings, tmp_path) as life:
        yield Hostile(settings, life)


def drawn(settings: Settings, count: int) -> list[RawMessage]:
    """Return events and requests in turn."""
    fuzz = Fuzz(SEED, lambda n: base64.b64encode(picture(n)).decode())
    topics = settings.topics.product_topics()
    return [
        fuzz.request(number, settings.topics.search_requests, PARTITIONS)
        if number % 2
        else fuzz.event(topics, PARTITIONS)
        for number in range(count)
    ]


def survive(hostile: Hostile, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Send so many messages, and account for each of them."""
    meter = Meter(hostile.life.process.pid)
    try:
        hostile.send(drawn(hostile.settings, count), meter)
        hostile.transactions(random.Random(SEED))
        wanted = Counter(b"%d" % number for number in hostile.requests)
        total = len(hostile.requests) + hostile.lost
        until_so(lambda: hostile.answers().total() >= total, "every request is answered", 120)
        found = hostile.answers()
    finally:
        meter.close()
    with capsys.disabled():
        print(
            f"\nseed {SEED}: {count} messages; the worst {GROUP} of them cost the worker "
            f"{hostile.worst_s:.2f} CPU-s and {hostile.worst_mb:.0f} MB"
        )
    answered = Counter({name: n for name, n in found.items() if name in wanted})
    assert answered == wanted, f"seed {SEED}: {(wanted - answered, answered - wanted)}"
    assert found.total() == total, f"seed {SEED}: {found - wanted}"
    check = Check(
        hostile.settings, Worker(hostile.life.url), FakeEncoder, Options(sample=None, wait_s=120.0),
        Silent(),
    )  # fmt: skip
    report = asyncio.run(asyncio.to_thread(check.run))
    assert named(report) == {}, f"seed {SEED}: {report.findings}"
    for probe in ("livez", "readyz"):
        with urllib.request.urlopen(f"{hostile.life.url}/{probe}", timeout=10) as reply:  # noqa: S310
            assert reply.status == 200
    assert hostile.life.alive
    assert "Traceback" not in hostile.life.log.read_text(), hostile.life.tail()


def test_hundreds_of_hostile_messages(hostile: Hostile, capsys: pytest.CaptureFixture[str]) -> None:
    """Every event is indexed or dead-lettered, every request answered once, nobody dies."""
    survive(hostile, 400, capsys)


@pytest.mark.deep
@pytest.mark.timeout(1200)
def test_thousands_of_hostile_messages(
    hostile: Hostile, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same, 5,000 of them."""
    survive(hostile, 5000, capsys)
