"""How far the pipelines are behind: what a consumer group has left of its topics.

Offsets alone do not tell: the marker of a transaction takes one, and so does an aborted record.
Neither is a message, and a group that has committed its last message stands before them for good.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streams.kafka.assignment import from_the_start, is_end
from visualsearch.client.closing import Closing

if TYPE_CHECKING:  # `explain` needs the offsets, and no prometheus_client
    from streams.metrics import Metrics

log = logging.getLogger(__name__)
EVERY_S = 5.0
BROKER_S = 5.0
LOOK_S = 2.0  # for one group: what was not seen by then counts by its offsets
COUNTED = 100  # more offsets than these are not counted message by message
COUNTED_BYTES = 1024 * 1024  # of one partition: messages may hold images

Part = tuple[str, int]
"""A topic and a partition."""
Ranges = Mapping[Part, tuple[int, int]]
"""Per partition the first offset and the one after the last."""


@dataclass(slots=True)
class Left:
    """What stands in a range of offsets; `first_ms` is the time stamp of its first message.

    `messages` is exact once all of the range was seen, else at most so many.
    """

    position: int
    stop: int
    messages: int = 0
    size: int = 0
    first_ms: int | None = None

    def see(self, message: Any) -> None:
        """Count a message."""
        self.position = message.offset() + 1
        self.messages += 1
        self.size += len(message)
        if self.first_ms is None:
            self.first_ms = message.timestamp()[1]

    @property
    def at_most(self) -> int:
        """How many messages there are, with those that were not looked at."""
        return self.messages + self.stop - self.position


class Probe(Closing):
    """A consumer by assignment that looks at what really stands between two offsets."""

    def __init__(self, options: dict[str, str | int]) -> None:
        from confluent_kafka import Consumer

        few = {
            "fetch.wait.max.ms": 50,
            "fetch.message.max.bytes": 64 * 1024,
            "queued.min.messages": COUNTED,
            "fetch.queue.backoff.ms": 10,
            "queued.max.messages.kbytes": 2048,
            "isolation.level": "read_committed",
        }
        self._consumer = Consumer(from_the_start(options, "lag") | few)

    def look(self, ranges: Ranges, timeout_s: float = LOOK_S) -> dict[Part, Left]:
        """Return what stands in each range, as far as there is time to see."""
        from confluent_kafka import TopicPartition

        left = {part: Left(start, stop) for part, (start, stop) in ranges.items()}
        waiting = set(left)
        give_up_at = time.monotonic() + timeout_s
        self._consumer.assign([TopicPartition(*part, left[part].position) for part in left])
        try:
            while waiting and time.monotonic() < give_up_at:
                first = self._consumer.poll(0.1)
                batch = [] if first is None else [first, *self._consumer.consume(COUNTED, 0)]
                for message in batch:
                    part = (message.topic(), message.partition())
                    if part in waiting and _seen(left[part], message):
                        waiting.discard(part)
                        self._consumer.incremental_unassign([TopicPartition(*part)])
        finally:
            self._consumer.unassign()
        return left

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


def _seen(left: Left, message: Any) -> bool:
    """Take in a message of a range, or a notice about its partition; return whether that is all."""
    if message.error() is not None:
        if is_end(message.error()):
            left.position = left.stop
        return True  # another error is about what cannot be read: it counts by its offsets
    if message.offset() >= left.stop:
        left.position = left.stop
        return True
    small = left.stop - left.position <= COUNTED
    left.see(message)
    return not small or left.size >= COUNTED_BYTES or left.position >= left.stop


class PipelineLag:
    """A thread that exports, every few seconds, what some groups have left of their topics.

    Each member exports all of its group's, so that one of them alive is enough; queries of the
    metrics take the maximum. Ages are by `now`, the brokers' clock.
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
        self._empty: dict[tuple[str, Part], tuple[int, int]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pipeline-lag", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the look under way."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(LOOK_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with Probe(self._options) as probe, Offsets(self._options) as offsets:
                    self._keep_measuring(offsets, probe)
            except Exception:
                log.exception("no client to measure the pipeline lag, again in %.0f s", EVERY_S)
                self._stopping.wait(EVERY_S)

    def _keep_measuring(self, offsets: "Offsets", probe: Probe) -> None:
        from confluent_kafka import KafkaException

        while not self._stopping.wait(EVERY_S):
            try:
                self._measure(offsets, probe)
            except (KafkaException, TimeoutError) as error:  # `broker_up` says so
                log.debug("pipeline lag not measured: %s", error)
            except Exception:
                log.exception("pipeline lag not measured")

    def _measure(self, offsets: "Offsets", probe: Probe) -> None:
        bounds = offsets.bounds({topic for topics in self._groups.values() for topic in topics})
        for group, topics in self._groups.items():
            if self._stopping.is_set():
                return
            own = {part: bound for part, bound in bounds.items() if part[0] in topics}
            left = self._left(offsets, probe, group, own)
            records: Counter[str] = Counter()
            first_ms: dict[str, int] = {}
            for (topic, _), found in left.items():
                records[topic] += found.at_most
                if found.first_ms is not None:
                    first_ms[topic] = min(found.first_ms, first_ms.get(topic, found.first_ms))
            for topic in {topic for topic, _ in own}:
                self._metrics.pipeline_lag_records.labels(group, topic).set(records[topic])
                seconds = self._metrics.pipeline_lag_seconds.labels(group, topic)
                if topic in first_ms:
                    seconds.set(max(self._now() - first_ms[topic] / 1000, 0.0))
                elif not records[topic]:  # else it was not seen in time: the age stays unknown
                    seconds.set(0.0)

    def _left(
        self, offsets: "Offsets", probe: Probe, group: str, bounds: Ranges
    ) -> dict[Part, Left]:
        """Return what a group has left, and remember where there were no messages."""
        committed = offsets.committed(group, bounds)
        starts = {part: max(committed.get(part, low), low) for part, (low, _) in bounds.items()}
        ranges: dict[Part, tuple[int, int]] = {}
        for part, start in starts.items():
            seen_at, empty_to = self._empty.get((group, part), (start, start))
            begin = empty_to if seen_at == start else start
            if begin < bounds[part][1]:
                ranges[part] = begin, bounds[part][1]
        left = probe.look(ranges) if ranges else {}
        for part, found in left.items():
            if not found.at_most:
                self._empty[group, part] = starts[part], found.stop
        return left


class Offsets(Closing):
    """Asks where partitions begin and end, and what groups have committed.

    By consumers that join no group. The admin client's questions to a group's coordinator end the
    process when their connection is lost (librdkafka#4605).
    """

    def __init__(self, options: dict[str, str | int]) -> None:
        self._options = options
        self._askers: dict[str, Any] = {}

    def bounds(self, topics: Iterable[str]) -> dict[Part, tuple[int, int]]:
        """Return where each partition begins and ends; an open transaction is behind its end.

        A topic with a partition that has no leader just now is left out. Raises KafkaException
        when no broker answers.
        """
        asker = self._asker("visualsearch-lag-unused")
        found: dict[Part, tuple[int, int]] = {}
        for topic in topics:
            partitions = asker.list_topics(topic, timeout=BROKER_S).topics[topic].partitions
            led = all(partition.leader >= 0 for partition in partitions.values())
            for number in partitions if led else ():
                found[topic, number] = _watermarks(asker, topic, number)
        return found

    def committed(self, group: str, parts: Iterable[Part]) -> dict[Part, int]:
        """Return what a group has committed; nothing for partitions where it has not.

        Raises KafkaException when no broker answers.
        """
        from confluent_kafka import TopicPartition

        wanted = [TopicPartition(*part) for part in parts]
        found = self._asker(group).committed(wanted, timeout=BROKER_S) if wanted else ()
        return {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}

    def close(self) -> None:
        """Leave."""
        for asker in self._askers.values():
            asker.close()

    def _asker(self, group: str) -> Any:
        from confluent_kafka import Consumer

        if group not in self._askers:
            own = {"group.id": group, "isolation.level": "read_committed"}
            self._askers[group] = Consumer(from_the_start(self._options, "lag") | own)
        return self._askers[group]


def _watermarks(asker: Any, topic: str, number: int) -> tuple[int, int]:
    from confluent_kafka import TopicPartition

    low, high = asker.get_watermark_offsets(TopicPartition(topic, number), timeout=BROKER_S)
    return low, high
