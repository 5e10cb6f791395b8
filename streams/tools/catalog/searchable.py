"""Ask the live index how far it has come."""

import time
import uuid
from collections.abc import Callable
from typing import Protocol

from visualsearch.contracts.search import QuerySpec, SearchRequest, SearchResult

_PAUSE_S = 0.05


class Searcher(Protocol):
    """The client of the search topics, as far as it is used here."""

    def search(self, request: SearchRequest) -> SearchResult:
        """Return the answer to a request."""


def wait_for_watermark(
    searcher: Searcher,
    product_id: str,
    newest_ms: int,
    *,
    timeout_s: float = 60.0,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> SearchResult:
    """Return the first answer of an index that has applied every record up to `newest_ms`.

    It looks for a product that is known to be on its way, which calls no model. Raises
    TimeoutError.
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
