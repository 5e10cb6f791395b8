"""A picture's bytes from where it is said to be: http(s), `data:`/base64, `file:`, `blob:`."""

import asyncio
import base64
import binascii
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiohttp

from streams.blobs import SCHEME as BLOB
from streams.blobs import BlobStore
from streams.metrics import Metrics
from streams.settings import Settings

_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


class FetchError(Exception):
    """A picture that cannot be had; `transient` says that a later try may succeed."""

    def __init__(
        self, code: str, message: str, *, transient: bool = False, attempts: int = 1
    ) -> None:
        super().__init__(message)
        self.code = code
        self.transient = transient
        self.attempts = attempts


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of a picture and what its host calls this version of them."""

    data: bytes
    etag: str | None = None


def decode_base64(text: str, limit: int) -> bytes:
    """Decode inline base64, a `data:` URL's included. Raises FetchError with a code."""
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise FetchError("image_data_invalid", "a data: URL needs `;base64,`")
    if len(text) > (limit + 2) // 3 * 4 + 64:
        raise FetchError("image_too_large", f"inline picture over {limit} bytes; send its URL")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FetchError("image_data_invalid", f"`data` is not base64: {error}") from None
    if len(data) > limit:
        raise FetchError("image_too_large", f"inline picture over {limit} bytes; send its URL")
    return data


class Fetcher:
    """Fetches with a limit on time, size, attempts and on how many at once."""

    def __init__(
        self,
        settings: Settings,
        blobs: BlobStore,
        metrics: Metrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._metrics = metrics
        self._sleep = sleep
        self._slots = asyncio.Semaphore(settings.fetch_concurrency)
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str, *, timeout_s: float | None = None) -> Fetched:
        """Return the bytes at `url`. Raises FetchError."""
        async with self._slots:  # the time that a picture waits for its turn is not its host's
            return await self._timed(url, timeout_s or self._settings.fetch_timeout_s)

    async def _timed(self, url: str, timeout_s: float) -> Fetched:
        started = time.perf_counter()
        outcome = "ok"
        try:
            async with asyncio.timeout(timeout_s):
                return await self._fetch(url)
        except TimeoutError:
            outcome = "image_timeout"
            raise FetchError(outcome, f"{_short(url)}: no answer in time", transient=True) from None
        except FetchError as error:
            outcome = error.code
            raise
        finally:
            self._metrics.fetch.labels(outcome).observe(time.perf_counter() - started)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _fetch(self, url: str) -> Fetched:
        if url.startswith(BLOB):
            return Fetched(await self._read(lambda: self._blobs.get(url), url))
        try:
            scheme = urlsplit(url).scheme
        except ValueError as error:
            raise FetchError("image_url_invalid", f"{_short(url)}: {error}") from None
        if scheme in ("http", "https"):
            return await self._with_retries(url)
        if scheme == "file":
            return Fetched(await self._read(lambda: self._read_file(url), url))
        raise FetchError("image_url_invalid", f"{_short(url)}: not an http or https URL")

    async def _with_retries(self, url: str) -> Fetched:
        for attempt in range(1, self._settings.fetch_attempts + 1):
            try:
                return await self._get(url)
            except FetchError as error:
                error.attempts = attempt
                if not error.transient or attempt == self._settings.fetch_attempts:
                    raise
            await self._sleep(0.1 * 2**attempt * random.uniform(0.5, 1.5))
        raise AssertionError("unreachable")  # pragma: no cover - the loop returns or raises

    async def _get(self, url: str) -> Fetched:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"User-Agent": "visualsearch"})
        try:
            async with self._session.get(url, max_redirects=5) as response:
                if response.status != 200:
                    raise FetchError(
                        f"image_http_{response.status}",
                        f"{_short(url)}: answered {response.status}",
                        transient=response.status in _TRANSIENT,
                    )
                return Fetched(await self._body(response, url), response.headers.get("ETag"))
        except (aiohttp.InvalidURL, aiohttp.TooManyRedirects, ValueError) as error:
            raise FetchError("image_url_invalid", f"{_short(url)}: {error}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise FetchError(
                "image_unreachable", f"{_short(url)}: {error}", transient=True
            ) from None

    async def _body(self, response: aiohttp.ClientResponse, url: str) -> bytes:
        limit = self._settings.image_max_bytes
        too_large = FetchError("image_too_large", f"{_short(url)}: over {limit} bytes")
        if (response.content_length or 0) > limit:
            raise too_large
        body = bytearray()
        async for chunk in response.content.iter_chunked(65536):
            body += chunk
            if len(body) > limit:  # the length that was announced is not to be believed
                raise too_large
        return bytes(body)

    async def _read(self, read: Callable[[], bytes], url: str) -> bytes:
        try:
            return await asyncio.to_thread(read)
        except OSError as error:
            raise FetchError("image_unreachable", f"{_short(url)}: {error}") from None
        except ValueError as error:  # a null byte in a path
            raise FetchError("image_url_invalid", f"{_short(url)}: {error}") from None

    def _read_file(self, url: str) -> bytes:
        path = Path(unquote(urlsplit(url).path)).resolve()
        if not any(path.is_relative_to(root.resolve()) for root in self._settings.file_roots):
            raise FetchError(
                "image_url_forbidden", f"{_short(url)}: outside of the folders in `file_roots`"
            )
        if path.stat().st_size > self._settings.image_max_bytes:
            raise FetchError(
                "image_too_large", f"{_short(url)}: over {self._settings.image_max_bytes} bytes"
            )
        return path.read_bytes()


def _short(url: str) -> str:
    return url if len(url) <= 200 else f"{url[:200]}…"
