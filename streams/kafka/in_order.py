"""In-order acknowledgment of messages that are processed concurrently."""

from collections import deque
from collections.abc import Callable
from typing import Any


class OrderedAcks:
    """Calls `done` of finished items in the order of arrival, per partition.

    Every item before a called one is finished too, so its offset may be committed.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], deque[list[Any]]] = {}

    def add(self, partition: tuple[str, int], done: Callable[[], None]) -> Callable[[], None]:
        """Add an item; call the returned function when it is finished."""
        queue = self._waiting.setdefault(partition, deque())
        entry: list[Any] = [False, done]
        queue.append(entry)

        def finished() -> None:
            entry[0] = True
            while queue and queue[0][0]:
                queue.popleft()[1]()

        return finished

    def clear(self) -> None:
        """Drop unfinished items: the partitions' owners read them again."""
        for queue in self._waiting.values():
            queue.clear()
        self._waiting.clear()
