"""Offsets of topics and consumer groups, read without joining a group."""

from collections.abc import Iterable, Mapping
from typing import Any

from visualsearch.client.closing import Closing
from visualsearch.client.offsets import Offsets, Partition
from visualsearch.client.options import by_assignment

ANSWER_S = 5.0


class GroupOffsets(Closing):
    """Keeps a consumer per group, since a consumer cannot change its group."""

    def __init__(self, options: Mapping[str, str | int]) -> None:
        self._options = by_assignment(dict(options), "offsets")
        self._consumers: dict[str, Any] = {}

    def bounds(self, topics: Iterable[str]) -> dict[Partition, tuple[int, int]]:
        """Return (low, high) watermarks by partition. Raises OffsetsError.

        A topic with a leaderless partition is left out.
        """
        offsets = self._of(str(self._options["group.id"]))
        return offsets.bounds((topic, number) for topic in topics for number in offsets.led(topic))

    def committed(self, group: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the committed offsets of a group, where there are any. Raises OffsetsError."""
        return self._of(group).committed(partitions)

    def close(self) -> None:
        """Close all consumers."""
        for consumer in self._consumers.values():
            consumer.close()

    def _of(self, group: str) -> Offsets:
        from confluent_kafka import Consumer

        if group not in self._consumers:
            self._consumers[group] = Consumer(self._options | {"group.id": group})
        return Offsets(self._consumers[group], ANSWER_S)
