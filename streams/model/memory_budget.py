"""One memory budget for all image decoding in a process: a weighted semaphore.

Waiting holds no thread. Each class is first come, first served, so a large image does not starve.
Queries go before indexing and have a reserved share.

Neither class starves: once only queries block the first indexing request, later queries may use
only the memory that it leaves.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from streams.model.priority_pool import Priority


@dataclass(slots=True)
class _Waiting:
    ticket: int
    size: int
    granted: "asyncio.Future[None]"
    due: int | None = None  # queries from this ticket on no longer overtake it


class Reservation:
    """Reserved bytes of a budget, until `release`."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        """Release the bytes, once; on the event loop."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


class MemoryBudget:
    """At most `total` bytes are reserved, of which `for_queries` are for queries only.

    A larger request runs alone, or alone in its class. `changed` gets the reserved bytes.
    """

    def __init__(
        self, total: int, *, for_queries: int, changed: Callable[[int], object] = lambda _: None
    ) -> None:
        self._total = total
        self._for_indexing = total - for_queries
        self._changed = changed
        self._used = dict.fromkeys(Priority, 0)
        self._ticket = itertools.count()
        self._waiting: dict[Priority, deque[_Waiting]] = {each: deque() for each in Priority}

    async def reserve(self, priority: Priority, size: int) -> Reservation:
        """Wait until so many bytes are free, and take them."""
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[priority].append(_Waiting(next(self._ticket), size, granted))
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._grant()  # those behind may fit
            else:
                self._release(priority, size)
            raise
        return Reservation(lambda: self._release(priority, size))

    def _release(self, priority: Priority, size: int) -> None:
        self._used[priority] -= size
        self._grant()

    def _grant(self) -> None:
        while (priority := self._next()) is not None:
            waiting = self._waiting[priority].popleft()
            self._used[priority] += waiting.size
            waiting.granted.set_result(None)
        self._changed(sum(self._used.values()))

    def _next(self) -> Priority | None:
        """Return the class whose first request is granted now; None if all must wait."""
        query, indexing = self._first(Priority.QUERY), self._first(Priority.INDEX)
        if indexing is not None and indexing.due is None and self._indexing_fits(indexing):
            indexing.due = next(self._ticket)
        due = None if indexing is None else indexing.due
        if query is not None and (due is None or query.ticket < due):
            return Priority.QUERY if self._fits(query) else None
        if indexing is None or due is None:
            return None
        if self._fits(indexing):
            return Priority.INDEX
        left = self._total - indexing.size - self._used[Priority.QUERY]
        if query is not None and query.size <= left and self._fits(query):
            return Priority.QUERY
        return None

    def _first(self, priority: Priority) -> _Waiting | None:
        waiting = self._waiting[priority]
        while waiting and waiting[0].granted.cancelled():
            waiting.popleft()
        return waiting[0] if waiting else None

    def _indexing_fits(self, waiting: _Waiting) -> bool:
        """Return whether the indexing share has room for it."""
        used = self._used[Priority.INDEX]
        return used == 0 or used + waiting.size <= self._for_indexing

    def _fits(self, waiting: _Waiting) -> bool:
        used = sum(self._used.values())
        return used == 0 or used + waiting.size <= self._total
