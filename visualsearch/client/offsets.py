"""Where partitions begin and end, and what a consumer group has committed."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Partition = tuple[str, int]
"""A topic and the number of a partition of it."""


class OffsetsError(ConnectionError):
    """No answer from Kafka about a topic or its offsets; the message is Kafka's reason."""


class Offsets:
    """Asks through a consumer; its group is the one whose commits are told. Raises OffsetsError.

    The consumer never joins the group. The admin client's questions to a group's coordinator end
    the process when their connection is lost (librdkafka#4605).
    """

    def __init__(self, consumer: Any, answer_s: float) -> None:
        self._consumer = consumer
        self._answer_s = answer_s

    def partitions(self, topic: str) -> list[int]:
        """Return the partitions of a topic. Raises OffsetsError also where it does not exist."""
        found = self._topic(topic)
        if found.error is not None:
            raise OffsetsError(found.error.str())
        return list(found.partitions)

    def count(self, topic: str) -> int:
        """Return how many partitions a topic has; 0 if there is no such topic."""
        found = self._topic(topic)
        return 0 if found.error is not None else len(found.partitions)

    def led(self, topic: str) -> list[int]:
        """Return the partitions of a topic; none while one of them has no leader."""
        partitions = self._topic(topic).partitions
        led = all(partition.leader >= 0 for partition in partitions.values())
        return list(partitions) if led else []

    def bounds(self, partitions: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
        """Return the first offset of each and the one after the last.

        An open transaction is behind the end.
        """
        ask, answer_s = self._consumer.get_watermark_offsets, self._answer_s
        with _asking():
            return {at: ask(_topic_partition(*at), answer_s) for at in partitions}

    def ends(self, topic: str) -> dict[Partition, int]:
        """Return the end of each partition of a topic."""
        bounds = self.bounds((topic, number) for number in self.partitions(topic))
        return {at: end for at, (_, end) in bounds.items()}

    def at_time(self, partitions: Iterable[Partition], time_ms: int) -> dict[Partition, int]:
        """Return the first offset of each that is not older; -1 where all are."""
        wanted = [_topic_partition(*at, time_ms) for at in partitions]
        with _asking():
            found = self._consumer.offsets_for_times(wanted, timeout=self._answer_s)
        return {(at.topic, at.partition): at.offset for at in found}

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return what the group has committed; nothing for partitions where it has not."""
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
