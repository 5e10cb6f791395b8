"""Waiting for what must come true, as long as a busy machine may need."""

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 60.0  # with what is waited for; a busy machine is no failure


async def until(predicate: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Return once the predicate holds."""
    give_up_at = time.monotonic() + patience_s
    while not predicate():
        assert time.monotonic() < give_up_at, f"still not so after {patience_s:.0f} s"
        await asyncio.sleep(0.005)
