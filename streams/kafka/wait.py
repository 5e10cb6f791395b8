"""Waiting for Kafka and its topics at the start of a process."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from streams.kafka.topics import TopicError

log = logging.getLogger(__name__)
T = TypeVar("T")

WAITED_FOR = frozenset({"unreachable", "topics_missing"})
AGAIN_S = 1.0
REMIND_S = 60.0


class KafkaWait:
    """Waits for Kafka and the topics; `reason` says what it waits for, None if nothing.

    The reason is logged at once and then once a minute. At a first deployment
    `visualsearch topics create` may run after the workers start.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.reason: str | None = None
        self._bootstrap = bootstrap
        self._now = now
        self._sleep = sleep
        self._logged_at = 0.0

    async def wait_for(self, ask: Callable[[], T]) -> T:
        """Call `ask` in a thread until Kafka and the topics are there; return its result.

        Raises what `ask` raises for any other reason.
        """
        while True:
            try:
                found = await asyncio.to_thread(ask)
            except TopicError as error:
                if error.code not in WAITED_FOR:
                    raise
                self._log_reason(error)
                await self._sleep(AGAIN_S)
            else:
                if self.reason is not None:
                    log.info("Kafka answers, and its topics are there")
                self.reason = None
                return found

    def _log_reason(self, error: TopicError) -> None:
        missing = error.code == "topics_missing"
        reason = f"waiting for {error}" if missing else f"waiting for Kafka at {self._bootstrap}"
        now = self._now()
        if reason != self.reason or now - self._logged_at >= REMIND_S:
            log.warning("%s", reason if missing else f"{reason}: {error}")
            self._logged_at = now
        self.reason = reason
