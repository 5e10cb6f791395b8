"""Wait until the live index has applied the index log up to a record."""

import time
import uuid
from collections.abc import Callable
from typing import Protocol

from visualsearch.contracts.search import QuerySpec, SearchRequest, SearchResult

_PAUSE_S = 0.05


class Searcher(Protocol):
    """Answers search requests, as the client of the search topics does."""

    def search(self, request: SearchRequest) -> SearchResult:
        """Return the result of a request."""


def wait_for_watermark(
    searcher: Searcher,
    product_id: str,
    newest_ms: int,
    *,
    timeout_s: float = 60.0,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> SearchResult:
    """Search until the watermark of the index has reached `newest_ms`; return that result.

    The query is a published product, which calls no model. Raises TimeoutError.
    """
    give_up_at = now() + timeout_s
    while now() < give_up_at:
        request = SearchRequest(
            request_id=uuid.uuid4().hex, query=QuerySpec(similar_to=product_id), top_k=1
        )
        result = searcher.search(request)
        mark = result.index.watermark if result.index is not None else None
        if mark is not None and mark.timestamp() * 1000 >= newest_ms:
            return result
        sleep(_PAUSE_S)
    raise TimeoutError(f"the live index has not applied the log after {timeout_s:.0f} s")
