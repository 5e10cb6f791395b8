"""A lock that whoever takes it again and again does not keep from the others."""

import threading


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
