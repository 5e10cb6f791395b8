"""Bounded scans: reads topics up to their current end, without a consumer group."""

import re
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from streams.kafka.messages import SourceMessage
from streams.kafka.topics import TopicError
from visualsearch.client.closing import Closing
from visualsearch.client.offsets import OffsetsError, Partition
from visualsearch.client.tail import Polled, Position, Tail

SILENT_S = 30.0
_WAIT_S = 0.1
_LIMIT = 500
_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """The offsets of one partition that are to be read: `start` up to, not including, `end`.

    `leader_epoch` is that of the record before `start`, where it is known.
    """

    topic: str
    partition: int
    start: int
    end: int
    leader_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class ScannedMessage:
    """A message, and whether its timestamp is its producer's (CreateTime) or the broker's."""

    message: SourceMessage
    by_producer: bool


def parse_since_ms(text: str, now: datetime) -> int:
    """Read `90s`, `30m`, `12h`, `7d` or an ISO 8601 time (UTC unless it says otherwise), as ms.

    Raises ValueError.
    """
    if found := _AGO.fullmatch(text):
        at = now - timedelta(**{_UNITS[found[2]]: int(found[1])})
    else:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return round(at.timestamp() * 1000)


class Scanner(Closing):
    """Reads through the given tail, or its own, and closes it. Raises TopicError.

    An unreadable batch is skipped and yielded as a damaged message. If the tail does not skip it,
    the message has the batch's first offset, and the caller has to leave the partition.
    """

    def __init__(self, options: Mapping[str, str | int], tail: Tail | None = None) -> None:
        self._bootstrap = options["bootstrap.servers"]
        self._tail = tail or Tail(options, "scan", reset="earliest")
        self._left: dict[Partition, OffsetRange] = {}
        self._reached: dict[Partition, int] = {}

    def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; 0 if there is no such topic."""
        try:
            return self._tail.offsets.count(topic)
        except OffsetsError as error:
            raise self._unreachable(error) from error

    def offset_ranges(
        self, topic: str, partitions: Sequence[int] | None = None, since: int | None = None
    ) -> list[OffsetRange]:
        """Return what a topic holds now, in the given partitions or all, since a time in ms."""
        numbers = range(self.partitions(topic)) if partitions is None else partitions
        chosen = [(topic, number) for number in numbers]
        try:
            bounds = self._tail.offsets.bounds(chosen)
            at = {} if since is None else self._tail.offsets.at_time(chosen, since)
        except OffsetsError as error:
            raise self._unreachable(error) from error
        spans = []
        for partition, (start, end) in bounds.items():
            first = at.get(partition, start)
            spans.append(OffsetRange(*partition, first if 0 <= first <= end else end, end))
        return spans

    def read(
        self,
        spans: Sequence[OffsetRange],
        progress: Callable[[int, int], None] = lambda _, __: None,
        keys: Container[bytes] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[ScannedMessage]:
        """Yield the messages of the spans, or only those with the given keys, until `stop()`.

        `progress` gets (offsets passed, offsets in all). Compaction leaves gaps: a span ends at an
        offset past it, or at the end of the partition. Raises LogCutError if the log does not hold
        a start and the reset is `error`.
        """
        self._left = left = {(s.topic, s.partition): s for s in spans if s.start < s.end}
        self._reached = {at: span.start for at, span in left.items()}
        total = sum(span.end - span.start for span in left.values())
        passed = -sum(self._reached.values())
        starts = {at: Position(span.start, span.leader_epoch) for at, span in left.items()}
        if not left:
            return
        self._tail.assign(starts)
        heard_at = time.monotonic()
        try:
            for polled in self._tail.polls(lambda: not left or stop(), _LIMIT, _WAIT_S):
                if polled:
                    yield from self._within(polled, keys)
                    heard_at = time.monotonic()
                elif time.monotonic() - heard_at > SILENT_S:
                    raise self._silent()
                progress(passed + sum(self._reached.values()), total)
        finally:
            self._tail.unassign()

    def reached(self, partition: Partition) -> int:
        """Return the offset up to which the last read has seen a partition, at most its end."""
        return self._reached[partition]

    def leave(self, partition: Partition) -> None:
        """Stop reading a partition in this read."""
        if self._left.pop(partition, None) is not None:
            self._tail.leave(partition)

    def close(self) -> None:
        """Close the tail."""
        self._tail.close()

    def _within(self, polled: Polled, keys: Container[bytes] | None) -> Iterator[ScannedMessage]:
        """Yield the messages within the spans, and advance the reached offsets."""
        for message in polled.messages:
            at, offset = (message.topic(), message.partition()), message.offset()
            if (span := self._left.get(at)) is None:
                continue
            if offset < span.end and (keys is None or message.key() in keys):
                yield _scanned(message)
            self._reach(at, offset + 1)
        for batch in polled.unreadable:
            at = (batch.topic, batch.partition)
            if (span := self._left.get(at)) is None:
                continue
            if batch.first < span.end and keys is None:
                yield ScannedMessage(SourceMessage.from_unreadable(batch), by_producer=False)
            self._reach(at, batch.last + 1)
        for at in polled.ends:
            if (span := self._left.get(at)) is not None:
                self._reach(at, span.end)

    def _reach(self, partition: Partition, offset: int) -> None:
        """Note that a partition is read up to an offset, unless it was left meanwhile."""
        if (span := self._left.get(partition)) is None:
            return
        self._reached[partition] = min(offset, span.end)
        if offset >= span.end:
            self.leave(partition)

    def _silent(self) -> TopicError:
        waiting = ", ".join(f"{topic}[{number}]" for topic, number in sorted(self._left))
        text = f"Kafka at {self._bootstrap} sent nothing of {waiting} for {SILENT_S:.0f} s"
        return TopicError(text, code="unreachable")

    def _unreachable(self, error: OffsetsError) -> TopicError:
        text = f"No answer from Kafka at {self._bootstrap}: {error}"
        return TopicError(text, code="unreachable")


def _scanned(message: Any) -> ScannedMessage:
    from confluent_kafka import TIMESTAMP_CREATE_TIME

    by_producer = message.timestamp()[0] == TIMESTAMP_CREATE_TIME
    return ScannedMessage(SourceMessage.from_confluent(message), by_producer)
