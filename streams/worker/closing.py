"""Closing the parts of a worker, in order or at the same time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

log = logging.getLogger(__name__)
CloseStep = tuple[str, Callable[[], Awaitable[object]]]
"""The name of a component, and the function that closes it."""


async def close_in_order(steps: Iterable[CloseStep]) -> None:
    """Close components one after the other. An error is logged and does not stop the rest."""
    for name, close in steps:
        await _close(name, close)


async def close_concurrently(steps: Iterable[CloseStep]) -> None:
    """Close components concurrently. An error is logged; all are waited for."""
    await asyncio.gather(*(_close(name, close) for name, close in steps))


async def _close(name: str, close: Callable[[], Awaitable[object]]) -> None:
    try:
        await close()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        log.warning("%s was cancelled while it was closed", name)
    except Exception:
        log.exception("%s could not be closed", name)
