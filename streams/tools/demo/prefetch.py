"""Prefetch the items of an iterator in a thread."""

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar, cast

T = TypeVar("T")
_POLL_S = 0.2


class PrefetchIterator(Generic[T]):
    """An iterator that a thread keeps up to `size` items ahead; what it raises is raised here."""

    def __init__(self, items: Iterator[T], size: int) -> None:
        self._items = items
        self._made: queue.Queue[tuple[str, object]] = queue.Queue(size)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._make, name="ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        """Yield the items in their order."""
        while True:
            what, value = self._made.get()
            if what == "end":
                return
            if what == "error":
                raise cast("Exception", value)
            yield cast("T", value)

    def close(self) -> None:
        """Stop the thread."""
        self._stopped.set()
        self._thread.join()

    def _make(self) -> None:
        try:
            for item in self._items:
                self._put("item", item)
                if self._stopped.is_set():
                    return
        except Exception as error:
            self._put("error", error)
        else:
            self._put("end", None)

    def _put(self, what: str, value: object) -> None:
        while not self._stopped.is_set():
            try:
                self._made.put((what, value), timeout=_POLL_S)
            except queue.Full:
                continue
            return
