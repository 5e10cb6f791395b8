"""Acknowledging in order what is worked on side by side."""

from collections import deque
from collections.abc import Callable
from typing import Any


class InOrder:
    """Calls `done` of each item in the order of arrival, per partition, once it is finished.

    Of what was called, everything before it is finished too: an offset committed from there on
    skips nothing.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], deque[list[Any]]] = {}

    def add(self, partition: tuple[str, int], done: Callable[[], None]) -> Callable[[], None]:
        """Take an item in; call what is returned when it is finished."""
        queue = self._waiting.setdefault(partition, deque())
        entry: list[Any] = [False, done]
        queue.append(entry)

        def finished() -> None:
            entry[0] = True
            while queue and queue[0][0]:
                queue.popleft()[1]()

        return finished

    def forget(self) -> None:
        """Drop all that is not finished: its partitions are read again by their owner."""
        for queue in self._waiting.values():
            queue.clear()
        self._waiting.clear()
