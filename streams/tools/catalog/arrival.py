"""Wait until published events have reached the index log, or failed.

Each event leaves a `base` and a `vectors` record with its event id in the index log, or a dead
letter with its key. After that, `searchable` waits for the watermark of the live index. Searches
for single products would not do: an updated product may still be found by its old images.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from streams.tools.catalog.publish import PublishedProduct
from visualsearch.client.closing import Closing
from visualsearch.client.messages import read_headers
from visualsearch.client.offsets import OffsetsError
from visualsearch.client.tail import Tail

_KINDS = frozenset({b"base", b"vectors"})


@dataclass(slots=True)
class ArrivalProgress:
    """The number of awaited events, the failed product ids, the newest record's time in ms."""

    waiting: int
    dead_lettered: set[str] = field(default_factory=set)
    newest_ms: int = 0


class ArrivalWatch(Closing):
    """Reads the index log and the dead letters from their current ends.

    Open it before the first event is published. Not a consumer group: nothing is committed.
    """

    def __init__(self, options: dict[str, str | int], index_log: str, dead_letters: str) -> None:
        self._index_log = index_log
        self._tail = Tail(options, "arrivals", reset="latest")
        try:
            self._tail.assign_ends(index_log, dead_letters)
        except OffsetsError as error:
            self.close()
            text = f"cannot read the topics {index_log} and {dead_letters}: {error}"
            raise ConnectionError(text) from error

    def wait(
        self,
        published: Iterable[PublishedProduct],
        *,
        idle_s: float = 60.0,
        progress: Callable[[ArrivalProgress], None] = lambda _: None,
    ) -> ArrivalProgress:
        """Return when all arrived or failed. Raises TimeoutError after `idle_s` without one."""
        event_of = {entry.product_id: entry.event_id.encode() for entry in published}
        pending = {event_id: set(_KINDS) for event_id in event_of.values()}
        state = ArrivalProgress(waiting=len(pending))
        idle_since = time.monotonic()
        while pending:
            for message in self._tail.poll(500, 0.1).messages:
                if message.key() is not None:
                    self._record(message, event_of, pending, state)
            now = time.monotonic()
            if len(pending) < state.waiting:
                idle_since = now
            elif now - idle_since > idle_s:
                raise TimeoutError(
                    f"{len(pending)} of {len(event_of)} products did not arrive, none for "
                    f"{idle_s:.0f} s; is a worker with the role ingest running?"
                )
            state.waiting = len(pending)
            progress(state)
        return state

    def close(self) -> None:
        """Close the consumer."""
        self._tail.close()

    def _record(
        self,
        message: Any,
        event_of: dict[str, bytes],
        pending: dict[bytes, set[bytes]],
        state: ArrivalProgress,
    ) -> None:
        if message.topic() != self._index_log:
            product_id = message.key().decode("utf-8", "replace")
            if product_id in event_of:
                state.dead_lettered.add(product_id)
                pending.pop(event_of[product_id], None)
            return
        event_id = dict(read_headers(message) or ()).get("event_id")
        kinds = pending.get(event_id or b"")
        if kinds is None:
            return
        kinds.discard(message.key().partition(b":")[0])
        state.newest_ms = max(state.newest_ms, message.timestamp()[1])
        if not kinds:
            del pending[event_id or b""]
