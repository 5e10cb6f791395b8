"""What ended a task that nobody waits for."""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger(__name__)


def failure_of(task: "asyncio.Task[None]", what: str) -> BaseException | None:
    """Return the error that ended a task, and log it; None if it was cancelled or has succeeded.

    Its events are never finished with: their offsets stand until the process is restarted.
    """
    if task.cancelled() or (error := task.exception()) is None:
        return None
    log.error("%s: work on events has failed", what, exc_info=error)
    return error
