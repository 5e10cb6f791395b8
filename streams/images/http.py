"""Images on HTTP hosts: pooled connections, limits on size and time, retries."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import aiohttp

from streams.config.allow_list import AllowList
from streams.config.settings import Settings
from streams.images.connections import ForbiddenAddressError, Resolver, guarded_connector
from streams.images.errors import OWN_ERRORS, FetchedImage, FetchError, shorten_url

REDIRECTS = 5
_TOO_MANY_REQUESTS = 429
_TRANSIENT = {408, 425, _TOO_MANY_REQUESTS, 500, 502, 503, 504}
_NO_URL = (
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    aiohttp.TooManyRedirects,
    ValueError,
)
# Images are compressed already: a compressed response could only be a decompression bomb.
_HEADERS = {"User-Agent": "visualsearch", "Accept": "image/*, */*;q=0.5",
            "Accept-Encoding": "identity"}  # fmt: skip


class HostedImages:
    """GET requests to untrusted servers."""

    def __init__(
        self, settings: Settings, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._allowed = AllowList(settings.fetch_allow)
        self._resolver: Resolver | None = None
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, known: FetchedImage | None, read_s: float) -> FetchedImage | None:
        """Return the image; None if the host answers that `known` is current.

        `read_s` is the read timeout. Raises FetchError after a permanent error, or after
        `fetch_attempts` attempts.
        """
        for attempt in range(1, self._settings.fetch_attempts + 1):
            try:
                return await self._get_once(url, known, read_s)
            except FetchError as error:
                error.attempts = attempt if error.attempts else attempt - 1
                if not error.transient or attempt == self._settings.fetch_attempts:
                    raise
            await self._sleep(0.1 * 2**attempt * random.uniform(0.5, 1.5))
        raise AssertionError("unreachable")  # pragma: no cover - the loop returns or raises

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None and self._resolver is not None:
            await self._session.close()
            await self._resolver.close()

    async def _get_once(
        self, url: str, known: FetchedImage | None, read_s: float
    ) -> FetchedImage | None:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._settings.fetch_connect_timeout_s, sock_read=read_s
        )
        headers = _conditional_headers(known)
        try:
            async with self._open().get(
                url, headers=headers, timeout=timeout, max_redirects=REDIRECTS
            ) as response:
                return await self._read_response(response, url, known)
        except _NO_URL as error:
            raise FetchError("image_url_invalid", f"{shorten_url(url)}: {error}") from None
        except TimeoutError:
            text = f"{shorten_url(url)}: no answer, or a pause in it, for too long"
            raise FetchError("image_timeout", text, transient=True, host_failed=True) from None
        except aiohttp.ClientPayloadError as error:  # less came than was announced: of this file
            text = f"{shorten_url(url)}: {error}"
            raise FetchError("image_incomplete", text, transient=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(url, error) from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._resolver = Resolver(self._allowed)
            at_once = self._settings.fetch_concurrency
            self._session = aiohttp.ClientSession(
                connector=guarded_connector(self._allowed, self._resolver, at_once),
                headers=_HEADERS,
                cookie_jar=aiohttp.DummyCookieJar(),  # an image needs none, and they would pile up
            )
        return self._session

    async def _read_response(
        self, response: aiohttp.ClientResponse, url: str, known: FetchedImage | None
    ) -> FetchedImage | None:
        if response.status == 304 and known is not None:
            return None
        if response.status != 200:
            raise FetchError(
                f"image_http_{response.status}",
                f"{shorten_url(url)}: answered {response.status}",
                transient=response.status in _TRANSIENT,
                host_failed=response.status >= 500 or response.status == _TOO_MANY_REQUESTS,
            )
        body = await self._body(response, url)
        headers = response.headers
        return FetchedImage(body, headers.get("ETag"), headers.get("Last-Modified"))

    async def _body(self, response: aiohttp.ClientResponse, url: str) -> bytes:
        limit = self._settings.image_max_bytes
        too_large = FetchError("image_too_large", f"{shorten_url(url)}: over {limit} bytes")
        if (response.content_length or 0) > limit:
            raise too_large
        body = bytearray()
        async for chunk in response.content.iter_chunked(65536):
            body += chunk
            if len(body) > limit:  # Content-Length may be wrong
                raise too_large
        return bytes(body)


def _conditional_headers(known: FetchedImage | None) -> dict[str, str]:
    """Return the headers of a conditional request; an ETag is preferred."""
    if known is not None and known.etag is not None:
        return {"If-None-Match": known.etag}
    if known is not None and known.modified is not None:
        return {"If-Modified-Since": known.modified}
    return {}


def _unreachable(url: str, error: Exception) -> FetchError:
    if isinstance(getattr(error, "os_error", None), ForbiddenAddressError):
        host = getattr(error, "host", "its host")
        text = f"{shorten_url(url)}: {host} is not public, and not in the setting `fetch_allow`"
        return FetchError("image_url_forbidden", text)
    text = f"{shorten_url(url)}: {error}"
    if getattr(error, "errno", None) in OWN_ERRORS:  # no connection was made
        return FetchError("resources_exhausted", text, transient=True, attempts=0)
    return FetchError("image_unreachable", text, transient=True, host_failed=True)
