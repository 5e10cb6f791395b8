"""Waiting for what another thread does."""

import threading
import time
from collections.abc import Callable

LONG_S = 60.0  # after which it will not happen


def until(true: Callable[[], bool]) -> None:
    """Wait until it is so."""
    ends = time.monotonic() + LONG_S
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.0001)


class Patience:
    """Of whoever wants something done alone, in place of a lock: it ends when the test says so."""

    def __init__(self) -> None:
        self._held = False
        self._over = threading.Semaphore(0)

    def acquire(self, blocking: bool = True, timeout: float = -1.0) -> bool:
        """Wait until all is done, or for `ends`."""
        if blocking:
            assert timeout >= 0.0
            assert self._over.acquire(timeout=LONG_S)
        free, self._held = not self._held, True
        return free

    def locked(self) -> bool:
        """Return whether not all is done."""
        return self._held

    def release(self) -> None:
        """Say that all is done."""
        self._held = False
        self.ends()

    def ends(self) -> None:
        """Say that the time is over."""
        self._over.release()
