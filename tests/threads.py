"""Waiting for what another thread does."""

import time
from collections.abc import Callable

LONG_S = 60.0  # after which it will not happen


def until(true: Callable[[], bool]) -> None:
    """Wait until it is so."""
    ends = time.monotonic() + LONG_S
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.0001)
