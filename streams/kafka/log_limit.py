"""A rate limit for repeated log messages about Kafka, such as those while no broker answers."""

import logging
import time
from collections.abc import Callable

CLIENTS = ("faust", "mode", "aiohttp")  # aiohttp: a traceback per malformed request
OURS = (  # per event, or per poll
    "streams.kafka.consumer_group", "streams.kafka.retry_forever", "visualsearch.client.unreadable",
    "streams.ingest.pipeline", "streams.indexer.reader",
)  # fmt: skip


class ClientLogLimit(logging.Filter):
    """Lets each message pass once per `every_s`, with the number of suppressed ones.

    Messages are equal if their format strings are, digits aside. Only the loggers in `CLIENTS` and
    `OURS` are limited.
    """

    def __init__(self, every_s: float = 10.0, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s = every_s
        self._now = now
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is to be written."""
        if record.name.partition(".")[0] not in CLIENTS and record.name not in OURS:
            return True
        text = "".join(c for c in str(record.msg)[:60] if not c.isdigit())
        now = self._now()
        since, held = self._seen.get((record.name, text), (-self._every_s, 0))
        if now - since < self._every_s:
            self._seen[record.name, text] = (since, held + 1)
            return False
        self._seen[record.name, text] = (now, 0)
        if held:
            record.msg = f"{record.msg} (and {held} like it)"
        return True


def limit_client_logs() -> None:
    """Put the limit on every handler that this process has."""
    limit = ClientLogLimit()
    for handler in logging.getLogger().handlers:
        handler.addFilter(limit)
