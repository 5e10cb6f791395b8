"""What dead rows have left, and the searches that keep it from being used again."""

from collections import deque
from collections.abc import Callable, Sequence
from weakref import ref

from visualsearch.index.view import View

Free = Callable[[Sequence[int]], object]


class Resting:
    """Ids and places of rows wait here until no view is left that is older than their end.

    A search whose view is older may still read the vector at such a place, and take such a row for
    the product that it was of: it would miss that product, and need not notice.
    """

    def __init__(self) -> None:
        self._views: set[ref[View]] = set()  # those that something still searches
        self._waiting: deque[tuple[int, Free, Sequence[int]]] = deque()  # (version, how, numbers)

    def waiting(self, how: Free) -> list[int]:
        """Return what waits to be freed so."""
        return [number for _, free, numbers in self._waiting if free == how for number in numbers]

    def shown(self, view: View) -> None:
        """Keep what the view shows, as long as anybody has it."""
        self._views.add(ref(view, self._views.discard))  # a WeakSet is not for several threads

    def add(self, how: Free, numbers: Sequence[int], version: int) -> None:
        """Let ids or places of rows that are dead in this version wait to be freed so."""
        if numbers:
            self._waiting.append((version, how, numbers))

    def free(self, version: int) -> None:
        """Free what no view shows; `version` is that of now."""
        if not self._waiting:
            return
        views = [view for each in list(self._views) if (view := each()) is not None]
        oldest = min((view.version for view in views), default=version)
        while self._waiting and self._waiting[0][0] <= oldest:
            _, how, numbers = self._waiting.popleft()
            how(numbers)
