"""Consumers that are assigned their partitions: no group is joined or committed."""

from typing import Any

from msgspec import Struct

from visualsearch.client.options import by_assignment


class Position(Struct, frozen=True):
    """The next offset to apply, and the leader epoch of the record before it where it is known."""

    offset: int
    leader_epoch: int | None = None


def from_the_start(options: dict[str, str | int], name: str) -> dict[str, str | int]:
    """Return those of one that reads partitions from their beginnings and is told of their ends."""
    return by_assignment(options, name) | {
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
    }


def from_offsets(options: dict[str, str | int], name: str) -> dict[str, str | int]:
    """Return those of one that is told where to begin and goes nowhere else.

    A compacted log does not move its beginning, so that any other reset would pass over records
    without a word. An offset that is not there is an error of the partition.
    """
    return by_assignment(options, name) | {
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
    }


def assignment(topic: str, partition: int, start: Position | None) -> Any:
    """Return the TopicPartition to assign: from `start`, else from the partition's beginning.

    With the leader epoch a log that was cut and has grown again behind the offset is found out.
    """
    from confluent_kafka import OFFSET_BEGINNING, TopicPartition

    if start is None:
        return TopicPartition(topic, partition, OFFSET_BEGINNING)
    if start.leader_epoch is None:
        return TopicPartition(topic, partition, start.offset)
    return TopicPartition(topic, partition, start.offset, leader_epoch=start.leader_epoch)


def is_end(error: Any) -> bool:
    """Return whether a partition has nothing more, for now."""
    from confluent_kafka import KafkaError

    return bool(error.code() == KafkaError._PARTITION_EOF)  # noqa: SLF001 - its public name


def is_cut(error: Any) -> bool:
    """Return whether the log does not hold what was to come next."""
    from confluent_kafka import KafkaError

    reset, truncated = KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION  # noqa: SLF001
    return error.code() in (reset, truncated)
