"""Taking turns: no thread that comes again and again keeps the others waiting."""

import threading
import time
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


class Turns:
    """Many side by side, or one alone for a moment: it comes before those who come later.

    They come before the next one alone, so that neither keeps the other out: a phase-fair lock for
    readers and writers (Brandenburg and Anderson, ECRTS 2009), but for the limit to the waiting.
    Who leaves hands over, and wakes each thread once, when it may go on. With two locks to pass, or
    an event to look at, a thread wakes in between, wants Python's own lock of the one whose turn it
    is, and sleeps again: three switches for one, of 0.2 to 0.3 ms each where both cores are busy.
    """

    def __init__(self) -> None:
        self._one = threading.Lock()  # who is alone, or next to be
        self._mutex = threading.Lock()  # held for a microsecond: to what follows
        self._inside = 0  # of the many
        self._closed = False  # to those who come
        self._waiting: list[threading.Lock] = []  # these, each at a lock of its own
        self._last_out: threading.Lock | None = None  # opened when no more are inside
        self._came = False  # one of the many, since one was alone
        self._took, self._ended = 0.0, 0.0  # the last time that one was

    def __enter__(self) -> None:
        with self._mutex:
            self._came = True
            if not self._closed:
                self._inside += 1
                return
            gate = _shut()
            self._waiting.append(gate)
        gate.acquire()

    def __exit__(self, *_: object) -> None:
        with self._mutex:
            self._inside -= 1
            if not self._inside and self._last_out is not None:
                self._last_out.release()
                self._last_out = None

    @contextmanager
    def alone(self, most_s: float, rest: float = 0.0) -> Iterator[bool]:
        """Wait until the others have left, so many seconds at most; meanwhile nobody comes.

        The value says whether they have. If others have come since one was alone, they first have
        `rest` times as long for themselves as that one took.
        """
        with self._one:
            left = self._ended + rest * self._took - time.perf_counter()
            if left > 0 and self._came:
                time.sleep(left)
            begun = time.perf_counter()
            try:
                gate = self._close()
                gone = gate is None or gate.acquire(timeout=most_s)
                begun = time.perf_counter()
                yield gone
            finally:
                self._ended = time.perf_counter()
                self._took = self._ended - begun
                self._open()

    def _close(self) -> "threading.Lock | None":  # quoted: in Python 3.11 it is a function
        """Let nobody come; return what opens when all have left, None if nobody is there."""
        with self._mutex:
            self._closed = True
            if self._inside:
                self._last_out = _shut()
            return self._last_out

    def _open(self) -> None:
        """Let those in who have waited, and whoever comes."""
        with self._mutex:
            self._closed, self._last_out = False, None
            waiting, self._waiting = self._waiting, []
            self._inside += len(waiting)
            self._came = bool(self._inside)
        for gate in waiting:
            gate.release()


def _shut() -> threading.Lock:
    gate = threading.Lock()
    gate.acquire()
    return gate
