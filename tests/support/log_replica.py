"""A log as compaction leaves it, and a worker's reader and healer on it, without a broker."""

import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError
from prometheus_client import CollectorRegistry

from streams.indexer.healer import LogHealer, LogRecord, Search
from streams.indexer.ledger import Ledger
from streams.indexer.reader import LogReader
from streams.metrics import Metrics
from tests.support.scripted_consumer import tail_on
from visualsearch.client.messages import Headers, OutgoingMessage
from visualsearch.contracts.records import Order, decode_record
from visualsearch.engine import Engine, Layout

PARTITIONS = 2
TOPIC = "index-log"
MODEL, DIM = "model", 4
METRICS = Metrics(CollectorRegistry())
Found = dict[bytes, LogRecord]
SMALL = Layout(chunk_rows=32, segment_rows=64)


@dataclass(frozen=True, slots=True)
class Entry:
    """A record of the log, or the end of a partition, as a consumer gives them."""

    at: int
    place: int
    record_key: bytes | None
    record_value: bytes | None
    record_headers: Headers
    time_s: float
    is_end: bool = False

    def error(self) -> Any:
        """Return the end-of-partition event, or None for a record."""
        eof = KafkaError._PARTITION_EOF
        return SimpleNamespace(code=lambda: eof) if self.is_end else None

    def topic(self) -> str:
        """Return the log's name."""
        return TOPIC

    def partition(self) -> int:
        """Return the partition."""
        return self.place

    def offset(self) -> int:
        """Return the offset; compaction leaves holes."""
        return self.at

    def key(self) -> bytes | None:
        """Return the key."""
        return self.record_key

    def value(self) -> bytes | None:
        """Return the value."""
        return self.record_value

    def headers(self) -> list[tuple[str, bytes | None]]:
        """Return the headers as confluent-kafka does."""
        return list(self.record_headers)

    def timestamp(self) -> tuple[int, int]:
        """Return the type of the timestamp and its ms."""
        return 1, round(self.time_s * 1000)

    def leader_epoch(self) -> int:
        """Return the epoch of the leader that took it."""
        return 0


class Log:
    """The partitions of a compacted topic."""

    def __init__(self) -> None:
        self.entries: list[list[Entry]] = [[] for _ in range(PARTITIONS)]
        self.ends = [0] * PARTITIONS

    def append(self, message: OutgoingMessage, time_s: float) -> None:
        """Append a record to the partition that it names."""
        assert message.partition is not None
        place, at = message.partition, self.ends[message.partition]
        entry = Entry(at, place, message.key, message.value, message.headers, time_s)
        self.entries[place].append(entry)
        self.ends[place] = at + 1

    def compact(self, until_s: float) -> None:
        """Keep of each key the last record of those not younger than `until_s`, and all others."""
        for place, entries in enumerate(self.entries):
            last = {e.record_key: e.at for e in entries if e.time_s <= until_s}
            self.entries[place] = [
                e for e in entries if e.time_s > until_s or last[e.record_key] == e.at
            ]

    def read(self, place: int, position: int, limit: int) -> list[Entry]:
        """Return up to `limit` records from an offset on."""
        entries = self.entries[place]
        start = next((n for n, e in enumerate(entries) if e.at >= position), len(entries))
        return entries[start : start + limit]


class LogConsumer:
    """What the reader asks of a consumer; hands out as much as the test lets it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._positions = [0] * PARTITIONS
        self._at_end = [False] * PARTITIONS
        self._fetched: list[Entry] = []
        self._highs = [-1001] * PARTITIONS  # as a client says before its first fetch

    def fetch(self, place: int, limit: int) -> None:
        """Let the next records of a partition come, and its end if they reach it."""
        found = self._log.read(place, self._positions[place], limit)
        if found:
            self._at_end[place] = False
            self._positions[place] = found[-1].at + 1
        if len(found) < limit and not self._at_end[place]:
            self._at_end[place] = True
            end = self._positions[place] = self._log.ends[place]
            found.append(Entry(end, place, None, None, (), 0.0, is_end=True))
        self._highs[place] = self._log.ends[place]
        self._fetched += found

    def assign(self, _: Sequence[Any]) -> None:
        """Begin at the beginnings, whatever is asked for."""

    def poll(self, _: float) -> Entry | None:
        """Return the next message that came."""
        return self._fetched.pop(0) if self._fetched else None

    def consume(self, count: int, _: float) -> list[Entry]:
        """Return the messages that came."""
        taken, self._fetched = self._fetched[:count], self._fetched[count:]
        return taken

    def get_watermark_offsets(self, at: Any, *, cached: bool) -> tuple[int, int]:
        """Return what the last fetch said."""
        assert cached
        return 0, self._highs[at.partition]


def take(reader: LogReader, consumer: LogConsumer) -> None:
    """Have a reader apply what came."""
    tail = tail_on(consumer)
    reader._assign(tail)
    reader._take(tail.highs, tail.poll(1000, 0.0))


class Replica:
    """A search worker on the log: its engine, the real reader and the real healer."""

    def __init__(
        self,
        log: Log,
        now: Callable[[], float],
        grace_s: float,
        *,
        append: Callable[[OutgoingMessage], None],
        searched: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log
        self._searched = searched
        self._append_now = append
        self._consumer = LogConsumer(log)
        self._first_ends = list(log.ends)
        self.appended = 0
        self.engine = Engine(MODEL, DIM, layout=SMALL)
        self.ledger = Ledger(grace_s, now)
        self.reader = LogReader(
            {}, TOPIC, self.engine, self.ledger, METRICS, now, partitions=PARTITIONS
        )
        self.healer = LogHealer(
            TOPIC, self.ledger, self._newest, self._append, METRICS,
            ready=self.reader.caught_up.is_set, interval_s=1.0,
        )  # fmt: skip

    def read(self, rng: random.Random, limit: int) -> None:
        """Apply up to `limit` records of one partition."""
        self._consumer.fetch(rng.randrange(PARTITIONS), limit)
        self.take()

    def read_all(self) -> None:
        """Apply everything, and meet every end."""
        for place in range(PARTITIONS):
            self._consumer.fetch(place, 1_000_000)
        self.take()

    def take(self) -> None:
        """Apply what came."""
        take(self.reader, self._consumer)

    def _newest(self, partition: int, wanted: Mapping[bytes, Order], _: object) -> Found:
        search = Search(wanted)
        for entry in self._log.read(partition, 0, 1_000_000):
            search.see(entry.key(), entry.value(), entry.headers())
        assert search.found.keys() == wanted.keys(), "compaction took what was to be healed"
        self._searched()
        return search.found

    def _append(self, message: OutgoingMessage) -> "Future[None]":
        positions = self.reader.positions()
        read = [positions.get(p, 0) >= end for p, end in enumerate(self._first_ends)]
        assert all(read), "appended during a replay"
        assert dict(message.headers).get("healed") == b"1"
        self._assert_newest(message)
        appended: Future[None] = Future()
        try:
            self._append_now(message)
        except ConnectionError as error:
            appended.set_exception(error)
        else:
            self.appended += 1
            appended.set_result(None)
        return appended

    def _assert_newest(self, message: OutgoingMessage) -> None:
        """Check that a heal is not older than what this worker has read by now."""
        assert message.key is not None
        assert message.value is not None
        product_id, record = decode_record(message.key, message.value)
        product = self.engine.product(product_id)
        assert product is not None
        newest = product.orders[record.__struct_config__.tag]  # type: ignore[index]  # a kind
        assert newest is None or record.order >= newest, "an older record is appended"


def state_of(engine: Engine, products: Sequence[str]) -> dict[str, Any]:
    """Return all that an engine holds of products: records, orders, searchable, vectors."""
    state: dict[str, Any] = {"stats": (engine.stats().products, engine.stats().vectors)}
    for name in products:
        product = engine.product(name)
        vectors = [(image, row.tobytes()) for image, row in engine.vectors_of(name)]
        state[name] = (product, product is not None and product.searchable, vectors)
    return state
