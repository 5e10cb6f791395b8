"""One budget of memory for all that decodes images in a process: a weighted semaphore.

What waits holds no thread. In each class the first to come is the first to go, so that a large
image is not overtaken for ever; queries go before indexing and have a part that is theirs alone.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from streams.compute import Priority


@dataclass(order=True, slots=True)
class _Waiting:
    priority: Priority
    ticket: int
    size: int = field(compare=False)
    granted: "asyncio.Future[None]" = field(compare=False)


class Reservation:
    """Bytes of a budget, until they are given back."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        """Give the bytes back, once; on the event loop."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


class MemoryBudget:
    """At most `total` bytes reserved together, of which `for_queries` never by indexing.

    What is larger than that goes alone. `changed` is told the bytes reserved.
    """

    def __init__(
        self, total: int, *, for_queries: int, changed: Callable[[int], object] = lambda _: None
    ) -> None:
        self._limits = {Priority.QUERY: total, Priority.INDEX: total - for_queries}
        self._changed = changed
        self._used = 0
        self._ticket = itertools.count()
        self._waiting: list[_Waiting] = []

    async def reserve(self, priority: Priority, size: int) -> Reservation:
        """Wait until so many bytes are free, and take them."""
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, _Waiting(priority, next(self._ticket), size, granted))
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._grant()  # those behind may fit
            else:
                self._release(size)
            raise
        return Reservation(lambda: self._release(size))

    def _release(self, size: int) -> None:
        self._used -= size
        self._grant()

    def _grant(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            fits = self._used + first.size <= self._limits[first.priority]
            if first.granted.cancelled():
                heapq.heappop(self._waiting)
            elif fits or self._used == 0:
                heapq.heappop(self._waiting)
                self._used += first.size
                first.granted.set_result(None)
            else:
                break
        self._changed(self._used)
