"""Says, in a metric and in the log, whether Kafka answers; it may be away for minutes."""

import asyncio
import logging
import time
from collections.abc import Callable

from prometheus_client import Gauge

log = logging.getLogger(__name__)
EVERY_S = 5.0
REMIND_S = 60.0


class BrokerWatch:
    """Asks every few seconds. `answers` blocks for as long as it waits for one."""

    def __init__(
        self, answers: Callable[[], bool], up: Gauge, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._answers = answers
        self._up = up
        self._now = now
        self._away_since: float | None = None
        self._said_at = 0.0

    async def run(self) -> None:
        """Ask for good."""
        while True:
            self.note(up=await self._ask())
            await asyncio.sleep(EVERY_S)

    async def _ask(self) -> bool:
        """Return whether Kafka answers; an error of the client is no answer, and logged."""
        try:
            return await asyncio.to_thread(self._answers)
        except Exception:
            log.exception("Kafka cannot be asked")
            return False

    def note(self, *, up: bool) -> None:
        """Set the metric; log a change, and once a minute that it lasts."""
        self._up.set(up)
        now = self._now()
        if up and self._away_since is not None:
            log.warning("Kafka answers again, after %.0f s", now - self._away_since)
            self._away_since = None
        elif not up and (self._away_since is None or now - self._said_at >= REMIND_S):
            self._away_since = now if self._away_since is None else self._away_since
            self._said_at = now
            away_s = now - self._away_since
            log.warning("Kafka does not answer for %.0f s; nothing is lost, all waits", away_s)
