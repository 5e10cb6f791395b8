"""Memory of rows: there before they come, given back when they are gone; the upkeep's thread."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from visualsearch.index.live import LiveIndex
from visualsearch.index.pages import populate


class Memory:
    """Looks after it between two pieces of other work."""

    def __init__(
        self,
        index: LiveIndex,
        lock: Callable[[], AbstractContextManager[object]],
        on_freed: Callable[[], object],
    ) -> None:
        self._index = index
        self._lock = lock
        self._on_freed = on_freed
        self._freed = False

    def freed(self) -> None:
        """Say that much is no longer used; the stack may still hold it."""
        self._freed = True

    def step(self) -> None:
        """Do what is due; by now nothing on the stack holds what was freed before."""
        if self._freed:
            self._freed = False
            self._give_back()
        if self._index.rows.short:
            with self._lock():
                ranges = self._index.rows.reach()
            populate(ranges)

    def _give_back(self) -> None:
        """Give the memory of free places back, and let the process do so with the rest."""
        index = self._index
        with self._lock():
            index.resting.free(index.version)
            spare = index.rows.spare()
        index.rows.give_back(spare)
        with self._lock():
            index.rows.vacate(spare)
        self._on_freed()
