"""Writes inline images to the blob store, which may be full, unreachable or hang."""

import logging
import time
from dataclasses import dataclass
from functools import partial

from streams.images.blobs import BlobStore
from streams.images.bounded_threads import BoundedThreads, NoThreadError
from streams.images.errors import FetchError
from streams.images.inline import decode_base64
from streams.metrics import Metrics
from visualsearch.contracts.events import ImageSource

log = logging.getLogger(__name__)
FAILED = "blob_store_failed"
THREADS = 8
# A hanging store delays a `vectors` record by this much. Once all threads hang, nothing waits.
LIMIT_S = 5.0


@dataclass(frozen=True, slots=True)
class NotStored:
    """Why an image is not stored yet, and the number of calls to the store: 0 or 1."""

    text: str
    attempts: int


class InlineImages:
    """Stores the bytes of inline images; a failure is left to a later attempt."""

    def __init__(
        self, blobs: BlobStore, metrics: Metrics, *, inline_limit: int, limit_s: float = LIMIT_S
    ) -> None:
        self._blobs = blobs
        self._seconds = metrics.blob_store
        self._inline_limit = inline_limit
        self._threads = BoundedThreads("blobs", THREADS)
        self._limit_s = limit_s
        metrics.blob_calls_abandoned.set_function(lambda: self._threads.abandoned)
        self._works = True

    async def store(self, image: ImageSource) -> NotStored | None:
        """Store an image if it is inline; return the failure, or None.

        If all threads hang, the store is not called. Raises nothing: whatever the store raises, a
        later attempt may succeed.
        """
        if image.data is None:
            return None
        started, outcome = time.perf_counter(), "ok"
        missing: NotStored | None = None
        try:
            await self._threads.run_within(self._limit_s, partial(self._put, image.data))
        except Exception as error:
            outcome = "timeout" if isinstance(error, TimeoutError) else "failed"
            text = f"the image is not in the blob store yet: {error!r}"
            missing = NotStored(text, attempts=0 if isinstance(error, NoThreadError) else 1)
        self._seconds.labels(outcome).observe(time.perf_counter() - started)
        self._log_change(missing)
        return missing

    def _put(self, data: str) -> None:
        try:
            image = decode_base64(data, self._inline_limit)
        except FetchError:  # undecodable: the embedding pipeline dead-letters it
            return
        self._blobs.put(image)

    def _log_change(self, missing: NotStored | None) -> None:
        """Log when the store starts or stops to fail, not for each image."""
        if (missing is None) != self._works:
            self._works = missing is None
            text = "the blob store takes images again" if missing is None else missing.text
            log.warning("%s", text)
