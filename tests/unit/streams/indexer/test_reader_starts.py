"""A reader that begins at offsets: before it has read, when it is caught up, and its end."""

from streams.indexer.ledger import Ledger
from streams.indexer.reader import LogReader
from tests.support.log_replica import (
    DIM,
    METRICS,
    MODEL,
    PARTITIONS,
    SMALL,
    TOPIC,
    Log,
    LogConsumer,
    take,
)
from tests.support.scripted_consumer import tail_on
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.tail import Polled, Position
from visualsearch.client.unreadable import UnreadableBatch
from visualsearch.contracts.records import BaseLogRecord, encode_record, record_key
from visualsearch.engine import Engine

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
            value = encode_record(BaseLogRecord(order=(number, 0, 0)))
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
    ledger.mark_stale(b"base:p", 0, (1, 0, 0))
    take(reader, LogConsumer(log_of(5)))
    assert reader.positions() == {0: 2, 1: 0}
    assert reader.lag() == {}
    assert ledger.due_keys() == {}
    assert not reader.caught_up.is_set()
    assert reader.watermark.time_s is None


def test_it_reads_on_from_there_and_keeps_epochs() -> None:
    """An end without a record does not forget the epoch of the record before it."""
    reader, _ = reader_at({0: Position(5, 7), 1: Position(3, 7)})
    consumer = LogConsumer(log_of(5))
    consumer._positions = [5, 3]
    for place in range(PARTITIONS):
        consumer.fetch(place, 100)
    take(reader, consumer)
    assert reader.positions_with_epochs() == {0: Position(5, 7), 1: Position(5, 0)}
    assert reader.lag() == {0: 0, 1: 0}
    assert reader.caught_up.is_set()


def test_a_partition_that_never_ends_is_caught_up_where_it_ended_at_first() -> None:
    """A busy shop would otherwise never be ready."""
    reader, _ = reader_at(STARTS)
    consumer = Busy(log_of(40), high=6)
    for _ in range(3):
        for place in range(PARTITIONS):
            consumer.fetch(place, 3)
        take(reader, consumer)
        if reader.positions()[1] < 6:
            assert not reader.caught_up.is_set()
    for place in range(PARTITIONS):
        consumer.fetch(place, 9)
    take(reader, consumer)
    assert reader.caught_up.is_set()
    assert all(left > 0 for left in reader.lag().values())


def test_a_batch_that_cannot_be_read_is_counted_and_passed() -> None:
    """The epoch is that of the last record; an older notice does not set the reader back."""
    reader, _ = reader_at({0: Position(2, 5), 1: Position(9, 5)})
    before = counted()
    unreadable = [UnreadableBatch(TOPIC, 0, 2, 6, "x"), UnreadableBatch(TOPIC, 1, 3, 4, "x")]
    reader._take(dict, Polled(unreadable=unreadable))
    assert reader.positions_with_epochs() == {0: Position(7, 5), 1: Position(9, 5)}
    assert counted() == before + 2


def test_records_before_a_batch_that_cannot_be_read_are_applied() -> None:
    """And it is read on behind the batch, with the epoch of the last record before it."""
    reader, _ = reader_at({})
    consumer = LogConsumer(log_of(2))
    consumer.fetch(0, 2)
    polled = tail_on(consumer).poll(10, 0.0)
    polled.unreadable.append(UnreadableBatch(TOPIC, 0, 2, 3, "x"))
    reader._take(dict, polled)
    assert reader.positions_with_epochs() == {0: Position(4, 0)}


def counted() -> float:
    """Return how many batches could not be read so far."""
    labels = {"kind": "unknown", "outcome": "unreadable"}
    return METRICS.registry.get_sample_value("visualsearch_log_records_total", labels) or 0.0
