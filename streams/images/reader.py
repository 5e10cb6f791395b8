"""Reads event images: takes a permit of the host, then a memory slot."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from streams.images.circuit_breaker import HostCircuitBreakers
from streams.images.errors import FetchedImage, FetchError
from streams.images.fetcher import Fetcher
from streams.images.inline import decode_base64
from visualsearch.contracts.events import ImageSource

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tier:
    """The permits of a tier, and its fetch timeout; None is the fetcher's default."""

    hosts: HostCircuitBreakers
    timeout_s: float | None = None


class ImageReader:
    """Reads images, inline or by URL. At most `in_memory` are fetched or wait for the model.

    First attempts take permits of `live`, retries those of `retry`.
    """

    def __init__(
        self, fetcher: Fetcher, live: Tier, retry: Tier, *, inline_limit: int, in_memory: int
    ) -> None:
        self._fetcher = fetcher
        self._tiers = {False: live, True: retry}
        self._inline_limit = inline_limit
        self._memory = asyncio.Semaphore(in_memory)

    @asynccontextmanager
    async def read(
        self, source: ImageSource, known: FetchedImage | None, *, retry_tier: bool
    ) -> AsyncIterator[FetchedImage | None]:
        """Yield an image's bytes, or None if its host answers that `known` is current.

        The memory slot is held until the block ends. It is acquired after the host's permit, so
        that slow hosts do not use up the slots. Raises FetchError.
        """
        tier = self._tiers[retry_tier]
        async with tier.hosts.permit(source.url or "") as permit:
            await self._memory.acquire()
            try:
                permit.start()
                fetched = await self._bytes(source, known, tier.timeout_s)
            except BaseException:
                self._memory.release()
                raise
        try:
            yield fetched
        finally:
            self._memory.release()

    async def _bytes(
        self, source: ImageSource, known: FetchedImage | None, timeout_s: float | None
    ) -> FetchedImage | None:
        try:
            if (data := source.data) is not None:
                return FetchedImage(
                    await asyncio.to_thread(decode_base64, data, self._inline_limit)
                )
            if known is not None:
                return await self._fetcher.fetch_changed(
                    source.url or "", known, timeout_s=timeout_s
                )
            return await self._fetcher.fetch(source.url or "", timeout_s=timeout_s)
        except FetchError:
            raise
        except MemoryError as error:
            text = "the worker is short of memory"
            raise FetchError("resources_exhausted", text, transient=True) from error
        except Exception as error:  # a store's or a client's own
            log.exception("fetching an image failed")
            raise FetchError("fetch_failed", repr(error), transient=True) from error
