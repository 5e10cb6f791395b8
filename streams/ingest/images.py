"""One picture of a product on its way: from where it is said to be to its vector."""

import asyncio
import hashlib
import logging
from dataclasses import dataclass, replace

from streams.images.circuit_breaker import Hosts
from streams.images.errors import Fetched, FetchError
from streams.images.fetcher import Fetcher
from streams.images.inline import decode_base64
from streams.model.batcher import Embedder
from streams.model.model import Model
from streams.model.priority_pool import Priority
from visualsearch.contracts.events import ImageSource
from visualsearch.lru import Lru

log = logging.getLogger(__name__)
REMEMBERED = 100_000  # URLs: about 300 bytes each


@dataclass(frozen=True, slots=True)
class Embedded:
    """A picture's vector, float16, what its bytes hash to, and its host's name for them."""

    vector: bytes
    digest: str
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    digest: str
    version: Fetched  # without its bytes


class Pictures:
    """Fetches pictures and has them embedded, each only when it is not known already.

    Those of a first round wait at `hosts`, those that come back at `patient_hosts`, for
    `patient_s` each. At most `in_memory` pictures are fetched or wait for the model.
    """

    def __init__(
        self,
        model: Model,
        embedder: Embedder,
        fetcher: Fetcher,
        hosts: Hosts,
        patient_hosts: Hosts,
        *,
        inline_limit: int,
        in_memory: int,
        patient_s: float,
    ) -> None:
        self.model_id = embedder.model_id
        self._model = model
        self._embedder = embedder
        self._fetcher = fetcher
        self._hosts = {False: hosts, True: patient_hosts}
        self._timeouts_s = {False: None, True: patient_s}
        self._inline_limit = inline_limit
        self._memory = asyncio.Semaphore(in_memory)
        self._seen = Lru[str, _Seen](REMEMBERED)

    async def embedded(self, source: ImageSource, *, patient: bool) -> Embedded:
        """Return a picture's vector. Raises FetchError, ImageError and ModelError.

        A place in memory is taken after the permit of a host: waiting for a slow one must not use
        up the places.
        """
        async with self._hosts[patient].permit(source.url or "") as permit:
            await self._memory.acquire()
            try:
                permit.begin()
                fetched = await self._bytes(source, self._timeouts_s[patient])
            except BaseException:
                self._memory.release()
                raise
        try:
            return fetched if isinstance(fetched, Embedded) else await self._embed(source, fetched)
        finally:
            self._memory.release()

    async def _bytes(self, source: ImageSource, timeout_s: float | None) -> Fetched | Embedded:
        """Return a picture's bytes, or its vector if its host says that they are as they were."""
        if (data := source.data) is not None:
            limit = self._inline_limit
            return Fetched(
                await self._model.aside(Priority.INDEX, lambda: decode_base64(data, limit))
            )
        url = source.url or ""
        try:
            if (seen := self._seen.get(url)) and (vector := self._embedder.known(seen.digest)):
                changed = await self._fetcher.fetch_changed(url, seen.version, timeout_s=timeout_s)
                return changed or Embedded(vector, seen.digest, seen.version.etag)
            return await self._fetcher.fetch(url, timeout_s=timeout_s)
        except FetchError:
            raise
        except Exception as error:  # a store's or a client's own
            log.exception("fetching a picture failed")
            raise FetchError("fetch_failed", repr(error), transient=True) from error

    async def _embed(self, source: ImageSource, fetched: Fetched) -> Embedded:
        def digest_of() -> str:
            return hashlib.sha256(fetched.data).hexdigest()

        digest = await self._model.aside(Priority.INDEX, digest_of)
        vector = await self._embedder.vector(digest, fetched.data)
        if source.url is not None and (fetched.etag or fetched.modified):
            self._seen.put(source.url, _Seen(digest, replace(fetched, data=b"")))
        return Embedded(vector, digest, fetched.etag)
