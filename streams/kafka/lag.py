"""Consumer lag of the pipelines in messages and seconds.

Offsets alone are not enough: transaction markers and aborted records take offsets but are no
messages, so a group that has finished may never reach the end offset.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.kafka.messages import MESSAGE_UNREADABLE, SourceMessage
from streams.kafka.offsets import GroupOffsets
from streams.kafka.scan import OffsetRange, Scanner
from visualsearch.client.offsets import OffsetsError, Partition
from visualsearch.client.tail import Tail

if TYPE_CHECKING:
    from streams.metrics import Metrics

log = logging.getLogger(__name__)
EVERY_S = 5.0
MEASURE_S = 2.0  # for one group: unseen messages then count by offsets
COUNTED = 100  # larger ranges are counted by offsets
COUNTED_BYTES = 1024 * 1024  # of one partition: messages may hold images

Ranges = Mapping[Partition, tuple[int, int]]
"""Per partition the first offset and the one after the last."""


@dataclass(slots=True)
class Backlog:
    """The messages seen in a range of offsets; `first_ms` is the timestamp of the first.

    `messages` is exact once the whole range was seen; see `upper_bound`.
    """

    position: int
    stop: int
    messages: int = 0
    size: int = 0
    first_ms: int | None = None

    def count(self, message: SourceMessage) -> bool:
        """Count a message; return whether to read on in the range."""
        small = self.stop - self.position <= COUNTED
        self.position = message.next_offset
        self.messages += 1
        self.size += message.size
        if self.first_ms is None:
            self.first_ms = message.timestamp_ms
        return small and self.size < COUNTED_BYTES

    @property
    def upper_bound(self) -> int:
        """Messages seen, plus the offsets of the unseen rest."""
        return self.messages + self.stop - self.position


def open_scanner(options: Mapping[str, str | int]) -> Scanner:
    """Return a scanner that fetches little at a time."""
    few: dict[str, str | int] = {
        "fetch.message.max.bytes": 64 * 1024,
        "queued.min.messages": COUNTED,
        "fetch.queue.backoff.ms": 10,
        "queued.max.messages.kbytes": 2048,
    }
    tail = Tail(options, "lag", reset="earliest", tuning=few, steps_over=False)
    return Scanner(options, tail)


def measure_backlog(
    scanner: Scanner, ranges: Ranges, timeout_s: float = MEASURE_S
) -> dict[Partition, Backlog]:
    """Return the backlog of each range, as far as it was read within `timeout_s`."""
    left = {at: Backlog(start, stop) for at, (start, stop) in ranges.items()}
    spans = [OffsetRange(*at, start, stop) for at, (start, stop) in ranges.items()]
    give_up_at = time.monotonic() + timeout_s
    for scanned in scanner.read(spans, stop=lambda: time.monotonic() >= give_up_at):
        message = scanned.message
        at = (message.topic, message.partition)
        unreadable = message.damage is not None and message.damage.code == MESSAGE_UNREADABLE
        if unreadable or not left[at].count(message):  # the rest counts by its offsets
            scanner.leave(at)
    for at, found in left.items():
        if found.stop > found.position and scanner.reached(at) == found.stop:
            found.position = found.stop
    return left


class PipelineLag:
    """A thread that exports the lag of consumer groups, per group and topic, every few seconds.

    Each member exports its group's whole lag, so one live member is enough; dashboards take the
    maximum. Ages are by `now`, the brokers' clock.
    """

    def __init__(
        self,
        options: dict[str, str | int],
        groups: Mapping[str, Sequence[str]],
        metrics: "Metrics",
        now: Callable[[], float],
    ) -> None:
        self._options = options
        self._groups = groups
        self._metrics = metrics
        self._now = now
        self._empty: dict[tuple[str, Partition], tuple[int, int]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pipeline-lag", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the current measurement."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(MEASURE_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with (
                    open_scanner(self._options) as scanner,
                    GroupOffsets(self._options) as offsets,
                ):
                    self._keep_measuring(offsets, scanner)
            except Exception:
                log.exception("no client to measure the pipeline lag, again in %.0f s", EVERY_S)
                self._stopping.wait(EVERY_S)

    def _keep_measuring(self, offsets: GroupOffsets, scanner: Scanner) -> None:
        while not self._stopping.wait(EVERY_S):
            try:
                self._measure(offsets, scanner)
            except (OffsetsError, TimeoutError) as error:  # `broker_up` shows it
                log.debug("pipeline lag not measured: %s", error)
            except Exception:
                log.exception("pipeline lag not measured")

    def _measure(self, offsets: GroupOffsets, scanner: Scanner) -> None:
        bounds = offsets.bounds({topic for topics in self._groups.values() for topic in topics})
        for group, topics in self._groups.items():
            if self._stopping.is_set():
                return
            own = {part: bound for part, bound in bounds.items() if part[0] in topics}
            left = self._backlogs(offsets, scanner, group, own)
            records: Counter[str] = Counter()
            first_ms: dict[str, int] = {}
            for (topic, _), found in left.items():
                records[topic] += found.upper_bound
                if found.first_ms is not None:
                    first_ms[topic] = min(found.first_ms, first_ms.get(topic, found.first_ms))
            for topic in {topic for topic, _ in own}:
                self._metrics.pipeline_lag_records.labels(group, topic).set(records[topic])
                seconds = self._metrics.pipeline_lag_seconds.labels(group, topic)
                if topic in first_ms:
                    seconds.set(max(self._now() - first_ms[topic] / 1000, 0.0))
                elif not records[topic]:  # else it was not seen in time: the age stays unknown
                    seconds.set(0.0)

    def _backlogs(
        self, offsets: GroupOffsets, scanner: Scanner, group: str, bounds: Ranges
    ) -> dict[Partition, Backlog]:
        """Return the backlogs of a group; ranges without messages are remembered."""
        committed = offsets.committed(group, bounds)
        starts = {part: max(committed.get(part, low), low) for part, (low, _) in bounds.items()}
        ranges: dict[Partition, tuple[int, int]] = {}
        for part, start in starts.items():
            seen_at, empty_to = self._empty.get((group, part), (start, start))
            begin = empty_to if seen_at == start else start
            if begin < bounds[part][1]:
                ranges[part] = begin, bounds[part][1]
        left = measure_backlog(scanner, ranges) if ranges else {}
        for part, found in left.items():
            if not found.upper_bound:
                self._empty[group, part] = starts[part], found.stop
        return left
