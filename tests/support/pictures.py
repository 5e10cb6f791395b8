"""An image host on loopback that can be good, slow, broken or a liar."""

import asyncio
import contextlib
import hashlib
import io
from collections import Counter
from typing import Self

from aiohttp import web
from PIL import Image

from tests.support.fakes import jpeg

HUGE = 20 * 1024 * 1024


def bomb() -> bytes:
    """Return a PNG of 50 kB that would be 400 million pixels."""
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    return out.getvalue()


class PictureHost:
    """Serves what `put` gave it at /ok/NAME and misbehaves elsewhere; counts requests by path."""

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.spared: Counter[str] = Counter()  # of these, answered without the image
        self._pictures: dict[str, bytes] = {}
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()
        self.port = 0

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_get("/ok/{name}", self._ok)
        app.router.add_get("/status/{code}", self._status)
        app.router.add_get("/flaky/{failures}/{name}", self._flaky)
        app.router.add_get("/slow/{name}", self._slow)
        app.router.add_get("/huge/{how}", self._huge)
        app.router.add_get("/lying/{how}", self._lying)
        app.router.add_get("/loop", self._loop)
        app.router.add_get("/metadata", self._metadata)
        app.router.add_get("/trickle", self._trickle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the slow ones go and stop."""
        self._closing.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def url(self, path: str) -> str:
        """Return the URL of a path that starts with a slash."""
        return f"http://127.0.0.1:{self.port}{path}"

    def put(self, name: str, data: bytes) -> str:
        """Serve `data` from now on, at the URL that is returned."""
        self._pictures[name] = data
        return self.url(f"/ok/{name}")

    async def _ok(self, request: web.Request) -> web.Response:
        self.hits[request.path] += 1
        data = self._pictures.get(request.match_info["name"])
        if data is None:
            raise web.HTTPNotFound
        etag = f'"{hashlib.sha256(data).hexdigest()[:8]}"'
        if request.headers.get("If-None-Match") == etag:
            self.spared[request.path] += 1
            return web.Response(status=304)
        return web.Response(body=data, headers={"ETag": etag}, content_type="image/jpeg")

    async def _status(self, request: web.Request) -> web.Response:
        self.hits[request.path] += 1
        return web.Response(status=int(request.match_info["code"]), text="no picture")

    async def _flaky(self, request: web.Request) -> web.Response:
        self.hits[request.path] += 1
        if self.hits[request.path] <= int(request.match_info["failures"]):
            return web.Response(status=500, text="try again")
        return web.Response(body=self._pictures[request.match_info["name"]])

    async def _slow(self, request: web.Request) -> web.Response:
        self.hits[request.path] += 1
        await self._closing.wait()
        return web.Response(body=b"")

    async def _huge(self, request: web.Request) -> web.StreamResponse:
        """Send 20 MB: with its length announced, or in chunks of unknown number."""
        self.hits[request.path] += 1
        response = web.StreamResponse()
        if request.match_info["how"] == "announced":
            response.content_length = HUGE
        else:
            response.enable_chunked_encoding()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # the client is right to hang up
            for _ in range(HUGE // 65536):
                await response.write(bytes(65536))
            await response.write_eof()
        return response

    async def _lying(self, request: web.Request) -> web.StreamResponse:
        """Announce a length that is not the body's, and hang up after the body."""
        self.hits[request.path] += 1
        picture = jpeg((1, 2, 3))
        response = web.StreamResponse()
        response.content_length = (
            len(picture) * 10 if request.match_info["how"] == "long" else len(picture) // 2
        )
        response.force_close()
        await response.prepare(request)
        await response.write(picture)
        if request.transport is not None:
            request.transport.close()
        return response

    async def _trickle(self, request: web.Request) -> web.StreamResponse:
        """Begin to answer, and never end."""
        self.hits[request.path] += 1
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(jpeg((1, 2, 3))[:100])
        await self._closing.wait()
        return response

    async def _metadata(self, request: web.Request) -> web.Response:
        """Send the client to where a cloud keeps its machines' credentials."""
        self.hits[request.path] += 1
        raise web.HTTPFound("http://169.254.169.254/latest/meta-data/iam/security-credentials/")

    async def _loop(self, request: web.Request) -> web.Response:
        self.hits[request.path] += 1
        raise web.HTTPFound(self.url("/loop"))
