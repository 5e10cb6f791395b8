"""What is counted of a range of offsets, and when no more of it is looked at."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError
from prometheus_client import CollectorRegistry

from streams.kafka import lag as module
from streams.kafka.lag import COUNTED, COUNTED_BYTES, Left, PipelineLag, _seen
from streams.metrics import Metrics
from tests.support.waiting import until


@dataclass(frozen=True)
class Message:
    """A message, or a notice about its partition, as a consumer gives it."""

    at: int
    size: int = 1
    code: int | None = None

    def __len__(self) -> int:
        """Return the size of its value."""
        return self.size

    def error(self) -> Any:
        """Return the notice, None for a message."""
        return None if self.code is None else SimpleNamespace(code=lambda: self.code)

    def offset(self) -> int:
        """Return the offset."""
        return self.at

    def timestamp(self) -> tuple[int, int]:
        """Return a time stamp that grows with the offset."""
        return 1, 1000 + self.at


def look(stop: int, *messages: Message) -> tuple[int, int | None, bool]:
    """Show messages to a range from 0; return what is left, since when, and if all was seen."""
    left = Left(0, stop)
    done = [_seen(left, message) for message in messages]
    assert not any(done[:-1])
    return left.at_most, left.first_ms, done[-1]


def test_offsets_without_messages_do_not_count() -> None:
    """Markers and aborted records are passed over by the consumer."""
    end = Message(40, code=KafkaError._PARTITION_EOF)
    assert look(40, end) == (0, None, True)
    assert look(40, Message(40)) == (0, None, True)
    assert look(40, Message(3), Message(20), end) == (2, 1003, True)
    assert look(40, Message(3), Message(39)) == (2, 1003, True)


def test_a_long_range_is_as_long_as_its_offsets_from_its_first_message_on() -> None:
    """Nobody reads a queue to count it."""
    assert look(10 * COUNTED, Message(5)) == (10 * COUNTED - 5, 1005, True)


def test_large_messages_are_not_fetched_to_be_counted() -> None:
    """Events may hold images."""
    assert look(40, Message(0, COUNTED_BYTES)) == (40, 1000, True)


def test_what_cannot_be_read_counts_by_its_offsets() -> None:
    """Something stands there, and nobody has worked on it."""
    assert look(40, Message(0, code=KafkaError._BAD_COMPRESSION)) == (40, None, True)


def test_what_was_not_seen_in_time_counts_by_its_offsets() -> None:
    """The age is that of the first message that was seen."""
    assert look(40, Message(0), Message(10)) == (2 + 29, 1000, False)


async def test_the_lag_is_measured_after_a_client_that_could_not_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One error at the start left the lag without a figure for good."""
    monkeypatch.setattr(module, "EVERY_S", 0.01)
    measured: list[object] = []
    failures = iter([RuntimeError("no file descriptor is left")])
    connect = module.Probe.__init__

    def failing(probe: module.Probe, options: dict[str, str | int]) -> None:
        if (error := next(failures, None)) is not None:
            raise error
        connect(probe, options)

    monkeypatch.setattr(module.Probe, "__init__", failing)
    monkeypatch.setattr(PipelineLag, "_measure", lambda *given: measured.append(given))
    options: dict[str, str | int] = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
    lag = PipelineLag(options, {}, Metrics(CollectorRegistry()), lambda: 0.0)
    lag.start()
    await until(lambda: bool(measured))
    lag.close()
