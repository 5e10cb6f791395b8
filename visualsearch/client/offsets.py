"""Offsets of partitions: first, end, by time, and committed by a consumer group."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Partition = tuple[str, int]
"""A topic and a partition number."""


class OffsetsError(ConnectionError):
    """Kafka did not answer a request for metadata or offsets; the message says why."""


class Offsets:
    """Looks up offsets through a consumer. All methods raise OffsetsError.

    `committed` is about the consumer's group, which the consumer never joins. The admin client is
    not used: it crashes the process if its connection to the coordinator is lost
    (librdkafka#4605). `answer_s` is the timeout of each request.
    """

    def __init__(self, consumer: Any, answer_s: float) -> None:
        self._consumer = consumer
        self._answer_s = answer_s

    def partitions(self, topic: str) -> list[int]:
        """Return the partition numbers of a topic. Raises OffsetsError if there is none."""
        found = self._topic(topic)
        if found.error is not None:
            raise OffsetsError(found.error.str())
        return list(found.partitions)

    def count(self, topic: str) -> int:
        """Return how many partitions a topic has; 0 if there is no such topic."""
        found = self._topic(topic)
        return 0 if found.error is not None else len(found.partitions)

    def led(self, topic: str) -> list[int]:
        """Return the partition numbers of a topic; none while any partition has no leader."""
        partitions = self._topic(topic).partitions
        led = all(partition.leader >= 0 for partition in partitions.values())
        return list(partitions) if led else []

    def bounds(self, partitions: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
        """Return (first offset, end) of each partition; the end is the last offset plus one.

        The messages of an open transaction are beyond the end.
        """
        ask, answer_s = self._consumer.get_watermark_offsets, self._answer_s
        with _asking():
            return {at: ask(_topic_partition(*at), answer_s) for at in partitions}

    def ends(self, topic: str) -> dict[Partition, int]:
        """Return the end of each partition of a topic."""
        bounds = self.bounds((topic, number) for number in self.partitions(topic))
        return {at: end for at, (_, end) in bounds.items()}

    def at_time(self, partitions: Iterable[Partition], time_ms: int) -> dict[Partition, int]:
        """Return the first offset whose timestamp is >= `time_ms`, per partition; -1 if none."""
        wanted = [_topic_partition(*at, time_ms) for at in partitions]
        with _asking():
            found = self._consumer.offsets_for_times(wanted, timeout=self._answer_s)
        return {(at.topic, at.partition): at.offset for at in found}

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the group's committed offsets; partitions without one are left out."""
        wanted = [_topic_partition(*at) for at in partitions]
        with _asking():
            found = self._consumer.committed(wanted, timeout=self._answer_s) if wanted else ()
        return {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}

    def _topic(self, topic: str) -> Any:
        with _asking():
            return self._consumer.list_topics(topic, timeout=self._answer_s).topics[topic]


@contextmanager
def _asking() -> Iterator[None]:
    from confluent_kafka import KafkaException

    try:
        yield
    except KafkaException as error:
        raise OffsetsError(error.args[0].str()) from error


def _topic_partition(topic: str, number: int, *offset: int) -> Any:
    from confluent_kafka import TopicPartition

    return TopicPartition(topic, number, *offset)
