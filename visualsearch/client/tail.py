"""Partitions read on and on by assignment: no group is joined, nothing is committed."""

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
"""Where to read on if the log does not hold the offset; `error` raises LogCutError.

A compacted log does not move its beginning, so that any reset of it would skip records silently.
"""


class Position(Struct, frozen=True):
    """The next offset to read, and the leader epoch of the record before it where it is known.

    With the epoch a log is found out that was cut and has grown again past the offset.
    """

    offset: int
    leader_epoch: int | None = None


class LogCutError(Exception):
    """The log does not hold what was to come next: it can be neither read nor skipped."""


@dataclass(slots=True)
class Polled:
    """What one poll gave: messages, batches that cannot be read, and ends that were met.

    The messages of a partition are in its order, and its unreadable batch follows them. An end is
    the offset at which nothing more was found; `notes` are the client's own about its connections.
    """

    messages: Sequence[Any] = ()
    unreadable: list[UnreadableBatch] = field(default_factory=list)
    ends: dict[Partition, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return whether anything was heard of the partitions."""
        return bool(self.messages or self.unreadable or self.ends)


class Tail(Closing):
    """Follows partitions from given offsets; batches that cannot be read are stepped over.

    Without `steps_over` such a batch is reported again by every poll, until it is left. `options`
    are librdkafka's connection options, `tuning` those of fetching.
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
        """Read these partitions and no others, from a position or from their beginnings."""
        self._assigned = {at: topic_partition(at, start) for at, start in starts.items()}
        self._consumer.assign(list(self._assigned.values()))

    def assign_ends(self, *topics: str) -> None:
        """Read topics from where they end now. Raises OffsetsError.

        From the offsets, not from "end": a message may come before the first fetch does.
        """
        ends = {at: Position(end) for topic in topics
                for at, end in self.offsets.ends(topic).items()}  # fmt: skip
        self.assign(ends)

    def leave(self, partition: Partition) -> None:
        """Read no more of a partition."""
        self._consumer.incremental_unassign([self._assigned.pop(partition)])

    def unassign(self) -> None:
        """Read no more of any."""
        if self._assigned:
            self._assigned = {}
            self._consumer.unassign()

    def poll(self, limit: int, wait_s: float) -> Polled:
        """Return what is there; wait only while there is nothing. Raises LogCutError."""
        # The first message at once, then what is there: `consume(n, 1.0)` alone waits for n.
        first = self._consumer.poll(wait_s)
        if first is None:
            return Polled()
        found = [first, *self._consumer.consume(limit - 1, 0)]
        messages = [message for message in found if message.error() is None]
        return Polled(messages) if len(messages) == len(found) else self._sorted(found)

    def polls(self, stopped: Callable[[], bool], limit: int, wait_s: float) -> Iterator[Polled]:
        """Yield poll after poll, the empty ones too, until stopped. Raises LogCutError."""
        while not stopped():
            yield self.poll(limit, wait_s)

    def highs(self) -> dict[Partition, int]:
        """Return where the partitions ended at their last fetch; no request is made for it."""
        ask = self._consumer.get_watermark_offsets
        highs = {at: ask(assigned, cached=True)[1] for at, assigned in self._assigned.items()}
        return {at: high for at, high in highs.items() if high >= 0}  # below: not fetched yet

    def close(self) -> None:
        """Leave."""
        self._assigned = {}
        self._consumer.close()

    def _sorted(self, found: Sequence[Any]) -> Polled:
        """Tell messages from notices, of which one may have been queued several times."""
        messages: list[Any] = []
        polled = Polled(messages)
        reached: dict[Partition, int] = {}
        sought: set[Partition] = set()  # what follows there comes again
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
    """Return what to assign: a partition from `start` on, else from its beginning."""
    from confluent_kafka import OFFSET_BEGINNING, TopicPartition

    if start is None:
        return TopicPartition(*partition, OFFSET_BEGINNING)
    if start.leader_epoch is None:
        return TopicPartition(*partition, start.offset)
    return TopicPartition(*partition, start.offset, leader_epoch=start.leader_epoch)


def is_end(error: Any) -> bool:
    """Return whether a partition has nothing more, for now."""
    from confluent_kafka import KafkaError

    return bool(error.code() == KafkaError._PARTITION_EOF)  # noqa: SLF001 - its public name


def is_cut(error: Any) -> bool:
    """Return whether the log does not hold what was to come next."""
    from confluent_kafka import KafkaError

    reset, truncated = KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION  # noqa: SLF001
    return error.code() in (reset, truncated)
