"""Kafka, read by assignment: no group is joined, nothing is committed, nothing is written."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from streams.kafka.messages import HEADERS_INVALID, MESSAGE_UNREADABLE, NO_TIME
from streams.tools.fsck.values import FsckError, Message, MessagePosition, PartitionKey
from visualsearch.client.closing import Closing
from visualsearch.client.messages import read_headers
from visualsearch.client.options import consumer_limits
from visualsearch.client.unreadable import is_unreadable, skip_unreadable_batch

Bounds = Mapping[PartitionKey, tuple[int, int]]
"""Per partition the first offset and the one after the last."""
BATCH = 500
SILENCE_S = 30.0  # without a message, after which a read fails
NEAR = 200  # offsets between two wanted messages that are read rather than skipped by a seek


class Cluster(Closing):
    """A reader of whole ranges; `options` are librdkafka's connection options."""

    def __init__(self, options: Mapping[str, str | int], *, timeout_s: float = 10.0) -> None:
        self._options = dict(options)
        self._timeout_s = timeout_s
        self._consumer = self._open("visualsearch-fsck-unused")
        self._group_consumers: dict[str, Any] = {}

    def close(self) -> None:
        """Close the connections."""
        for consumer in (self._consumer, *self._group_consumers.values()):
            consumer.close()

    def bounds(self, topics: Iterable[str]) -> dict[PartitionKey, tuple[int, int]]:
        """Return the current bounds of each partition. Raises FsckError."""
        from confluent_kafka import KafkaException, TopicPartition

        bounds: dict[PartitionKey, tuple[int, int]] = {}
        try:
            for topic in topics:
                found = self._consumer.list_topics(topic, timeout=self._timeout_s).topics[topic]
                if found.error is not None:
                    raise FsckError("topics_missing", f"topic {topic}: {found.error.str()}")
                for partition in found.partitions:
                    at = TopicPartition(topic, partition)
                    low, high = self._consumer.get_watermark_offsets(at, timeout=self._timeout_s)
                    bounds[topic, partition] = (low, high)
        except KafkaException as error:
            raise _unreachable(error) from error
        return bounds

    def committed(self, group: str, parts: Iterable[PartitionKey]) -> dict[PartitionKey, int]:
        """Return a group's committed offsets, without partitions that have none."""
        from confluent_kafka import KafkaException, TopicPartition

        if group not in self._group_consumers:
            # It reads offsets and does not subscribe, so that it never joins the group.
            self._group_consumers[group] = self._open(group)
        try:
            wanted = [TopicPartition(*part) for part in parts]
            found = self._group_consumers[group].committed(wanted, timeout=self._timeout_s)
        except KafkaException as error:
            raise _unreachable(error) from error
        return {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}

    def with_messages(self, bounds: Bounds) -> dict[PartitionKey, tuple[int, int]]:
        """Return the bounds of partitions with messages in them. Raises FsckError.

        Transaction markers and aborted records take offsets, but are not messages.
        """
        found = {message.source[:2] for message in self.read(bounds, first_only=True)}
        return {part: bound for part, bound in bounds.items() if part in found}

    def read(self, bounds: Bounds, *, first_only: bool = False) -> Iterator[Message]:
        """Yield the messages within bounds, each partition's in order, or the first of each.

        Raises FsckError.
        """
        from confluent_kafka import TopicPartition

        left = {part: stop for part, (start, stop) in bounds.items() if start < stop}
        if not left:
            return
        consumer = self._consumer
        consumer.assign([TopicPartition(*part, bounds[part][0]) for part in left])
        last_message_at = time.monotonic()
        try:
            while left:
                # The first at once, then what is there: `consume(n, 0.2)` alone waits for n.
                first = consumer.poll(0.2)
                got = [] if first is None else [first, *consumer.consume(BATCH, 0)]
                if got:
                    last_message_at = time.monotonic()
                elif time.monotonic() - last_message_at > SILENCE_S:
                    raise FsckError("unreachable", f"{sorted(left)} cannot be read to the end")
                for raw in got:
                    part = (raw.topic(), raw.partition())
                    stop = left.get(part)
                    if stop is None:
                        continue
                    message, read_up_to = self._found(raw)
                    if read_up_to >= stop or (first_only and read_up_to > raw.offset()):
                        del left[part]  # later messages of the partition are ignored
                    if message is not None and message.offset < stop:
                        yield message
        finally:
            consumer.unassign()

    def read_at(self, sources: Iterable[MessagePosition]) -> Iterator[Message]:
        """Yield the messages at these positions, if there are any."""
        wanted = sorted(set(sources))
        for first, last in _runs(wanted):
            part = first[:2]
            for message in self.read({part: (first[2], last[2] + 1)}):
                if message.source in wanted:
                    yield message

    def _found(self, raw: Any) -> tuple[Message | None, int]:
        """Return the message, if it is one, and the offset up to which the partition is read.

        A batch that cannot be read counts as one message. Raises FsckError.
        """
        from confluent_kafka import KafkaError

        error = raw.error()
        if error is None:
            return _message(raw), raw.offset() + 1
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            return None, sys.maxsize
        if not is_unreadable(raw):
            raise FsckError("unreachable", f"{raw.topic()}[{raw.partition()}]: {error.str()}")
        batch = skip_unreadable_batch(self._consumer, self._options, raw)
        if batch is None:
            return None, raw.offset()
        at = (batch.topic, batch.partition, batch.first)
        return Message(*at, NO_TIME, None, None, damage=MESSAGE_UNREADABLE), batch.last + 1

    def _open(self, group: str) -> Any:
        from confluent_kafka import Consumer

        return Consumer(
            self._options
            | consumer_limits()
            | {
                "group.id": group,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",  # as the workers read
                "auto.offset.reset": "error",  # messages deleted meanwhile must not go unnoticed
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 32768,
            }
        )


def _runs(wanted: Sequence[MessagePosition]) -> Iterator[tuple[MessagePosition, MessagePosition]]:
    """Yield (first, last) of the runs of sorted positions that are read in one go."""
    first = last = None
    for source in wanted:
        if first is None or last is None:
            first = last = source
        elif source[:2] == last[:2] and source[2] - last[2] <= NEAR:
            last = source
        else:
            yield first, last
            first = last = source
    if first is not None and last is not None:
        yield first, last


def _message(raw: Any) -> Message:
    headers = read_headers(raw)
    return Message(
        raw.topic(),
        raw.partition(),
        raw.offset(),
        raw.timestamp()[1],
        raw.key(),
        raw.value(),
        headers or (),
        HEADERS_INVALID if headers is None else None,
    )


def _unreachable(error: Any) -> FsckError:
    return FsckError("unreachable", f"no answer from Kafka: {error.args[0].str()}")
