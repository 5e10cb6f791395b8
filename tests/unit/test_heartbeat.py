"""What a heartbeat says, and what is said of a clock that is off."""

import logging
from datetime import UTC, datetime

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from schemas.errors import SchemaError
from schemas.workers import WorkerHeartbeat, decode_heartbeat, encode_heartbeat
from streams.kafka.heartbeat import SkewWatch
from streams.metrics import Metrics


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
