"""Bounded scans: what is yielded of the spans, when a partition is read, when nothing comes."""

from collections.abc import Sequence

import pytest

from streams.kafka import scan as module
from streams.kafka.messages import MESSAGE_UNREADABLE
from streams.kafka.scan import OffsetRange, Scanner
from streams.kafka.topics import TopicError
from tests.support.scripted_consumer import END, TOPIC, UNREADABLE, Said, ScriptedConsumer, tail_on


def scanner_of(*polls: Sequence[Said]) -> tuple[Scanner, ScriptedConsumer]:
    """Return a scanner that is given these lists, and its consumer."""
    consumer = ScriptedConsumer(*polls)
    return Scanner({"bootstrap.servers": "nowhere"}, tail_on(consumer, steps_over=False)), consumer


def span(start: int, end: int, partition: int = 0) -> OffsetRange:
    """Return a span of a partition."""
    return OffsetRange(TOPIC, partition, start, end)


def test_a_span_is_over_at_its_end_at_an_offset_past_it_or_at_the_partitions() -> None:
    """Compaction and markers leave holes, so its last offset may never come."""
    scanner, consumer = scanner_of(
        [Said(0), Said(1)],
        [Said(3, place=1), Said(9, place=1)],
        [Said(2, place=2), Said(4, place=2, code=END), Said(5, place=2)],
    )
    found = scanner.read([span(0, 2), span(0, 5, 1), span(0, 5, 2), span(3, 3, 3)])
    at = [(each.message.partition, each.message.offset) for each in found]
    assert at == [(0, 0), (0, 1), (1, 3), (2, 2)]
    assert consumer.left == [0, 1, 2]
    assert [scanner.reached((TOPIC, number)) for number in range(3)] == [2, 5, 5]


def test_messages_of_other_keys_are_passed_over_and_counted() -> None:
    """The bar goes on though nothing is found."""
    scanner, _ = scanner_of([Said(10, named=b"x"), Said(12)], [Said(15, code=END)])
    seen: list[tuple[int, int]] = []
    found = scanner.read([span(10, 15)], lambda done, of: seen.append((done, of)), {b"k"})
    assert [each.message.offset for each in found] == [12]
    assert seen == [(3, 5), (5, 5)]


def test_what_cannot_be_read_is_yielded_without_a_key() -> None:
    """Nobody can tell whose messages were in it, so a search for keys does not have it."""
    poll = [Said(1), Said(2, code=UNREADABLE)]
    end = [Said(9, code=END)]
    scanner, _ = scanner_of(poll, end)
    (good, damaged) = [each.message for each in scanner.read([span(0, 9)])]
    assert (good.offset, good.damage) == (1, None)
    assert damaged.damage is not None
    assert (damaged.offset, damaged.damage.code) == (2, MESSAGE_UNREADABLE)
    scanner, _ = scanner_of(poll, end)
    assert [each.message.offset for each in scanner.read([span(0, 9)], keys={b"k"})] == [1]


def test_a_partition_that_is_left_is_not_read_any_further() -> None:
    """Its others go on."""
    scanner, _ = scanner_of([Said(0), Said(1), Said(0, place=1)], [Said(1, place=1)])
    found = []
    for each in scanner.read([span(0, 9), span(0, 2, 1)]):
        found.append((each.message.partition, each.message.offset))
        if each.message.partition == 0:
            scanner.leave((TOPIC, 0))
    assert found == [(0, 0), (1, 0), (1, 1)]
    assert scanner.reached((TOPIC, 0)) == 0


def test_a_scan_that_is_stopped_keeps_nothing_assigned() -> None:
    """Else the client would go on fetching for nobody."""
    scanner, consumer = scanner_of([Said(0)], [Said(1)])
    stops = iter([False, True])
    found = scanner.read([span(0, 9)], stop=lambda: next(stops))
    assert [each.message.offset for each in found] == [0]
    assert consumer.assigned == []


def test_a_scan_may_be_given_up_after_its_scanner_was_closed() -> None:
    """A command that ends early closes the scanner first."""
    scanner, consumer = scanner_of([Said(0)])
    reading = scanner.read([span(0, 9)])
    assert next(reading).message.offset == 0
    scanner.close()
    reading.close()  # type: ignore[attr-defined]  # it is a generator
    assert consumer.closed


def test_a_broker_that_falls_silent_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's notes on its own reconnecting are no answer."""
    monkeypatch.setattr(module, "SILENT_S", 0.0)
    lost = Said(-1, -1, code=-195, topic_name=None)
    scanner, consumer = scanner_of([Said(0)], [lost])
    with pytest.raises(TopicError, match=r"sent nothing of t\[0\]") as raised:
        list(scanner.read([span(0, 9)]))
    assert raised.value.code == "unreachable"
    assert consumer.assigned == []
