"""Wait until published events are searchable, by what the pipeline itself writes about them.

Each event leaves a `base` and a `vectors` record in the index log, which name its event id, or a
dead letter with its key. When all are there, a search answer tells how far the live index has
come: its watermark. No product is asked for one by one, and an update that left the old images
in place is not mistaken for one that arrived.
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
    """How many events are awaited, whose failed, and the newest record's time in ms."""

    waiting: int
    dead_lettered: set[str] = field(default_factory=set)
    newest_ms: int = 0


class ArrivalWatch(Closing):
    """Reads the index log and the dead letters from where they end now.

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
        """Return when every event arrived or failed. Raises TimeoutError after `idle_s` of none."""
        event_of = {entry.product_id: entry.event_id.encode() for entry in published}
        lacking = {event_id: set(_KINDS) for event_id in event_of.values()}
        state = ArrivalProgress(waiting=len(lacking))
        idle_since = time.monotonic()
        while lacking:
            for message in self._tail.poll(500, 0.1).messages:
                if message.key() is not None:
                    self._take(message, event_of, lacking, state)
            now = time.monotonic()
            if len(lacking) < state.waiting:
                idle_since = now
            elif now - idle_since > idle_s:
                raise TimeoutError(
                    f"{len(lacking)} of {len(event_of)} products did not arrive, none for "
                    f"{idle_s:.0f} s; is a worker with the role ingest running?"
                )
            state.waiting = len(lacking)
            progress(state)
        return state

    def close(self) -> None:
        """Leave."""
        self._tail.close()

    def _take(
        self,
        message: Any,
        event_of: dict[str, bytes],
        lacking: dict[bytes, set[bytes]],
        state: ArrivalProgress,
    ) -> None:
        if message.topic() != self._index_log:
            product_id = message.key().decode("utf-8", "replace")
            if product_id in event_of:
                state.dead_lettered.add(product_id)
                lacking.pop(event_of[product_id], None)
            return
        event_id = dict(read_headers(message) or ()).get("event_id")
        kinds = lacking.get(event_id or b"")
        if kinds is None:
            return
        kinds.discard(message.key().partition(b":")[0])
        state.newest_ms = max(state.newest_ms, message.timestamp()[1])
        if not kinds:
            del lacking[event_id or b""]
