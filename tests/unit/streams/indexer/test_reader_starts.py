"""A reader that begins at offsets: before it has read, when it is caught up, and its end."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError

from streams.indexer.ledger import Ledger
from streams.indexer.reader import LogCutError, LogReader
from streams.kafka.assignment import Position, assignment
from tests.support.log_replica import (
    DIM,
    METRICS,
    MODEL,
    PARTITIONS,
    SMALL,
    TOPIC,
    Log,
    LogConsumer,
)
from visualsearch.client.messages import OutgoingMessage
from visualsearch.contracts.records import Base, encode_record, record_key
from visualsearch.engine import Engine

ASSIGNED = [SimpleNamespace(partition=place) for place in range(PARTITIONS)]
STARTS = {0: Position(2, 5), 1: Position(0)}


class Busy(LogConsumer):
    """A consumer whose partitions get more all the time: no end of theirs is ever met."""

    def __init__(self, log: Log, high: int) -> None:
        super().__init__(log)
        self._high = high
        self._positions = [2, 0]

    def fetch(self, place: int, limit: int) -> None:
        """Let the next records of a partition come."""
        found = self._log.read(place, self._positions[place], limit)
        self._positions[place] += len(found)
        self._fetched += found
        self._high += len(found)
        self._highs[place] = self._high


def log_of(records: int) -> Log:
    """Return a log with so many records in each partition."""
    log = Log()
    for number in range(records):
        for place in range(PARTITIONS):
            key = record_key("base", f"p{place}-{number}")
            value = encode_record(Base(order=(number, 0, 0)))
            log.append(OutgoingMessage(TOPIC, key, value, place), 0.0)
    return log


def reader_at(starts: dict[int, Position]) -> tuple[LogReader, Ledger]:
    """Return a reader that has not read."""
    ledger = Ledger(0.0, lambda: 0.0)
    engine = Engine(MODEL, DIM, layout=SMALL)
    reader = LogReader({}, TOPIC, engine, ledger, METRICS, lambda: 0.0, partitions=PARTITIONS,
                       starts=starts)  # fmt: skip
    return reader, ledger


def test_before_the_first_fetch_it_is_where_it_begins() -> None:
    """Not caught up, and no partition's end is met: nobody has asked where that is."""
    reader, ledger = reader_at(STARTS)
    ledger.stale(b"base:p", 0, (1, 0, 0))
    reader._turn(LogConsumer(log_of(5)), ASSIGNED)
    assert reader.positions() == {0: 2, 1: 0}
    assert reader.lag() == {}
    assert ledger.due() == {}
    assert not reader.caught_up.is_set()
    assert reader.watermark.time_s is None


def test_it_reads_on_from_there_and_keeps_epochs() -> None:
    """An end without a record does not forget the epoch of the record before it."""
    reader, _ = reader_at({0: Position(5, 7), 1: Position(3, 7)})
    consumer = LogConsumer(log_of(5))
    consumer._positions = [5, 3]
    for place in range(PARTITIONS):
        consumer.fetch(place, 100)
    reader._turn(consumer, ASSIGNED)
    assert reader.applied() == {0: Position(5, 7), 1: Position(5, 0)}
    assert reader.lag() == {0: 0, 1: 0}
    assert reader.caught_up.is_set()


def test_a_partition_that_never_ends_is_caught_up_where_it_ended_at_first() -> None:
    """A busy shop would otherwise never be ready."""
    reader, _ = reader_at(STARTS)
    consumer = Busy(log_of(40), high=6)
    for _ in range(3):
        for place in range(PARTITIONS):
            consumer.fetch(place, 3)
        reader._turn(consumer, ASSIGNED)
        if reader.positions()[1] < 6:
            assert not reader.caught_up.is_set()
    for place in range(PARTITIONS):
        consumer.fetch(place, 9)
    reader._turn(consumer, ASSIGNED)
    assert reader.caught_up.is_set()
    assert all(left > 0 for left in reader.lag().values())


@pytest.mark.parametrize("code", [KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION])
def test_an_offset_that_is_gone_is_the_end(code: int) -> None:
    """Skipping would be silent; other errors are the client's notes on its reconnecting."""

    def said(number: int) -> Any:
        error = SimpleNamespace(code=lambda: number, str=lambda: "offset out of range")
        return SimpleNamespace(error=lambda: error, topic=lambda: TOPIC, partition=lambda: 0,
                               offset=lambda: 2)  # fmt: skip

    reader, _ = reader_at(STARTS)
    reader._heed(None, [said(KafkaError._TRANSPORT)])
    assert reader.positions() == {0: 2, 1: 0}
    with pytest.raises(LogCutError, match="offset out of range"):
        reader._heed(None, [said(code)])


def test_what_is_assigned_has_the_epoch_where_it_is_known() -> None:
    """Else the beginning, which no reset policy has a say in."""
    at = assignment(TOPIC, 1, Position(9, 4))
    assert (at.topic, at.partition, at.offset, at.leader_epoch) == (TOPIC, 1, 9, 4)
    assert assignment(TOPIC, 1, Position(9)).leader_epoch is None
    assert assignment(TOPIC, 0, None).offset == -2
