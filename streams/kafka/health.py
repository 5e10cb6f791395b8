"""Broker health: a single check, and a watch that logs and exports it."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from streams.kafka.topics import admin_client

if TYPE_CHECKING:
    from prometheus_client import Gauge

log = logging.getLogger(__name__)
EVERY_S = 5.0
REMIND_S = 60.0
POLL_S = 0.05


class BrokerWatch:
    """Checks the broker every few seconds; `answers` may block for its own timeout."""

    def __init__(
        self,
        is_reachable: Callable[[], bool],
        up: "Gauge",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._answers = is_reachable
        self._up = up
        self._now = now
        self._away_since: float | None = None
        self._logged_at = 0.0

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            self.record(up=await self._check())
            await asyncio.sleep(EVERY_S)

    async def _check(self) -> bool:
        """Return whether Kafka answers; a client error is logged and counts as no answer."""
        try:
            return await asyncio.to_thread(self._answers)
        except Exception:
            log.exception("the broker check failed")
            return False

    def record(self, *, up: bool) -> None:
        """Set the metric; log each change, and a reminder once a minute while Kafka is away."""
        self._up.set(up)
        now = self._now()
        if up and self._away_since is not None:
            log.warning("Kafka answers again, after %.0f s", now - self._away_since)
            self._away_since = None
        elif not up and (self._away_since is None or now - self._logged_at >= REMIND_S):
            self._away_since = now if self._away_since is None else self._away_since
            self._logged_at = now
            away_s = now - self._away_since
            log.warning("Kafka does not answer, for %.0f s now; processing waits", away_s)


def answers(bootstrap: str, *, timeout_s: float = 2.0) -> bool:
    """Say whether a metadata request is answered by a broker whose partitions all have leaders.

    Right after a restart the metadata of a topic may come before its leaders do.
    """
    from confluent_kafka import KafkaException

    if not _port_opens(bootstrap):
        return False
    admin = admin_client(bootstrap)
    try:
        metadata = admin.list_topics(timeout=timeout_s)
    except KafkaException:
        return False
    led = all(p.leader >= 0 for t in metadata.topics.values() for p in t.partitions.values())
    return bool(metadata.brokers) and led


def wait_until_answers(bootstrap: str, *, timeout_s: float, alive: Callable[[], bool]) -> bool:
    """Poll until the broker answers; False once its process is not `alive` or time is up."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and alive():
        if answers(bootstrap):
            return True
        time.sleep(POLL_S)
    return False


def _port_opens(bootstrap: str) -> bool:
    """Try the port first: librdkafka backs off for up to 1 s after each refused connection."""
    host, _, port = bootstrap.partition(",")[0].strip().rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1.0).close()
    except (OSError, ValueError):
        return False
    return True
