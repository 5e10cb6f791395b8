"""The HTTP side of a worker over stand-ins: each handler ends, and says why."""

import asyncio
import contextlib
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from streams.images.errors import FetchedImage, FetchError
from streams.snapshots.request import SnapshotRequestError, request_snapshot
from streams.web import responses
from streams.web import server as web_module
from streams.web.server import SearchParts, ServedIndex, Web
from tests.support.fakes import DIM, unit
from tests.support.waiting import until
from visualsearch.client.search_client import ClientClosedError
from visualsearch.contracts.search import SearchRequest, SearchResult
from visualsearch.engine import Engine
from visualsearch.types import BaseRecord, ImageVector, VectorsRecord

ASKED = {"request_id": "mine", "query": {"text": "x"}, "deadline_ms": 100}


class Client:
    """A client of the search topics whose answers a test gives."""

    def __init__(self) -> None:
        self.futures: list[Future[SearchResult]] = []

    def submit(self, _: SearchRequest) -> "Future[SearchResult]":
        """Return a future that stays open."""
        self.futures.append(Future())
        return self.futures[-1]


class HangingStore:
    """A fetcher whose store never answers."""

    async def fetch(self, _: str) -> None:
        """Wait forever."""
        await asyncio.Event().wait()


class FullStore:
    """A fetcher of images that are larger than what a connection holds."""

    async def fetch(self, _: str) -> FetchedImage:
        """Return ten megabytes."""
        return FetchedImage(b"\xff\xd8" + bytes(10_000_000))


class FailingStore:
    """A fetcher whose store fails for a while."""

    async def fetch(self, url: str) -> None:
        """Raise what may pass."""
        raise FetchError("image_timeout", f"{url}: no answer in time", transient=True)


def engine(images: dict[str, str], padding: str = "") -> Engine:
    """Return an engine with a product per image URL."""
    made = Engine("fake", DIM)
    for number, (name, url) in enumerate(images.items()):
        image = ImageVector("0", unit(name), url=url)
        made.apply([
            BaseRecord(name, (1, number, 0), title=name, description=padding),
            VectorsRecord(name, (1, number, 0), model="fake", images=(image,)),
        ])  # fmt: skip
    return made


@asynccontextmanager
async def session(**parts: Any) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session on a server of its own."""
    async with serving(**parts) as url, aiohttp.ClientSession(url) as http:
        yield http


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Give a bare connection to a server that holds little of what is not read."""
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**10)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def serving(**parts: Any) -> AsyncIterator[str]:
    """Give the address of a server, set up as a worker's is."""
    async with listening(search=search_parts(**parts)) as url:
        yield url


def search_parts(
    client: Any = None, engine: Engine | None = None, fetcher: Any = None, scheduler: Any = None
) -> SearchParts:
    """Return the parts of a search worker, those that are named attached."""
    index = None if engine is None else ServedIndex(engine, fetcher, dict, scheduler)
    return SearchParts(index, client)


@asynccontextmanager
async def listening(
    search: SearchParts | None, ready: Callable[[], str | None] = lambda: None
) -> AsyncIterator[str]:
    """Give the address of a server of these parts."""
    app = Web(
        CollectorRegistry(), live=lambda: None, ready=ready, refresh=lambda: None, search=search
    ).app()
    async with running(app) as url:
        yield url


@asynccontextmanager
async def running(app: web.Application) -> AsyncIterator[str]:
    """Give the address of an application."""
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def told(response: aiohttp.ClientResponse) -> tuple[int, str, str]:
    """Return the status, the error's code and the request's id."""
    body = await response.json()
    return response.status, body["error"]["code"], body["request_id"]


async def test_a_search_ends_after_its_deadline_whatever_the_client_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even if the thread that gives up does not; nobody waits for the answer then."""
    monkeypatch.setattr(web_module, "GRACE_S", 0.1)
    client = Client()
    async with session(client=client) as http:
        began = time.monotonic()
        async with http.post("/v1/search", json=ASKED) as response:
            assert await told(response) == (503, "no_worker", "mine")
    assert 0.2 <= time.monotonic() - began < 30
    assert client.futures[0].cancelled()


async def test_a_search_whose_sender_is_gone_is_cancelled() -> None:
    """Its deadline may be ten minutes away."""
    client = Client()
    async with session(client=client) as http:
        asking = asyncio.create_task(http.post("/v1/search", json=ASKED | {"deadline_ms": 600_000}))
        await until(lambda: bool(client.futures))
        asking.cancel()
        await until(client.futures[0].cancelled)


async def test_a_search_at_a_closed_client_says_that_the_worker_stops() -> None:
    """So that its sender asks another worker, and at once."""
    client = Client()
    async with session(client=client) as http:
        asking = asyncio.create_task(http.post("/v1/search", json=ASKED))
        await until(lambda: bool(client.futures))
        client.futures[0].set_exception(ClientClosedError("closed"))
        async with await asking as response:
            assert await told(response) == (503, "stopping", "mine")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"this is not gzip"),
        ("gzip", gzip.compress(json.dumps(ASKED).encode())[:-12]),
        ("deflate", b"\x00\x01\x02"),
    ],
    ids=["garbage", "cut", "deflate"],
)
async def test_a_body_that_is_not_in_its_encoding_is_the_senders_fault(
    encoding: str, body: bytes
) -> None:
    """400 with a code, no error of the service."""
    headers = {"Content-Encoding": encoding}
    async with (
        session(client=Client()) as http,
        http.post("/v1/search", data=body, headers=headers) as response,
    ):
        assert response.status == 400
        if response.content_type == "application/json":
            assert (await told(response))[1] in {"body_invalid", "not_json"}


async def test_a_body_that_unpacks_to_more_than_is_allowed_is_refused() -> None:
    """A hundred megabytes in a hundred kilobytes of gzip."""
    body = gzip.compress(b" " * 100_000_000)
    headers = {"Content-Encoding": "gzip"}
    async with (
        session(client=Client()) as http,
        http.post("/v1/search", data=body, headers=headers) as response,
    ):
        assert (await told(response))[:2] == (413, "request_too_large")


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is open, the rest of the body never sent."""
    monkeypatch.setattr(web_module, "BODY_S", 0.1)
    async with serving(client=Client()) as url, connection(url) as (reader, writer):
        writer.write(b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b'"body_timeout"' in await reader.readuntil(b"explained")


@pytest.mark.parametrize(
    ("store", "status", "text"),
    [(HangingStore(), 504, "within"), (FailingStore(), 503, "no answer in time")],
    ids=["hanging", "failing"],
)
async def test_an_image_in_a_store_that_is_away_is_no_missing_image(
    monkeypatch: pytest.MonkeyPatch, store: Any, status: int, text: str
) -> None:
    """The handler ends, and with a status after which one asks again."""
    monkeypatch.setattr(web_module, "IMAGE_S", 0.1)
    made = engine({"p": "blob:00"})
    async with session(engine=made, fetcher=store) as http, http.get("/v1/images/p") as response:
        assert response.status == status
        assert text in await response.text()


async def test_an_image_url_that_is_none_is_no_error_of_the_service() -> None:
    """A catalog may call anything the address of an image."""
    made = engine({"p": "http://[", "q": "http://h/a.jpg"})
    async with session(engine=made, fetcher=FailingStore()) as http:
        for name, status in (("p", 404), ("q", 302)):
            async with http.get(f"/v1/images/{name}", allow_redirects=False) as response:
                assert response.status == status


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("limit=" + "9" * 5000, "from 0 to 2**63 - 1"),
        ("limit=9223372036854775808", "a whole number"),
        ("limit=-1", "a whole number"),
        ("limit=1.5", "a whole number"),
        ("limit=", "a whole number"),
        ("limit=%D9%A3", "a whole number"),
        ("limit=1&limit=2", "given 2 times"),
        ("vectors=maybe", "give 0 or 1"),
        ("limt=5", "known are vectors, product_id, limit"),
    ],
)
async def test_a_bad_parameter_of_products_is_refused_before_the_stream(
    query: str, text: str
) -> None:
    """400 and what is allowed."""
    async with (
        session(engine=engine({"p": "blob:00"})) as http,
        http.get(f"/v1/products?{query}") as response,
    ):
        assert response.status == 400
        assert text in await response.text()


async def test_the_head_of_products_has_no_body() -> None:
    """The next answer on the connection would begin with it."""
    async with serving(engine=engine({"p": "blob:00"})) as url, connection(url) as (reader, writer):
        for line in (b"HEAD /v1/products", b"GET /livez"):
            writer.write(line + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        assert await reader.readexactly(3) == b"ok\n"


@pytest.mark.parametrize("path", [b"/v1/products", b"/v1/images/p0"])
async def test_a_reader_that_stalls_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, path: bytes
) -> None:
    """The end is missing, and no handler waits for the reader."""
    monkeypatch.setattr(responses, "STALLED_S", 0.3)
    made = engine({f"p{number}": "blob:00" for number in range(2_000)}, padding="x" * 10_000)
    before = asyncio.all_tasks()
    async with (
        serving(engine=made, fetcher=FullStore()) as url,
        connection(url) as (reader, writer),
    ):
        writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
        await reader.readuntil(b"\r\n\r\n")
        assert _handlers(before)
        await until(lambda: not _handlers(before))
        assert len(await reader.read()) < 10_000_000


@pytest.mark.parametrize(
    "path", ["/v1/images/p", "/v1/products/p", "/v1/products", "/v1/search", "/v1/snapshots"]
)
async def test_a_route_without_its_part_says_what_the_worker_waits_for(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The port is open from the beginning; the same connection is served once the part is there."""
    monkeypatch.setattr(web_module, "GRACE_S", 0.1)
    parts, client = SearchParts(), Client()
    waiting = iter(["waiting for Kafka"])
    method = "POST" if path in ("/v1/search", "/v1/snapshots") else "GET"
    async with (
        listening(parts, lambda: next(waiting, None)) as url,
        aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=1)) as http,
    ):
        async with http.request(method, path, json=ASKED) as response:
            assert response.status == 503
            assert "waiting for Kafka" in await response.text()
        attached = search_parts(client, engine({"p": "http://h/a.jpg"}))
        parts.index, parts.client = attached.index, attached.client
        async with http.request(method, path, json=ASKED, allow_redirects=False) as response:
            assert response.status == {"/v1/images/p": 302, "/v1/snapshots": 404}.get(
                path, 503 if method == "POST" else 200
            )
    assert len(client.futures) == (path == "/v1/search")


async def test_an_early_search_is_told_its_id_and_an_early_snapshot_its_code() -> None:
    """As JSON, in the form of every other error."""
    async with listening(SearchParts(), lambda: "replayed") as url:
        async with aiohttp.ClientSession(url) as http, http.post("/v1/search", json=ASKED) as found:
            assert await told(found) == (503, "not_ready", "mine")
        with pytest.raises(SnapshotRequestError, match="replayed") as raised:
            await asyncio.to_thread(request_snapshot, url)
    assert raised.value.code == "not_ready"


async def test_without_the_role_there_are_no_search_routes() -> None:
    """404, whatever the worker waits for."""
    async with listening(None) as url, aiohttp.ClientSession(url) as http:
        for path in ("/v1/search", "/v1/snapshots"):
            async with http.post(path, json=ASKED) as response:
                assert response.status == 404
        async with http.get("/v1/products") as response:
            assert response.status == 404


async def test_a_reader_that_stalls_on_an_error_is_cut_off_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server sends what a handler raises by itself, and waits without limit."""
    monkeypatch.setattr(responses, "STALLED_S", 0.3)

    async def failing(_: web.Request) -> web.Response:
        raise web.HTTPNotFound(text="x" * 10_000_000)

    app = web.Application(middlewares=[responses.abort_stalled])
    app.router.add_get("/", failing)
    before = asyncio.all_tasks()
    async with running(app) as url, connection(url) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404")
        await until(lambda: not _handlers(before), 10.0)
        assert len(await reader.read()) < 10_000_000


async def test_an_error_is_sent_once() -> None:
    """The next answer on the connection follows it."""
    async with listening(None) as url, connection(url) as (reader, writer):
        writer.write(b"GET /else HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404")
        assert await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(3) == b"ok\n"


def _handlers(before: set[asyncio.Task[Any]]) -> list[str]:
    """Return the tasks of connections that are being answered."""
    new = asyncio.all_tasks() - before
    return [str(task.get_coro()) for task in new if "_handle_request" in str(task.get_coro())]
