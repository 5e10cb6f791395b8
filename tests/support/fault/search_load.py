"""Searches at a steady rate, and what their caller was told of each."""

import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from visualsearch.client.search_client import SearchClient
from visualsearch.contracts.search import QuerySpec, SearchRequest, SearchResult


@dataclass(slots=True)
class Sent:
    """A request, when it was due (by `time.monotonic`), and each end that its caller saw."""

    request_id: str
    due_at: float
    ends: list[tuple[float, SearchResult | BaseException]] = field(default_factory=list)

    @property
    def waited_s(self) -> float:
        """Seconds to its first end from when it was due: a stall of the load counts, too."""
        return self.ends[0][0] - self.due_at

    @property
    def told(self) -> str:
        """Return "ok", the code of an error, or the name of an exception."""
        end = self.ends[0][1]
        if isinstance(end, BaseException):
            return type(end).__name__
        return end.error.code if end.error is not None else end.status


class SteadyLoad:
    """A thread that submits `per_s` searches a second, however many of them wait."""

    def __init__(self, client: SearchClient, *, per_s: float, deadline_ms: int) -> None:
        self.sent: list[Sent] = []
        self._client = client
        self._every_s = 1 / per_s
        self._deadline_ms = deadline_ms
        self._stopping = threading.Event()
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="load")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def await_more(self, count: int) -> None:
        """Return once so many more are submitted."""
        with self._more:
            enough = len(self.sent) + count
            assert self._more.wait_for(lambda: len(self.sent) >= enough, 60), "the load stands"

    def stop(self) -> list[Sent]:
        """Submit no more; return all requests once each has ended, whichever way."""
        self._stopping.set()
        self._thread.join()
        with self._more:
            over = self._more.wait_for(lambda: all(each.ends for each in self.sent), 60)
        assert over, "a request has no end at all"
        return self.sent

    def _run(self) -> None:
        due_at = time.monotonic()
        while not self._stopping.wait(max(due_at - time.monotonic(), 0)):
            self._submit(due_at)
            due_at += self._every_s

    def _submit(self, due_at: float) -> None:
        sent = Sent(uuid.uuid4().hex, due_at)

        def ended(future: Any) -> None:
            with self._more:
                sent.ends.append((time.monotonic(), future.exception() or future.result()))
                self._more.notify_all()

        query = QuerySpec(text=f"red thing {len(self.sent)}")
        future = self._client.submit(
            SearchRequest(
                request_id=sent.request_id, query=query, top_k=5, deadline_ms=self._deadline_ms
            )
        )
        with self._more:
            self.sent.append(sent)
            self._more.notify_all()
        future.add_done_callback(ended)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the least value that so many of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
