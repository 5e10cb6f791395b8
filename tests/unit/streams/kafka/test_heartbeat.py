"""What a heartbeat says, and what is said of a clock that is off."""

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from streams.kafka import heartbeat as module
from streams.kafka.heartbeat import Heartbeat, SkewWatch
from streams.metrics import Metrics
from tests.support.waiting import until
from visualsearch.client.clock import BrokerClock
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.workers import WorkerHeartbeat, decode_heartbeat, encode_heartbeat


def test_a_heartbeat_of_a_later_version_is_read_by_this_one() -> None:
    """Its fields are those of this version, and more."""
    sent = WorkerHeartbeat(
        worker_id="host-1",
        url="http://127.0.0.1:8080",
        roles=["search"],
        version="0.1.0",
        ready=True,
        offsets={0: 12, 7: 3},
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    later = msgspec.json.decode(encode_heartbeat(sent)) | {"shard": 3, "statistics": {"n": [1]}}
    assert later["offsets"] == {"0": 12, "7": 3}
    assert decode_heartbeat(msgspec.json.encode(later)) == sent


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"worker_id": "\xff"}'])
def test_what_is_no_heartbeat_is_an_error_with_a_code(value: bytes) -> None:
    """Anybody may write to the topic."""
    with pytest.raises(SchemaError) as caught:
        decode_heartbeat(value)
    assert caught.value.code == "heartbeat_invalid"


def test_skew_is_said_at_once_then_once_a_minute_and_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Five minutes of heartbeats are five lines; the metric always follows."""
    registry = CollectorRegistry()
    watch = SkewWatch(Metrics(registry).clock_offset)
    with caplog.at_level(logging.WARNING):
        watch.note(0.9, 0.0)
        assert caplog.messages == []
        for second in range(2, 302, 2):
            watch.note(-3.0, float(second))
        assert registry.get_sample_value("visualsearch_clock_offset_seconds") == -3.0
        assert len(caplog.messages) == 5
        watch.note(0.1, 302.0)
        watch.note(3600.0, 304.0)
    assert "3.0 s ahead of the brokers'" in caplog.messages[0]
    assert "agrees" in caplog.messages[5]
    assert "3600.0 s behind the brokers'" in caplog.messages[6]


class Broker:
    """A client that takes every message; its first connection fails."""

    def __init__(self) -> None:
        self.tries = 0
        self.sent: list[tuple[bytes, bytes | None]] = []

    def connect(self, _: Any) -> "Broker":
        """Return a producer, but for the first time."""
        self.tries += 1
        if self.tries == 1:
            raise RuntimeError("no file descriptor is left")
        return self

    def produce(self, _: str, value: bytes | None, key: bytes, **__: Any) -> None:
        """Take a message."""
        self.sent.append((key, value))

    def flush(self, _: float) -> int:
        """Have nothing left."""
        return 0


async def test_heartbeats_go_on_after_an_error_of_the_client_or_of_the_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first connection and the first state fail; the tombstone comes all the same."""
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    broker, asked = Broker(), iter([RuntimeError("starting")])
    monkeypatch.setattr("confluent_kafka.Producer", broker.connect)

    def state() -> WorkerHeartbeat:
        if (error := next(asked, None)) is not None:
            raise error
        return WorkerHeartbeat(
            worker_id="host-1", url=None, roles=[], version="1", ready=False, offsets={},
            started_at=datetime(2026, 1, 2, tzinfo=UTC),
        )  # fmt: skip

    offset = Metrics(CollectorRegistry()).clock_offset
    heartbeat = Heartbeat({}, "workers", state, BrokerClock(), offset)
    heartbeat.start()
    await until(lambda: bool(broker.sent))
    heartbeat.close()
    assert broker.sent[0][1] is not None
    assert broker.sent[-1] == (b"host-1", None)
