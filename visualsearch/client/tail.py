"""Continuous reading of assigned partitions: no group is joined, no offset is committed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct

from visualsearch.client.closing import Closing
from visualsearch.client.offsets import Offsets, Partition
from visualsearch.client.options import by_assignment
from visualsearch.client.unreadable import UnreadableBatch, is_unreadable, skip_unreadable_batch

ANSWER_S = 10.0
Reset = Literal["earliest", "latest", "error"]
"""Where to continue if the log does not hold the offset; `error` raises LogCutError.

Compaction does not move a log's first offset, so a reset of a compacted log would lose records.
"""


class Position(Struct, frozen=True):
    """The next offset to read, and the leader epoch of the record before it, if known.

    The epoch detects a log that was truncated and has grown past the offset again.
    """

    offset: int
    leader_epoch: int | None = None


class LogCutError(Exception):
    """The log does not hold the next offset: records were truncated, or removed by retention."""


@dataclass(slots=True)
class Polled:
    """The result of one poll: messages, unreadable batches, and partition ends reached.

    Messages of a partition are in offset order, and its unreadable batch follows them. `ends` holds
    the end offset of each partition that was read to its end. `notes` are librdkafka's other
    errors, such as lost connections.
    """

    messages: Sequence[Any] = ()
    unreadable: list[UnreadableBatch] = field(default_factory=list)
    ends: dict[Partition, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return whether there are messages, unreadable batches or ends."""
        return bool(self.messages or self.unreadable or self.ends)


class Tail(Closing):
    """Follows partitions from given offsets and skips unreadable batches.

    Without `steps_over` every poll reports such a batch again, until `leave`. `options` are
    librdkafka's connection options, `tuning` its fetch options.
    """

    def __init__(
        self,
        options: Mapping[str, str | int],
        name: str,
        *,
        reset: Reset,
        tuning: Mapping[str, str | int] | None = None,
        steps_over: bool = True,
        answer_s: float = ANSWER_S,
        connect: Callable[[dict[str, str | int]], Any] | None = None,
    ) -> None:
        from confluent_kafka import Consumer

        self._options = dict(options)
        own = {"enable.partition.eof": True, "auto.offset.reset": reset, "fetch.wait.max.ms": 50}
        whole = by_assignment(self._options, name) | own | dict(tuning or {})
        self._consumer = (connect or Consumer)(whole)
        self._steps_over = steps_over
        self._assigned: dict[Partition, Any] = {}
        self.offsets = Offsets(self._consumer, answer_s)

    def assign(self, starts: Mapping[Partition, Position | None]) -> None:
        """Read only these partitions, each from its position, or from its beginning if None."""
        self._assigned = {at: topic_partition(at, start) for at, start in starts.items()}
        self._consumer.assign(list(self._assigned.values()))

    def assign_ends(self, *topics: str) -> None:
        """Read topics from their current ends. Raises OffsetsError.

        The ends are looked up: `OFFSET_END` would miss messages written before the first fetch.
        """
        ends = {at: Position(end) for topic in topics
                for at, end in self.offsets.ends(topic).items()}  # fmt: skip
        self.assign(ends)

    def leave(self, partition: Partition) -> None:
        """Stop reading a partition."""
        self._consumer.incremental_unassign([self._assigned.pop(partition)])

    def unassign(self) -> None:
        """Stop reading all partitions."""
        if self._assigned:
            self._assigned = {}
            self._consumer.unassign()

    def poll(self, limit: int, wait_s: float) -> Polled:
        """Return up to `limit` messages; wait up to `wait_s` for the first. Raises LogCutError."""
        # `consume(n, wait_s)` alone would wait until there are n messages.
        first = self._consumer.poll(wait_s)
        if first is None:
            return Polled()
        found = [first, *self._consumer.consume(limit - 1, 0)]
        messages = [message for message in found if message.error() is None]
        return Polled(messages) if len(messages) == len(found) else self._sorted(found)

    def polls(self, stopped: Callable[[], bool], limit: int, wait_s: float) -> Iterator[Polled]:
        """Yield the result of each poll, also empty ones, until stopped. Raises LogCutError."""
        while not stopped():
            yield self.poll(limit, wait_s)

    def highs(self) -> dict[Partition, int]:
        """Return the partitions' ends as of their last fetch, without a request."""
        ask = self._consumer.get_watermark_offsets
        highs = {at: ask(assigned, cached=True)[1] for at, assigned in self._assigned.items()}
        return {at: high for at, high in highs.items() if high >= 0}  # negative: not fetched yet

    def close(self) -> None:
        """Close the consumer."""
        self._assigned = {}
        self._consumer.close()

    def _sorted(self, found: Sequence[Any]) -> Polled:
        """Separate messages from errors; librdkafka may queue the same error several times."""
        messages: list[Any] = []
        polled = Polled(messages)
        reached: dict[Partition, int] = {}
        sought: set[Partition] = set()  # after a seek later messages come again
        for message in found:
            at = (message.topic(), message.partition())
            error = message.error()
            if at in sought:
                continue
            if error is None:
                messages.append(message)
                reached[at] = message.offset() + 1
            elif is_end(error):
                polled.ends[at] = message.offset()
            elif is_cut(error):
                raise LogCutError(f"{at[0]}[{at[1]}]: {error.str()}")
            elif not is_unreadable(message):
                polled.notes.append(error.str())
            elif message.offset() >= reached.get(at, 0):
                if (batch := self._unreadable(message)) is None:
                    polled.notes.append(error.str())
                else:
                    polled.unreadable.append(batch)
                    sought.add(at)
        return polled

    def _unreadable(self, notice: Any) -> UnreadableBatch | None:
        if self._steps_over:
            return skip_unreadable_batch(self._consumer, self._options, notice)
        topic, number, offset = notice.topic(), notice.partition(), notice.offset()
        return UnreadableBatch(topic, number, offset, offset, notice.error().str())


def topic_partition(partition: Partition, start: Position | None) -> Any:
    """Return the assignment of a partition from `start`, or from its beginning if None."""
    from confluent_kafka import OFFSET_BEGINNING, TopicPartition

    if start is None:
        return TopicPartition(*partition, OFFSET_BEGINNING)
    if start.leader_epoch is None:
        return TopicPartition(*partition, start.offset)
    return TopicPartition(*partition, start.offset, leader_epoch=start.leader_epoch)


def is_end(error: Any) -> bool:
    """Return whether an error reports the current end of a partition."""
    from confluent_kafka import KafkaError

    return bool(error.code() == KafkaError._PARTITION_EOF)  # noqa: SLF001 - its public name


def is_cut(error: Any) -> bool:
    """Return whether an error reports that the log does not hold the next offset."""
    from confluent_kafka import KafkaError

    reset, truncated = KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION  # noqa: SLF001
    return error.code() in (reset, truncated)
