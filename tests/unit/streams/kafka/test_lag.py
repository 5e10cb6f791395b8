"""What is counted of a range of offsets, and when no more of it is looked at."""

import pytest
from prometheus_client import CollectorRegistry

from streams.kafka import lag as module
from streams.kafka.lag import COUNTED, COUNTED_BYTES, PipelineLag, measure_backlog, open_scanner
from streams.kafka.scan import Scanner
from streams.metrics import Metrics
from tests.support.scripted_consumer import END, TOPIC, UNREADABLE, Said, ScriptedConsumer, tail_on
from tests.support.waiting import until


def look(stop: int, *said: Said) -> tuple[int, int | None, list[int]]:
    """Show messages to a range from 0; return what is left, since when, and which were left."""
    consumer = ScriptedConsumer(said)
    scanner = Scanner({"bootstrap.servers": "nowhere"}, tail_on(consumer, steps_over=False))
    left = measure_backlog(scanner, {(TOPIC, 0): (0, stop)}, 0.05)[TOPIC, 0]
    return left.upper_bound, left.first_ms, consumer.left


def test_offsets_without_messages_do_not_count() -> None:
    """Markers and aborted records are passed over by the consumer."""
    end = Said(40, code=END)
    assert look(40, end) == (0, None, [0])
    assert look(40, Said(40)) == (0, None, [0])
    assert look(40, Said(3), Said(20), end) == (2, 1003, [0])
    assert look(40, Said(3), Said(39)) == (2, 1003, [0])


def test_a_long_range_is_as_long_as_its_offsets_from_its_first_message_on() -> None:
    """Nobody reads a queue to count it."""
    assert look(10 * COUNTED, Said(5)) == (10 * COUNTED - 5, 1005, [0])


def test_large_messages_are_not_fetched_to_be_counted() -> None:
    """Events may hold images."""
    assert look(40, Said(0, body=bytes(COUNTED_BYTES))) == (40, 1000, [0])


def test_what_cannot_be_read_counts_by_its_offsets() -> None:
    """Something stands there, and nobody has worked on it."""
    assert look(40, Said(0, code=UNREADABLE)) == (40, None, [0])


def test_what_was_not_seen_in_time_counts_by_its_offsets() -> None:
    """The age is that of the first message that was seen."""
    assert look(40, Said(0), Said(10)) == (2 + 29, 1000, [])


async def test_the_lag_is_measured_after_a_client_that_could_not_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One error at the start left the lag without a figure for good."""
    monkeypatch.setattr(module, "EVERY_S", 0.01)
    measured: list[object] = []
    failures = iter([RuntimeError("no file descriptor is left")])

    def failing(options: dict[str, str | int]) -> Scanner:
        if (error := next(failures, None)) is not None:
            raise error
        return open_scanner(options)

    monkeypatch.setattr(module, "open_scanner", failing)
    monkeypatch.setattr(PipelineLag, "_measure", lambda *given: measured.append(given))
    options: dict[str, str | int] = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
    lag = PipelineLag(options, {}, Metrics(CollectorRegistry()), lambda: 0.0)
    lag.start()
    await until(lambda: bool(measured))
    lag.close()
