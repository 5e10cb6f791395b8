"""Fetches images from http(s), `file:` and `blob:` URLs and object stores."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from streams.config.settings import Settings
from streams.images.blobs import BlobStore
from streams.images.errors import FetchedImage, FetchError, shorten_url
from streams.images.http import HostedImages
from streams.images.stores import StoredImage, StoredImages
from streams.metrics import Metrics


class Fetcher:
    """Fetches with limits on time, size, attempts and concurrency."""

    def __init__(
        self,
        settings: Settings,
        blobs: BlobStore,
        metrics: Metrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._timeout_s = settings.fetch_timeout_s
        self._read_s = settings.fetch_read_timeout_s
        self._metrics = metrics
        self._slots = asyncio.Semaphore(settings.fetch_concurrency)
        self._hosted = HostedImages(settings, sleep)
        self._stored = StoredImages(settings, blobs)

    async def fetch(self, url: str, *, timeout_s: float | None = None) -> FetchedImage:
        """Return the bytes at `url`.

        `timeout_s` replaces both the total and the read timeout. Raises FetchError.
        """
        fetched = await self._fetch_with_permit(url, None, timeout_s)
        assert fetched is not None  # noqa: S101 - None answers a conditional request only
        return fetched

    async def fetch_changed(
        self, url: str, known: FetchedImage, *, timeout_s: float | None = None
    ) -> FetchedImage | None:
        """Return the bytes at `url`, or None if the host answers that `known` is current.

        The request is conditional on the ETag or Last-Modified of `known`. Raises FetchError.
        """
        return await self._fetch_with_permit(url, known, timeout_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._hosted.close()

    async def _fetch_with_permit(
        self, url: str, known: FetchedImage | None, timeout_s: float | None
    ) -> FetchedImage | None:
        stored = self._stored.find(url)
        # The wait for a permit does not count as fetch time.
        async with self._slots if stored is None else stored.permit():
            return await self._timed(url, stored, known, timeout_s)

    async def _timed(
        self,
        url: str,
        stored: StoredImage | None,
        known: FetchedImage | None,
        timeout_s: float | None,
    ) -> FetchedImage | None:
        started = time.perf_counter()
        outcome = "ok"
        try:
            async with asyncio.timeout(timeout_s or self._timeout_s):
                if stored is not None:
                    return FetchedImage(await stored.get())
                fetched = await self._get(url, known, timeout_s or self._read_s)
                outcome = "ok" if fetched is not None else "not_modified"
                return fetched
        except TimeoutError:
            outcome = "image_timeout"
            text = f"{shorten_url(url)}: no answer in time"
            raise FetchError(outcome, text, transient=True, host_failed=True) from None
        except FetchError as error:
            outcome = error.code
            raise
        finally:
            self._metrics.fetch.labels(outcome).observe(time.perf_counter() - started)

    async def _get(
        self, url: str, known: FetchedImage | None, read_s: float
    ) -> FetchedImage | None:
        try:
            scheme = urlsplit(url).scheme
        except ValueError as error:
            raise FetchError("image_url_invalid", f"{shorten_url(url)}: {error}") from None
        if scheme not in ("http", "https"):
            text = f"{shorten_url(url)}: neither http, https nor below `store_roots`"
            raise FetchError("image_url_invalid", text)
        return await self._hosted.get(url, known, read_s)
