"""Log healing: appends a key's newest record again where a stale record is the last of the key.

The record's bytes are read from the key's partition. The engine's state cannot restore them: it
keeps no hashes, ETags or image references.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from streams.indexer.ledger import DirtyEntry, Ledger
from streams.kafka.scan import Scanner
from streams.metrics import Metrics
from visualsearch.client.messages import Headers, OutgoingMessage
from visualsearch.client.tail import Tail
from visualsearch.contracts.records import Order, UnknownRecordError, decode_record

if TYPE_CHECKING:
    from concurrent.futures import Future

log = logging.getLogger(__name__)
HEALED = "healed"
HEALED_HEADER = (HEALED, b"1")
APPEND_TIMEOUT_S = 60.0
KEYS_AT_ONCE = 10_000  # per partition and round: their records are held in memory


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record as it is in the log."""

    key: bytes
    value: bytes
    headers: Headers


FindNewest = Callable[[int, Mapping[bytes, Order], threading.Event], dict[bytes, LogRecord]]
"""Searches (partition, least order by key, stopping) for the newest record of each key.

Keys without a record of at least that order are omitted. A stopped search returns the records
found so far.
"""


class NewestRecordCollector:
    """Collects the newest record of each wanted key while a partition is read."""

    def __init__(self, wanted: Mapping[bytes, Order]) -> None:
        self._least = dict(wanted)
        self.found: dict[bytes, LogRecord] = {}

    def observe(self, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Collect a record of at least the wanted order; of equal orders the later one wins.

        The engine does the same. A newer record that it has not applied yet also counts.
        """
        if key is None or value is None or key not in self._least:
            return
        try:
            order = decode_record(key, value)[1].order
        except UnknownRecordError:
            return
        if order >= self._least[key]:
            self._least[key] = order
            self.found[key] = LogRecord(key, value, headers)


class LogHealer:
    """A thread that heals the due keys of the ledger, one partition after the other.

    It appends nothing before `ready`: the reader has caught up. Replicas heal independently, and a
    record that is appended twice has no effect. If a newer record arrives first, the healed one is
    itself noted as stale and healed.
    """

    def __init__(
        self,
        topic: str,
        ledger: Ledger,
        newest: FindNewest,
        append: Callable[[OutgoingMessage], "Future[None]"],
        metrics: Metrics,
        *,
        ready: Callable[[], bool],
        interval_s: float,
    ) -> None:
        self._topic = topic
        self._ledger = ledger
        self._newest = newest
        self._append = append
        self._metrics = metrics
        self._ready = ready
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-healer", daemon=True)

    def start(self) -> None:
        """Start healing, a round every `interval_s`."""
        self._thread.start()

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop a running search; messages already sent are left to the producer."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            try:
                self.heal()
            except Exception as error:  # the broker is away, say: the keys stay dirty
                log.warning("index log not healed, again in %.0f s: %s", self._interval_s, error)

    def heal(self) -> int:
        """Append the newest record of every key that is due; return how many were appended.

        Raises what the scan or the append raised; the keys not appended stay dirty.
        """
        if not self._ready():
            return 0
        due = self._ledger.due_keys()
        appended = 0
        for partition in sorted({dirty.partition for dirty in due.values()}):
            here = (item for item in due.items() if item[1].partition == partition)
            appended += self._heal_partition(partition, dict(islice(here, KEYS_AT_ONCE)))
        return appended

    def _heal_partition(self, partition: int, due: Mapping[bytes, DirtyEntry]) -> int:
        orders = {key: dirty.order for key, dirty in due.items()}
        found = self._newest(partition, orders, self._stopping)
        futures = []
        for key, dirty in due.items():
            if self._stopping.is_set():
                break
            if (record := found.get(key)) is None:
                self._report_lost(key, dirty)
            elif self._ledger.claim(key, dirty.order):
                futures.append(self._append(_healing_message(record, self._topic, partition)))
        for future in futures:
            future.result(APPEND_TIMEOUT_S)
            self._metrics.healed.inc()
        if futures:
            log.info("healed %d keys of %s[%d]", len(futures), self._topic, partition)
        return len(futures)

    def _report_lost(self, key: bytes, dirty: DirtyEntry) -> None:
        if self._ledger.mark_lost(key, dirty.order):
            log.error("%s[%d] has no record %s of order %s any more: a replay will give an older "
                      "state; publish the product again",
                      self._topic, dirty.partition, key, dirty.order)  # fmt: skip


def _healing_message(record: LogRecord, topic: str, partition: int) -> OutgoingMessage:
    """Return the message that appends a record again, with the time of the append."""
    kept = tuple(header for header in record.headers if header[0] != HEALED)
    return OutgoingMessage(
        topic, record.key, record.value, partition=partition, headers=(*kept, HEALED_HEADER)
    )


class PartitionScan:
    """Reads a partition of the log from its beginning to its end, with its own consumer."""

    def __init__(self, options: dict[str, str | int], topic: str) -> None:
        self._options = options
        self._topic = topic

    def __call__(
        self, partition: int, wanted: Mapping[bytes, Order], stopping: threading.Event
    ) -> dict[bytes, LogRecord]:
        """Return the newest record of each key that has at least the wanted order.

        Raises TopicError when the broker is silent or away.
        """
        search = NewestRecordCollector(wanted)
        tuning = {"queued.max.messages.kbytes": 16384}
        tail = Tail(self._options, "index", reset="earliest", tuning=tuning)
        with Scanner(self._options, tail) as scanner:
            spans = scanner.offset_ranges(self._topic, [partition])
            for scanned in scanner.read(spans, keys=wanted, stop=stopping.is_set):
                found = scanned.message
                search.observe(found.key, found.value, found.headers)
        return search.found
