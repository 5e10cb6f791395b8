"""Dead rows that nothing holds any more, and the searches that keep them from being used again."""

from collections import deque
from collections.abc import Callable, Sequence
from weakref import ref

from visualsearch.index.view import View


class Resting:
    """Rows wait here until no view is left that is older than their end.

    A search whose view is older may still take one for the product that it was of: it would miss
    that product, and need not notice.
    """

    def __init__(self, free: Callable[[Sequence[int]], object]) -> None:
        self._free = free
        self._views: set[ref[View]] = set()  # those that something still searches
        self._waiting: deque[tuple[int, list[int]]] = deque()  # (version, rows)

    @property
    def rows(self) -> list[int]:
        """Return the rows that wait."""
        return [row for _, rows in self._waiting for row in rows]

    def shown(self, view: View) -> None:
        """Keep what the view shows, as long as anybody has it."""
        self._views.add(ref(view, self._views.discard))  # a WeakSet is not for several threads

    def add(self, rows: list[int], version: int) -> None:
        """Let rows wait that are dead in this version."""
        if rows:
            self._waiting.append((version, rows))

    def free(self, version: int) -> None:
        """Free what no view shows; `version` is that of now."""
        if not self._waiting:
            return
        views = [view for each in list(self._views) if (view := each()) is not None]
        oldest = min((view.version for view in views), default=version)
        while self._waiting and self._waiting[0][0] <= oldest:
            self._free(self._waiting.popleft()[1])
