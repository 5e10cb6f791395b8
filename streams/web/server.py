"""The worker's HTTP server: search through the topics, images, metrics and probes."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.web_protocol import RequestPayloadError
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from streams.images.errors import FetchError
from streams.images.fetcher import Fetcher
from streams.searcher.result import failure
from streams.snapshots.scheduler import SnapshotRefusedError, SnapshotScheduler
from streams.web.pages import render
from streams.web.product_state import product_json
from streams.web.products import ProductsQuery, product_lines
from streams.web.responses import abort_stalled, stream_lines
from streams.web.snapshots import create_snapshot, refusal_response
from visualsearch.client.producer import SendError
from visualsearch.client.search_client import NO_ANSWER, ClientClosedError, SearchClient
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.request_id import salvage_request_id, with_request_id
from visualsearch.contracts.search import SearchFault, SearchRequest, SearchResult, decode_request
from visualsearch.engine import Engine

MAX_BODY = 14 * 1024 * 1024  # a 10 MiB request and some
BODY_S = 30.0  # to receive a request's body
GRACE_S = 3.0  # past a search's deadline
IMAGE_S = 15.0  # to fetch a stored image, the wait for a permit included
HealthCheck = Callable[[], str | None]
_STATUS = {
    "deadline_exceeded": 504,
    "embed_failed": 503,
    "internal": 500,
    "no_worker": 503,
    "request_too_large": 413,
    "resources_exhausted": 503,
}


@dataclass(frozen=True, slots=True)
class ServedIndex:
    """The live index as the server needs it; `snapshots` is None if no snapshots are taken."""

    engine: Engine
    fetcher: Fetcher
    positions: Callable[[], Mapping[int, int]]
    snapshots: SnapshotScheduler | None = None


@dataclass(slots=True)
class SearchParts:
    """What the search routes need. A worker attaches each part once it has it."""

    index: ServedIndex | None = None
    client: SearchClient | None = None


class Web:
    """Handlers of one worker. A probe returns None, or why it fails.

    All routes are served from the start. A route whose component is not ready answers 503 with the
    reason. Without `search` there are no search routes.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        live: HealthCheck,
        ready: HealthCheck,
        refresh: Callable[[], None],
        search: SearchParts | None = None,
    ) -> None:
        self._registry = registry
        self._live = live
        self._ready = ready
        self._refresh = refresh
        self._parts = search

    def app(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[abort_stalled])
        app.router.add_get("/", self.page)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/livez", self.livez)
        app.router.add_get("/readyz", self.readyz)
        if self._parts is not None:
            app.router.add_post("/v1/search", self.search)
            app.router.add_get("/v1/images/{product_id:.+}", self.image)
            app.router.add_get("/v1/products/{product_id:.+}", self.product)
            app.router.add_get("/v1/products", self.products)
            app.router.add_post("/v1/snapshots", self.snapshot)
        return app

    def _index(self) -> ServedIndex:
        """Return the index. Raises HTTPServiceUnavailable while there is none."""
        if self._parts is None or self._parts.index is None:
            raise web.HTTPServiceUnavailable(text=f"{self._not_ready_reason()}\n")
        return self._parts.index

    def _not_ready_reason(self) -> str:
        return self._ready() or "starting"

    async def livez(self, _: web.Request) -> web.Response:
        """Answer 200, or 503 with the reason why this process should be restarted."""
        return _health_response(self._live())

    async def readyz(self, _: web.Request) -> web.Response:
        """Answer 200, or 503 with the reason why it is not ready."""
        return _health_response(self._ready())

    async def page(self, _: web.Request) -> web.Response:
        """Serve the search page."""
        page = render("page.html", title="visualsearch")
        return web.Response(text=page, content_type="text/html")

    async def metrics(self, _: web.Request) -> web.Response:
        """Serve every metric in Prometheus' text format."""
        self._refresh()
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def search(self, request: web.Request) -> web.Response:
        """Publish the body as a search request and return its result.

        A search takes at most its deadline and GRACE_S, counted from when its body was received.
        The body may take BODY_S before that: a client's own limit is the sum of the three.
        """
        try:
            async with asyncio.timeout(BODY_S):
                body = await request.read()
        except (web.HTTPRequestEntityTooLarge, TimeoutError, *_BROKEN_BODY) as error:
            fault, status = _body_fault(error)
            return _json(failure("", fault), status)
        try:
            search = decode_request(with_request_id(body))
        except SchemaError as error:
            request_id = salvage_request_id(body, None)
            fault = SearchFault(error.code, str(error), error.field)
            return _json(failure(request_id, fault), _STATUS.get(error.code, 400))
        return _json(*await self._ask(search))

    async def _ask(self, search: SearchRequest) -> tuple[SearchResult, int]:
        client = self._parts.client if self._parts is not None else None
        if client is None:
            fault = SearchFault("not_ready", self._not_ready_reason())
            return failure(search.request_id, fault), 503
        try:
            # The client's own timeout depends on its thread; this one does not.
            async with asyncio.timeout(search.deadline_ms / 1000 + GRACE_S):
                result = await asyncio.wrap_future(client.submit(search))
        except Exception as error:
            fault, status = _no_result_fault(error)
            return failure(search.request_id, fault), status
        return result, _STATUS.get(result.error.code, 400) if result.error else 200

    async def product(self, request: web.Request) -> web.Response:
        """Serve what the index holds of a product and why it is not found; 404 if nothing."""
        engine = self._index().engine
        product_id = request.match_info["product_id"]
        state = engine.product(product_id)
        body = product_json(product_id, engine.model, state)
        return web.json_response(body, status=404 if state is None else 200)

    async def products(self, request: web.Request) -> web.StreamResponse:
        """Stream all that the index knows, a line of JSON per product: see `products`."""
        index = self._index()
        try:
            query = ProductsQuery.parse(request.query.items())
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        return await stream_lines(
            request, _in_thread(product_lines(index.engine, index.positions(), query))
        )

    async def image(self, request: web.Request) -> web.Response:
        """Serve a product's image: the one named by `?image_id=`, else its first."""
        index = self._index()
        state = index.engine.product(request.match_info["product_id"])
        images = state.images if state is not None and state.searchable else ()
        wanted = request.query.get("image_id")
        chosen = next((i for i in images if wanted is None or i.image_id == wanted), None)
        if chosen is None or chosen.url is None:
            raise web.HTTPNotFound(text="no such product or image is indexed\n")
        if chosen.url.startswith(("http://", "https://")):
            raise _redirect(chosen.url)
        try:
            async with asyncio.timeout(IMAGE_S):
                data = (await index.fetcher.fetch(chosen.url)).data
        except TimeoutError:
            raise web.HTTPGatewayTimeout(text=f"no image within {IMAGE_S:.0f} s\n") from None
        except FetchError as error:
            # Not cacheable: an inline image may be stored after it is searchable.
            kind = web.HTTPServiceUnavailable if error.transient else web.HTTPNotFound
            raise kind(text=f"{error}\n", headers={"Cache-Control": "no-store"}) from None
        headers = {"Cache-Control": "max-age=60", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=data, content_type=_content_type(data), headers=headers)

    async def snapshot(self, request: web.Request) -> web.StreamResponse:
        """Take a snapshot; 404 if this worker takes none."""
        if self._parts is None or self._parts.index is None:
            return refusal_response(SnapshotRefusedError(self._not_ready_reason()))
        if (scheduler := self._parts.index.snapshots) is None:
            raise web.HTTPNotFound(text="this worker takes no snapshots\n")
        return await create_snapshot(scheduler, request)


_BROKEN_BODY = (RequestPayloadError, BadHttpMessage)  # cut off, or not in its own encoding


def _body_fault(error: Exception) -> tuple[SearchFault, int]:
    """Return the error and status for a body that could not be read."""
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        text = f"the request is larger than {MAX_BODY} bytes"
        return SearchFault("request_too_large", text), 413
    if isinstance(error, TimeoutError):
        return SearchFault("body_timeout", f"the body did not come within {BODY_S:.0f} s"), 408
    return SearchFault("body_invalid", f"the body cannot be read: {error}"), 400


def _no_result_fault(error: Exception) -> tuple[SearchFault, int]:
    """Return the error and status for a search without a result."""
    if isinstance(error, ClientClosedError):
        return SearchFault("stopping", "this worker is stopping; ask another one"), 503
    if isinstance(error, TimeoutError | ConnectionError):
        return SearchFault("no_worker", str(error) or NO_ANSWER), 503
    text = f"Kafka did not take the request: {error}"
    if isinstance(error, SendError) and error.too_large:
        return SearchFault("request_too_large", text), 413
    return SearchFault("request_not_sent", text), 503


def _redirect(url: str) -> web.HTTPException:
    try:
        return web.HTTPFound(url)
    except ValueError as error:  # a catalog's own URL may be none
        return web.HTTPNotFound(text=f"the image's URL is none: {error}\n")


async def _in_thread(chunks: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk


def _health_response(reason: str | None) -> web.Response:
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
