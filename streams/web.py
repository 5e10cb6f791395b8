"""The worker's HTTP side: search through the topics, pictures, metrics and probes."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from schemas.errors import SchemaError
from schemas.request_id import salvage_request_id, with_id
from schemas.search import SearchFault, SearchResult, decode_request
from streams.client import SearchClient
from streams.fetch.errors import FetchError
from streams.fetch.fetcher import Fetcher
from streams.producer import SendError
from streams.product_state import product_json
from streams.products import product_lines
from streams.query.handler import failure
from streams.snapshots.http import create_snapshot
from streams.snapshots.keeper import Keeper
from visualsearch.engine import Engine

MAX_BODY = 14 * 1024 * 1024  # a 10 MiB request and some
Probe = Callable[[], str | None]
_STATUS = {
    "deadline_exceeded": 504, "embed_failed": 503, "internal": 500, "no_worker": 503,
    "request_too_large": 413,
}  # fmt: skip


class Web:
    """Handlers of one worker. A probe returns None, or why it fails."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        live: Probe,
        ready: Probe,
        refresh: Callable[[], None],
        client: SearchClient | None = None,
        engine: Engine | None = None,
        fetcher: Fetcher | None = None,
        positions: Callable[[], Mapping[int, int]] = dict,
        keeper: Keeper | None = None,
    ) -> None:
        self._registry = registry
        self._live = live
        self._ready = ready
        self._refresh = refresh
        self._client = client
        self._engine = engine
        self._fetcher = fetcher
        self._positions = positions
        self._keeper = keeper

    def app(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_get("/", self.page)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/livez", self.livez)
        app.router.add_get("/readyz", self.readyz)
        if self._client is not None:
            app.router.add_post("/v1/search", self.search)
        if self._engine is not None:
            app.router.add_get("/v1/images/{product_id:.+}", self.image)
            app.router.add_get("/v1/products/{product_id:.+}", self.product)
            app.router.add_get("/v1/products", self.products)
        if self._keeper is not None:
            app.router.add_post("/v1/snapshots", partial(create_snapshot, self._keeper))
        return app

    async def livez(self, _: web.Request) -> web.Response:
        """Answer 200, or 503 and why this process should be restarted."""
        return _probe(self._live())

    async def readyz(self, _: web.Request) -> web.Response:
        """Answer 200, or 503 and why no query should come here yet."""
        return _probe(self._ready())

    async def page(self, _: web.Request) -> web.Response:
        """Serve the search page."""
        page = files("streams").joinpath("page.html").read_text()
        return web.Response(text=page, content_type="text/html")

    async def metrics(self, _: web.Request) -> web.Response:
        """Serve every metric in Prometheus' text format."""
        self._refresh()
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def search(self, request: web.Request) -> web.Response:
        """Publish the body as a search request and return its result."""
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            text = f"the request is larger than {MAX_BODY} bytes"
            return _json(failure("", SearchFault("request_too_large", text)), 413)
        try:
            search = decode_request(with_id(body))
        except SchemaError as error:
            request_id = salvage_request_id(body, None)
            fault = SearchFault(error.code, str(error), error.field)
            return _json(failure(request_id, fault), _STATUS.get(error.code, 400))
        assert self._client is not None  # noqa: S101 - the route exists only with a client
        try:
            result = await asyncio.wrap_future(self._client.submit(search))
        except (TimeoutError, ConnectionError) as error:
            return _json(failure(search.request_id, SearchFault("no_worker", str(error))), 503)
        except Exception as error:
            if isinstance(error, SendError) and error.too_large:
                fault = SearchFault("request_too_large", f"Kafka did not take it: {error}")
                return _json(failure(search.request_id, fault), 413)
            fault = SearchFault("request_not_sent", f"Kafka did not take the request: {error}")
            return _json(failure(search.request_id, fault), 503)
        return _json(result, _STATUS.get(result.error.code, 400) if result.error else 200)

    async def product(self, request: web.Request) -> web.Response:
        """Serve what the index holds of a product and why it is not found; 404 if nothing."""
        assert self._engine is not None  # noqa: S101 - the route exists only with an engine
        product_id = request.match_info["product_id"]
        state = self._engine.product(product_id)
        body = product_json(product_id, self._engine.model, state)
        return web.json_response(body, status=404 if state is None else 200)

    async def products(self, request: web.Request) -> web.StreamResponse:
        """Stream all that the index knows, a line of JSON per product: see `streams.products`."""
        assert self._engine is not None  # noqa: S101 - the route exists only with an engine
        lines = product_lines(self._engine, self._positions(), request.query)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # who asked has seen enough
            while chunk := await asyncio.to_thread(next, lines, b""):
                await response.write(chunk)
            await response.write_eof()
        return response

    async def image(self, request: web.Request) -> web.Response:
        """Serve a product's picture: the one named by `?image_id=`, else its first."""
        assert self._engine is not None and self._fetcher is not None  # noqa: S101,PT018 - as above
        state = self._engine.product(request.match_info["product_id"])
        images = state.images if state is not None and state.searchable else ()
        wanted = request.query.get("image_id")
        chosen = next((i for i in images if wanted is None or i.image_id == wanted), None)
        if chosen is None or chosen.url is None:
            raise web.HTTPNotFound(text="no such product or picture is indexed\n")
        if chosen.url.startswith(("http://", "https://")):
            raise web.HTTPFound(chosen.url)
        try:
            data = (await self._fetcher.fetch(chosen.url)).data
        except FetchError as error:
            raise web.HTTPNotFound(text=f"{error}\n") from None
        headers = {"Cache-Control": "max-age=60", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=data, content_type=_content_type(data), headers=headers)


def _probe(reason: str | None) -> web.Response:
    return web.Response(text=f"{reason or 'ok'}\n", status=503 if reason else 200)


def _json(result: SearchResult, status: int) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(result), status=status, content_type="application/json"
    )


def _content_type(data: bytes) -> str:
    """Sniff the formats that browsers show; anything else is not handed out as a page."""
    for magic, kind in (
        (b"\xff\xd8", "image/jpeg"),
        (b"\x89PNG", "image/png"),
        (b"GIF8", "image/gif"),
        (b"RIFF", "image/webp"),
    ):
        if data.startswith(magic):
            return kind
    return "application/octet-stream"
