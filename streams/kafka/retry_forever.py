"""Retries: forever after transient errors of Kafka, three times after internal errors."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from visualsearch.client.producer import SendError

log = logging.getLogger(__name__)
T = TypeVar("T")
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
TRIES = 3
# librdkafka marks errors as retriable in transactions only.
_PASSING = frozenset({
    "_ALL_BROKERS_DOWN", "_MSG_TIMED_OUT", "_QUEUE_FULL", "_RESOLVE", "_TIMED_OUT",
    "_TIMED_OUT_QUEUE", "_TRANSPORT", "_WAIT_COORD", "BROKER_NOT_AVAILABLE",
    "COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE", "LEADER_NOT_AVAILABLE",
    "NETWORK_EXCEPTION", "NOT_COORDINATOR", "NOT_ENOUGH_REPLICAS",
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND", "NOT_LEADER_FOR_PARTITION", "REPLICA_NOT_AVAILABLE",
    "REQUEST_TIMED_OUT", "UNKNOWN_TOPIC_OR_PART",
})  # fmt: skip
Sleep = Callable[[float], Awaitable[None]]


def is_transient(error: Exception) -> bool:
    """Return whether the same call may succeed later: Kafka, or the way to it, is at fault."""
    from confluent_kafka import KafkaException

    if isinstance(error, SendError):
        return not error.refused
    if isinstance(error, KafkaException):
        cause = error.args[0]
        return bool(cause.retriable() or cause.name() in _PASSING)
    return isinstance(error, ConnectionError | TimeoutError)


async def retry_forever(
    call: Callable[[], Awaitable[T]], *, what: str, sleep: Sleep = asyncio.sleep
) -> T:
    """Call until it succeeds, with a growing pause; return its result. Cancellation ends it.

    Only transient errors are retried; any other is raised at once.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("%s: not written, again in %.1f s: %s", what, pause_s, error)
        await sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


async def retry_three_times(
    call: Callable[[], Awaitable[T]], *, what: str, sleep: Sleep = asyncio.sleep
) -> T:
    """Call at most three times, with a growing pause; return its result.

    Raises what the last try raised: an internal error, to be dead-lettered.
    """
    for number in range(1, TRIES):
        try:
            return await call()
        except Exception:
            log.warning("%s: try %d of %d failed", what, number, TRIES, exc_info=True)
        await sleep(FIRST_PAUSE_S * number)
    return await call()
