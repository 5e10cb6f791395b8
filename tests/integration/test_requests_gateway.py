"""The HTTP side of a worker: searches through the topics, images, metrics and probes."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from streams.tools.broker import BrokerInfo
from tests.support.harness import Path, inline, picture, running_path
from tests.support.path_events import created, deleted, offer
from tests.support.pictures import PictureHost
from visualsearch.contracts.events import ImageSource

pytestmark = pytest.mark.asyncio(loop_scope="module")
ODD_NAMES = ("a/b", "a//b/", "ä ö?x=1", "100%", "..", "a+b&c#d", "商品")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(kafka: BrokerInfo, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Give a worker that knows a few products, one of them deleted, one repriced."""
    async with (
        PictureHost() as host,
        running_path(kafka.bootstrap, tmp_path_factory.mktemp("gateway")) as path,
    ):
        url = host.put("remote.jpg", picture(9))
        await path.publish(
            created("shirt", inline(1, image_id="front"), inline(2, image_id="back")),
            created("remote", ImageSource(url=url)),
            created("gone", inline(3)),
            *(created(name, inline(20 + n)) for n, name in enumerate(ODD_NAMES)),
        )
        await path.settled()
        await path.publish(deleted("gone"), offer("shirt", price=3.0))
        await path.publish_raw(b"broken", b"{")
        await path.settled()
        yield path


@pytest_asyncio.fixture(loop_scope="module")
async def http(path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session on the worker."""
    async with aiohttp.ClientSession(path.url) as session:
        yield session


async def test_a_search_over_http_is_a_search_through_the_topics(
    path: Path, http: aiohttp.ClientSession
) -> None:
    """Same body, same result; an id is given to a request that has none."""
    query = {"image": base64.b64encode(picture(1)).decode()}
    body = {"query": query, "top_k": 1, "deadline_ms": 30_000}
    async with http.post("/v1/search", json=body) as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        result = await response.json()
    assert result["hits"][0]["product_id"] == "shirt"
    assert result["hits"][0]["price"] == 3.0
    assert result["request_id"]
    read = await asyncio.to_thread(path.read, path.topics.search_results)
    (message,) = [x for x in read if x.key() == result["request_id"].encode()]
    assert json.loads(message.value()) == result


async def test_searches_that_share_an_id_have_their_own_hits(http: aiohttp.ClientSession) -> None:
    """All at once, two different ones among them; the id is the sender's, and comes back."""

    async def first_hit(number: int) -> tuple[str, str]:
        query = {"image": base64.b64encode(picture(number)).decode()}
        body = {"request_id": "same", "query": query, "top_k": 1, "deadline_ms": 30_000}
        async with http.post("/v1/search", json=body) as response:
            result = await response.json()
        return result["request_id"], result["hits"][0]["product_id"]

    names = {1: "shirt", 9: "remote", 20: ODD_NAMES[0]}
    asked = list(names) * 5
    found = await asyncio.gather(*map(first_hit, asked))
    assert found == [("same", names[number]) for number in asked]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b"\xff\xfe", 400, "not_json"),
        (b"[1]", 400, "field_invalid"),
        (b'{"request_id": "mine", "query": {"text": "x"}, "topk": 3}', 400, "field_unknown"),
        (b'{"request_id": "mine", "query": {}}', 400, "query_empty"),
        (b'{"query": {"text": "x"}, "deadline_ms": 1}', 504, "deadline_exceeded"),
        (b'{"query": {"image": "%s"}}' % (b"A" * (11 * 2**20)), 413, "request_too_large"),
        (b'{"query": {"image": "%s"}}' % (b"A" * (15 * 2**20)), 413, "request_too_large"),
    ],
    ids=["empty", "bytes", "list", "unknown", "nothing", "deadline", "over-kafka", "over-http"],
)
async def test_a_bad_search_has_a_status_and_the_same_error_object(
    http: aiohttp.ClientSession, body: bytes, status: int, code: str
) -> None:
    """What can be seen at the door is refused there; the rest comes back from the worker."""
    async with http.post("/v1/search", data=io.BytesIO(body)) as response:
        assert response.status == status
        result = await response.json()
    assert result["status"] == "error"
    assert result["error"]["code"] == code
    if b'"mine"' in body:
        assert result["request_id"] == "mine"


async def test_pictures_are_served_by_product_and_image_id(http: aiohttp.ClientSession) -> None:
    """The first image, or the one that is named; bytes as they were sent."""
    for query, number in (("", 1), ("?image_id=front", 1), ("?image_id=back", 2)):
        async with http.get(f"/v1/images/shirt{query}") as response:
            assert response.status == 200
            assert response.content_type == "image/jpeg"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert await response.read() == picture(number)


async def test_a_picture_on_another_host_is_a_redirect(http: aiohttp.ClientSession) -> None:
    """Images by URL stay where they are."""
    async with http.get("/v1/images/remote", allow_redirects=False) as response:
        assert response.status == 302
        assert response.headers["Location"].endswith("/ok/remote.jpg")


async def test_any_product_id_has_its_picture(http: aiohttp.ClientSession) -> None:
    """Slashes, spaces, question marks and other scripts, percent-encoded."""
    from yarl import URL

    for number, name in enumerate(ODD_NAMES):
        encoded = quote(name, safe="").replace("..", "%2E%2E")
        url = URL(f"/v1/images/{encoded}", encoded=True)
        async with http.get(url) as response:
            assert response.status == 200, name
            assert await response.read() == picture(20 + number), name


@pytest.mark.parametrize("name", ["gone", "nobody", "shirt?image_id=side", "%FF", "a%00b"])
async def test_what_is_not_indexed_has_no_picture(http: aiohttp.ClientSession, name: str) -> None:
    """404 in words, for deleted products too."""
    async with http.get(f"/v1/images/{name}") as response:
        assert response.status == 404


async def test_probes_and_page_answer(http: aiohttp.ClientSession) -> None:
    """A ready worker says so; the page is HTML."""
    for probe in ("/livez", "/readyz"):
        async with http.get(probe) as response:
            assert (response.status, await response.text()) == (200, "ok\n")
    async with http.get("/") as response:
        assert response.status == 200
        assert response.content_type == "text/html"


async def test_metrics_are_the_contracts_with_the_right_values(
    path: Path, http: aiohttp.ClientSession
) -> None:
    """Parsed as Prometheus would; after traffic that is known."""
    before = await _samples(http)
    assert (await path.search(text="one")).status == "ok"
    assert (await path.search(text="two", top_k=1)).status == "ok"
    now = await _samples(http)

    def grown(name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return now[key] - before.get(key, 0.0)

    assert grown("search_requests_total", mode="search", outcome="ok") == 2
    assert grown("search_seconds_count", stage="total") == 2
    assert grown("embed_seconds_count", input="text") == 2
    assert grown("search_plan_total", strategy="exact") == 2

    def value(name: str, **labels: str) -> float:
        return now[(name, frozenset(labels.items()))]

    names = len(ODD_NAMES) + 2
    assert value("index_products") == names
    assert value("index_vectors") == names + 1
    assert value("dead_letters_total", code="not_json") == 1
    for lane in ("attributes", "embedding"):
        labels = {"lane": lane, "type": "product-created", "outcome": "indexed"}
        assert value("events_total", **labels) == names + 1
    assert value("freshness_seconds_count", kind="create") == names + 1
    assert value("freshness_seconds_count", kind="delete") == 1
    assert value("freshness_seconds_count", kind="offer") == 1
    assert value("fetch_seconds_count", outcome="ok") >= 1
    assert {value("index_serving", engine=name) for name in ("hnsw", "exact")} == {0, 1}
    assert value("log_lag_seconds") < 60
    assert value("log_lag_records", partition="0") == 0
    assert any(name == "build_info" for name, _ in now)


async def _samples(
    http: aiohttp.ClientSession,
) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    async with http.get("/metrics") as response:
        assert response.status == 200
        text = await response.text()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert "product_id" not in sample.labels
            name = sample.name.removeprefix("visualsearch_")
            found[(name, frozenset(sample.labels.items()))] = sample.value
    return found
