"""Topics read from a beginning to where they end now: by assignment, without a group."""

import re
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from streams.kafka.assignment import from_the_start, is_end
from streams.kafka.messages import SourceMessage
from streams.kafka.topics import TopicError
from visualsearch.client.closing import Closing
from visualsearch.client.unreadable import is_unreadable, step_over

_BROKER_S = 10.0
_SILENT_S = 30.0
_BATCH = 500
_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets of one partition that are to be read: `start` up to, not including, `end`."""

    topic: str
    partition: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Scanned:
    """A message, and whether its timestamp is its producer's (CreateTime) or the broker's."""

    message: SourceMessage
    by_producer: bool


def since_ms(text: str, now: datetime) -> int:
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
    """A consumer that commits nothing and belongs to no group. Raises TopicError."""

    def __init__(self, options: dict[str, str | int]) -> None:
        from confluent_kafka import Consumer

        self._options = options
        self._bootstrap = options["bootstrap.servers"]
        self._consumer = Consumer(
            from_the_start(options, "scan")
            | {"fetch.wait.max.ms": 50, "queued.max.messages.kbytes": 65536}
        )

    def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; 0 if there is no such topic."""
        from confluent_kafka import KafkaException

        try:
            found = self._consumer.list_topics(topic, timeout=_BROKER_S).topics[topic]
        except KafkaException as error:
            raise self._unreachable(error) from error
        return 0 if found.error is not None else len(found.partitions)

    def spans(
        self, topic: str, partitions: Sequence[int] | None = None, since: int | None = None
    ) -> list[Span]:
        """Return what a topic holds now, in the given partitions or all, since a time in ms."""
        from confluent_kafka import KafkaException, TopicPartition

        chosen = range(self.partitions(topic)) if partitions is None else partitions
        spans = []
        try:
            for number in chosen:
                tp = TopicPartition(topic, number)
                start, end = self._consumer.get_watermark_offsets(tp, timeout=_BROKER_S)
                if since is not None:
                    wanted = TopicPartition(topic, number, since)
                    (found,) = self._consumer.offsets_for_times([wanted], timeout=_BROKER_S)
                    start = found.offset if 0 <= found.offset <= end else end
                spans.append(Span(topic, number, start, end))
        except KafkaException as error:
            raise self._unreachable(error) from error
        return spans

    def read(
        self,
        spans: Sequence[Span],
        progress: Callable[[int, int], None] = lambda _, __: None,
        keys: Container[bytes] | None = None,
    ) -> Iterator[Scanned]:
        """Yield the messages of the spans, or those with the given keys alone.

        `progress` gets offsets passed and offsets in all.

        Compaction leaves holes, so that an end is an offset passed or the end of the partition.
        """
        from confluent_kafka import TopicPartition

        left = {(s.topic, s.partition): s for s in spans if s.start < s.end}
        total = sum(s.end - s.start for s in left.values())
        position = {at: span.start for at, span in left.items()}
        starts = dict(position)
        self._consumer.assign([TopicPartition(t, p, s.start) for (t, p), s in left.items()])
        while left:
            for message in self._batch():
                at = (message.topic(), message.partition())
                if (span := left.get(at)) is None:
                    continue
                if message.error() is not None and is_end(message.error()):
                    position[at] = span.end
                elif (found := self._scanned(message)) is not None:
                    wanted = keys is None or found.message.key in keys
                    if wanted and found.message.offset < span.end:
                        yield found
                    position[at] = min(found.message.next_offset, span.end)
                if position[at] >= span.end:
                    del left[at]
            progress(sum(position[at] - starts[at] for at in position), total)

    def close(self) -> None:
        """Leave."""
        self._consumer.close()

    def _batch(self) -> list[Any]:
        """Return messages, ends of partitions and what cannot be read, as soon as there are any."""
        first = self._consumer.poll(_SILENT_S)
        if first is None:
            raise TopicError(
                f"Kafka at {self._bootstrap} sent nothing for {_SILENT_S:.0f} s", code="unreachable"
            )
        batch = [first, *self._consumer.consume(_BATCH, 0)]
        # Other errors are the client's notes on its own reconnecting.
        return [m for m in batch if m.error() is None or is_end(m.error()) or is_unreadable(m)]

    def _scanned(self, message: Any) -> Scanned | None:
        """Return a message or what stands for an unreadable batch; None if it is read again."""
        from confluent_kafka import TIMESTAMP_CREATE_TIME

        if message.error() is None:
            by_producer = message.timestamp()[0] == TIMESTAMP_CREATE_TIME
            return Scanned(SourceMessage.from_confluent(message), by_producer)
        batch = step_over(self._consumer, self._options, message)
        if batch is None:
            return None
        return Scanned(SourceMessage.from_unreadable(batch), by_producer=False)

    def _unreachable(self, error: Any) -> TopicError:
        text = f"No answer from Kafka at {self._bootstrap}: {error.args[0].str()}"
        return TopicError(text, code="unreachable")
