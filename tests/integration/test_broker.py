"""A real Apache Kafka of the test's own: started, stopped, started again."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from streams.config.topics import TopicSpec
from streams.kafka.topics import create_topics
from streams.tools.broker import (
    BrokerError,
    BrokerInfo,
    broker_status,
    start_broker,
    stop_broker,
)
from streams.tools.broker.process import process_started

pytestmark = pytest.mark.usefixtures("kafka")
TOPIC = TopicSpec("kept", 2, {"max.message.bytes": str(10 * 1024 * 1024)})


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., BrokerInfo]]:
    """Give a starter of brokers in folders of this test; all are stopped at its end."""
    folders = set()

    def starter(name: str = "broker", port: int | None = None) -> BrokerInfo:
        folders.add(tmp_path / name)
        return start_broker(tmp_path / name, port)

    yield starter
    for folder in folders:
        stop_broker(folder)


def produce(bootstrap: str, values: list[bytes]) -> None:
    """Append values to the topic, each confirmed."""
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 11 * 1024 * 1024})
    for value in values:
        producer.produce(TOPIC.name, key=value[:8], value=value)
    assert producer.flush(30) == 0


def consume(bootstrap: str, group: str, count: int) -> set[bytes]:
    """Read `count` values as a member of a group, and commit."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([TOPIC.name])
    values: list[bytes] = []
    end = time.monotonic() + 40
    while len(values) < count and time.monotonic() < end:
        values += [m.value() for m in consumer.consume(100, 0.2) if m.error() is None]
    consumer.commit(asynchronous=False)
    consumer.close()
    return set(values)


def test_restart_keeps_data_offsets_and_port(start: Callable[..., BrokerInfo]) -> None:
    """What was written before a stop is there after it, at the same address; so are offsets."""
    first = start()
    create_topics(first.bootstrap, [TOPIC])
    before = [b"before-%d" % i for i in range(100)]
    large = b"l" * (9 * 1024 * 1024)
    produce(first.bootstrap, [*before, large])
    assert consume(first.bootstrap, "early", 101) == {*before, large}
    assert stop_broker(first.data_dir or "")

    second = start()
    assert second.bootstrap == first.bootstrap
    assert second.pid != first.pid
    produce(second.bootstrap, [b"after"])
    assert consume(second.bootstrap, "late", 102) == {*before, large, b"after"}
    assert consume(second.bootstrap, "early", 1) == {b"after"}


def test_second_start_gives_the_running_one(start: Callable[..., BrokerInfo]) -> None:
    """Nothing is started twice on one folder; status knows it; another port is refused."""
    first = start("Übung 1")  # the folder's name is the user's choice
    assert start("Übung 1") == first
    assert broker_status(first.data_dir or "") == first
    with pytest.raises(BrokerError, match="already runs at") as caught:
        start("Übung 1", port=1 + int(first.bootstrap.rpartition(":")[2]))
    assert caught.value.code == "port_taken"


def test_killed_broker_comes_back(start: Callable[..., BrokerInfo]) -> None:
    """A stale state file after a crash is no obstacle, and confirmed records are there."""
    first = start()
    create_topics(first.bootstrap, [TOPIC])
    produce(first.bootstrap, [b"confirmed"])
    assert first.pid is not None
    os.kill(first.pid, 9)
    while process_started(first.pid) is not None:
        time.sleep(0.02)
    assert broker_status(first.data_dir or "") is None
    second = start()
    assert consume(second.bootstrap, "g", 1) == {b"confirmed"}


def test_taken_port_is_said_at_once(start: Callable[..., BrokerInfo]) -> None:
    """Without starting anything."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=rf"Port {port} .* is taken") as caught:
            start(port=port)
    assert caught.value.code == "port_taken"


def test_broken_storage_is_told_with_the_end_of_the_log(
    start: Callable[..., BrokerInfo], tmp_path: Path
) -> None:
    """A broker that ends while starting says why, and leaves no process behind."""
    storage = tmp_path / "broker" / "kafka"
    storage.mkdir(parents=True)
    (storage / "meta.properties").write_text("version=1\ncluster.id=x\nnode.id=7\n")
    with pytest.raises(BrokerError, match="node id 7") as caught:
        start()
    assert caught.value.code == "start_failed"
    assert broker_status(tmp_path / "broker") is None


def test_existing_broker_is_only_checked(kafka: BrokerInfo, tmp_path: Path) -> None:
    """With a bootstrap address nothing is started and nothing written."""
    found = start_broker(tmp_path / "unused", bootstrap=kafka.bootstrap)
    assert (found.kind, found.pid, found.bootstrap) == ("external", None, kafka.bootstrap)
    assert not (tmp_path / "unused").exists()


def test_unreachable_bootstrap_is_an_error(tmp_path: Path) -> None:
    """Port 1 of loopback answers nobody."""
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1") as caught:
        start_broker(tmp_path, bootstrap="127.0.0.1:1")
    assert caught.value.code == "unreachable"
