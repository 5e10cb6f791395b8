"""Reads the index log into the engine, by partition assignment, live and in replay.

There is no consumer group, since the applied offsets belong to the index. The reader has caught up
once it has seen the end-of-partition event of every partition: compaction hides the last offsets.
A busy partition is caught up at the high watermark that it had at the start.
"""

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from streams.indexer.healer import HEALED
from streams.indexer.ledger import Ledger
from streams.indexer.records import to_engine_record
from streams.indexer.watermark import Watermark
from streams.metrics import Metrics
from visualsearch.client.messages import read_headers
from visualsearch.client.offsets import Partition
from visualsearch.client.tail import Polled, Position, Tail
from visualsearch.contracts.records import UnknownRecordError, decode_record
from visualsearch.index.state import ProductState
from visualsearch.types import Applied, BaseRecord, OfferRecord, Outcome, Record, VectorsRecord

log = logging.getLogger(__name__)
_KINDS: dict[type, str] = {BaseRecord: "base", OfferRecord: "offer", VectorsRecord: "vectors"}
_PATHS = frozenset({"live", "retry", "replay"})
_MILLISECONDS = re.compile(rb"[0-9]{1,15}")
_FRESH = {
    ("product-created", "vectors"): "create",
    ("product-updated", "vectors"): "update",
    ("product-offer-updated", "offer"): "offer",
    ("product-deleted", "base"): "delete",
}


class ApplyTarget(Protocol):
    """Where records are applied."""

    def apply(self, records: Sequence[Record]) -> list[Applied]:
        """Return one outcome per record."""

    def product(self, product_id: str) -> ProductState | None:
        """Return the state of a product; None if it is unknown."""


class LogReader:
    """A thread that applies the index log; `caught_up` is set once it has seen every end.

    It starts at `starts`, the positions of a restored snapshot, or at the beginning of a partition.
    It fails on an offset that the log does not hold, since skipping records would be silent.
    """

    def __init__(
        self,
        options: dict[str, str | int],
        topic: str,
        index: ApplyTarget,
        ledger: Ledger,
        metrics: Metrics,
        now: Callable[[], float],
        *,
        partitions: int,
        starts: Mapping[int, Position] | None = None,
        batch: int = 1000,
    ) -> None:
        self.caught_up = threading.Event()
        self.failed = threading.Event()
        self.watermark = Watermark(partitions)
        self.progress_at = time.monotonic()  # monotonic: setting the clock is no stall
        self._options = options
        self._topic = topic
        self._partitions = partitions
        self._index = index
        self._ledger = ledger
        self._metrics = metrics
        self._now = now
        self._batch = batch
        self._ends: set[int] = set()
        self._positions: dict[int, Position] = dict(starts or {})
        self._first_highs: dict[int, int] = {}
        self._highs: dict[int, int] = {}
        self._foreign_model: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-reader", daemon=True)

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the current batch."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def lag(self) -> dict[int, int]:
        """Return the number of offsets left to apply, by partition; 0 at the end.

        An upper bound, since compaction leaves gaps.
        """
        positions = self.positions()
        return {p: max(high - positions.get(p, 0), 0) for p, high in dict(self._highs).items()}

    def positions(self) -> dict[int, int]:
        """Return the offset up to which each partition is applied; none before its first read."""
        return {partition: at.offset for partition, at in self.positions_with_epochs().items()}

    def positions_with_epochs(self) -> dict[int, Position]:
        """Return the positions with leader epochs; read the ledger after them."""
        return dict(self._positions)

    def _run(self) -> None:
        try:
            self._read()
        except Exception:
            log.exception("the index log cannot be read any further")
            self.failed.set()

    def _read(self) -> None:
        with Tail(self._options, "index", reset="error") as tail:
            self._assign(tail)
            for polled in tail.polls(self._stopping.is_set, self._batch, 0.05):
                self._take(tail.highs, polled)

    def _assign(self, tail: Tail) -> None:
        numbers = range(self._partitions)
        tail.assign({(self._topic, number): self._positions.get(number) for number in numbers})

    def _take(self, highs: Callable[[], Mapping[Partition, int]], polled: Polled) -> None:
        if polled:
            self._apply(polled)
        for note in polled.notes:
            log.warning("index log: %s", note)  # the client reconnects by itself
        self.progress_at = time.monotonic()
        self.watermark.tick(self._now())
        for (_, partition), high in highs().items():
            self._first_highs.setdefault(partition, high)
            self._highs[partition] = high
        self._note_ends()

    def _apply(self, polled: Polled) -> None:
        """Apply a batch; its records become searchable together, in microseconds each."""
        records: list[Record] = []
        sources: list[Any] = []
        for message in polled.messages:
            try:
                product_id, record = decode_record(message.key(), message.value())
                records.append(to_engine_record(product_id, record))
                sources.append(message)
            except (UnknownRecordError, ValueError) as error:
                reason = getattr(error, "reason", "undecodable")
                self._metrics.records.labels("unknown", reason).inc()
                log.warning("skipped %s[%d]@%d: %s", message.topic(), message.partition(),
                            message.offset(), error)  # fmt: skip
        applied = self._index.apply(records)
        self._note_orders(records, sources, applied)
        self._note_positions(polled)  # after the ledger: a snapshot reads positions first
        self._observe(records, sources, applied)
        for _, partition in polled.ends:
            self.watermark.mark_end(partition)
            self._ends.add(partition)

    def _note_orders(
        self, records: Sequence[Record], sources: Sequence[Any], applied: Sequence[Applied]
    ) -> None:
        """Mark the records' keys in the ledger as stale or current.

        Only orders count. If a foreign model's record counted as stale, workers of two models would
        heal each other's records forever.
        """
        if not len(self._ledger) and Outcome.STALE not in [result.outcome for result in applied]:
            return  # nothing to mark: the fast path of a replay
        for record, message, result in zip(records, sources, applied, strict=True):
            if result.outcome is not Outcome.STALE:
                self._ledger.mark_current(message.key(), record.order)
                continue
            product = self._index.product(record.product_id)
            newest = product.orders[_KINDS[type(record)]] if product else None
            if newest is not None:
                self._ledger.mark_stale(message.key(), message.partition(), newest)

    def _note_positions(self, polled: Polled) -> None:
        """Note how far each partition was read, its last record's epoch, and the newest time."""
        last: dict[int, Any] = {}
        times: dict[int, int] = {}
        for message in polled.messages:
            partition = message.partition()
            last[partition] = message
            times[partition] = max(message.timestamp()[1], times.get(partition, 0))
        for partition, time_ms in times.items():
            self.watermark.advance(partition, time_ms / 1000)
        for partition, message in last.items():
            self._positions[partition] = Position(message.offset() + 1, message.leader_epoch())
        self._pass(((number, offset) for (_, number), offset in polled.ends.items()))
        self._pass((batch.partition, batch.last + 1) for batch in polled.unreadable)
        if polled.unreadable:
            self._metrics.records.labels("unknown", "unreadable").inc(len(polled.unreadable))

    def _pass(self, offsets: Iterable[tuple[int, int]]) -> None:
        """Advance positions past offsets without a record; leader epochs stay."""
        for partition, offset in offsets:
            before = self._positions.get(partition, Position(0))
            if offset >= before.offset:
                self._positions[partition] = Position(offset, before.leader_epoch)

    def _note_ends(self) -> None:
        """Note in the ledger which partitions were read to their high watermark."""
        positions = self.positions()
        for partition, high in self._highs.items():
            if positions.get(partition, -1) >= high:
                self._ledger.mark_end(partition)
            if positions.get(partition, -1) >= self._first_highs[partition]:
                self._ends.add(partition)
        if len(self._ends) == self._partitions:
            self.caught_up.set()

    def _observe(
        self, records: Sequence[Record], sources: Sequence[Any], applied: Sequence[Applied]
    ) -> None:
        outcomes = [result.outcome for result in applied]
        counts = Counter(zip(map(type, records), outcomes, strict=True))
        for (kind, outcome), count in counts.items():
            self._metrics.records.labels(_KINDS[kind], outcome.value).inc(count)
        if Outcome.FOREIGN_MODEL in outcomes:
            self._warn_of_model(records[outcomes.index(Outcome.FOREIGN_MODEL)])
        if not self.caught_up.is_set():  # a replay does not measure freshness
            return
        now = self._now()
        for record, message, outcome in zip(records, sources, outcomes, strict=True):
            if outcome is Outcome.APPLIED:
                self._observe_times(_KINDS[type(record)], message, now)

    def _warn_of_model(self, record: Record) -> None:
        """Warn once per foreign model that its products are not searchable."""
        model = getattr(record, "model", "")
        if model != self._foreign_model:
            self._foreign_model = model
            log.warning(
                "%s holds vectors of the model %s, which this worker does not use: products with "
                "no others are not found; embed the catalog into topics of another prefix",
                self._topic,
                model,
            )

    def _observe_times(self, kind: str, message: Any, now: float) -> None:
        """Observe the time from event to searchable, by occurred_at and by Kafka's timestamp."""
        headers = dict(read_headers(message) or ())
        if HEALED in headers:  # healing appended an old record again: not a new event
            return
        event_type = (headers.get("event_type") or b"").decode("utf-8", "replace")
        label = _FRESH.get((event_type, kind))
        if label is None:
            return
        if (occurred_s := _occurred_s(headers.get("occurred_at") or b"")) is not None:
            self._metrics.freshness.labels(label).observe(max(now - occurred_s, 0.0))
        path = (headers.get("path") or b"").decode("utf-8", "replace")
        stamp = headers.get("source_timestamp") or b""
        if path in _PATHS and _MILLISECONDS.fullmatch(stamp):
            took_s = max(now - int(stamp) / 1000, 0.0)
            self._metrics.pipeline.labels(label, path).observe(took_s)


def _occurred_s(header: bytes) -> float | None:
    """Return the time in an `occurred_at` header, in seconds since the epoch; None without one."""
    try:
        return datetime.fromisoformat(header.decode()).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):  # an overflow is a time zone at the calendar's end
        return None
