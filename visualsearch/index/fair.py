"""Taking turns: no thread that comes again and again keeps the others waiting."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class FairLock:
    """A lock for `with`, at which the next in line is let in before the one who has just left.

    A plain lock that is released and taken again at once stays with the thread that has Python's
    own lock: one that applies thousands of records in small groups would hold up a search until
    its last group. Here whoever waits for the lock also holds the turnstile before it.
    """

    def __init__(self) -> None:
        self._turnstile = threading.Lock()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._turnstile:
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Busy:
    """Says which threads are at something, with `with`, and lets others wait until none is.

    It is a courtesy, not a lock: who waits may see a thread that has just come, or miss it.
    """

    def __init__(self) -> None:
        self._threads: set[int] = set()
        self._idle = threading.Event()
        self._idle.set()

    def __enter__(self) -> None:
        self._threads.add(threading.get_ident())
        self._idle.clear()

    def __exit__(self, *_: object) -> None:
        self._threads.discard(threading.get_ident())
        if not self._threads:
            self._idle.set()

    def wait(self, most_s: float) -> bool:
        """Wait until no thread is at it, so many seconds at most; return whether none is."""
        return self._idle.wait(most_s)


class Turns(Busy):
    """Many side by side, or one alone for a moment: it is let in before those who come later."""

    def __init__(self) -> None:
        super().__init__()
        self._door = FairLock()

    def __enter__(self) -> None:
        with self._door:
            super().__enter__()

    @contextmanager
    def alone(self, most_s: float) -> Iterator[None]:
        """Wait until the others have left, so many seconds at most; meanwhile nobody comes."""
        with self._door:
            self.wait(most_s)
            yield
