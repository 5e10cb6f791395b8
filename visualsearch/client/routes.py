"""Chooses the partition for resending an unanswered request: the last one that answered."""

import random

from visualsearch.client.partitioner import partition_of


class Routes:
    """Partitions of the requests topic, ordered by their latest answer.

    After a worker is killed, its partitions have no consumer for a while. A partition that has
    just answered has one.
    """

    def __init__(self, partitions: int, rng: random.Random | None = None) -> None:
        self._partitions = partitions
        self._rng = rng or random.Random()
        self._answered: dict[int, None] = {}  # the last one at the end

    def partition_for(self, request_id: str) -> int:
        """Return the partition that a producer chooses by the request's key."""
        return partition_of(request_id, self._partitions)

    def record_answer(self, partition: int) -> None:
        """Note that a send to the partition was answered."""
        self._answered.pop(partition, None)
        self._answered[partition] = None

    def resend_partition(self, first: int) -> int:
        """Return the partition for resending a request that was sent to `first`.

        It is the latest other partition that answered, else a random other one, else `first`.
        """
        others = [p for p in range(self._partitions) if p != first]
        proven = (p for p in reversed(self._answered) if p != first)
        return next(proven, self._rng.choice(others) if others else first)
