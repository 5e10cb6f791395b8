"""Search requests, good, bad and hostile: each gets exactly one answer."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from confluent_kafka import Message

from streams.config.topics import TopicSpec
from streams.kafka.topics import create_topics
from streams.tools.broker import BrokerInfo
from tests.support.fakes import DIM, jpeg
from tests.support.harness import Path, inline, make_settings, make_topics, path_of
from tests.support.path_events import created
from tests.support.pictures import PictureHost
from visualsearch.client.messages import OutgoingMessage
from visualsearch.contracts.search import SearchResult

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host() -> AsyncIterator[PictureHost]:
    """Give an image host."""
    async with PictureHost() as host:
        yield host


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(kafka: BrokerInfo, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Give a worker that knows one product and one reply topic."""
    folder = tmp_path_factory.mktemp("requests")
    settings = make_settings(kafka.bootstrap, folder, image_max_bytes=4 * 2**20)
    reply = f"{settings.topic_prefix}my-replies"
    settings = settings.model_copy(update={"reply_topics": (reply,)})
    await asyncio.to_thread(make_topics, settings)
    await asyncio.to_thread(create_topics, kafka.bootstrap, [TopicSpec(reply, 1, {})])
    async with path_of(settings) as path:
        await path.publish(created("p0", inline(0)))
        await path.settled()
        yield path


def body(request_id: str, **more: Any) -> dict[str, Any]:
    """Return a good request by words, changed as told."""
    return {"request_id": request_id, "query": {"text": "red shirt"}, "deadline_ms": 30_000} | more


BAD: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "unknown-field": ({"filter": {}}, "field_unknown", "filter"),
    "unknown-filter": ({"filters": {"colour": "red"}}, "field_unknown", "filters.colour"),
    "wrong-type": ({"top_k": "ten"}, "field_invalid", "top_k"),
    "many": ({"top_k": 1001}, "field_invalid", "top_k"),
    "none": ({"top_k": 0}, "field_invalid", "top_k"),
    "no-query": ({"query": {}}, "query_empty", "query"),
    "null-query": ({"query": None}, "field_invalid", "query"),
    "no-words": ({"query": {"text": "  \t"}}, "field_invalid", "query.text"),
    "empty-words": ({"query": {"text": ""}}, "field_invalid", "query.text"),
    "weight-alone": ({"query": {"text_weight": 1}}, "field_invalid", "query.text_weight"),
    "bad-base64": ({"query": {"image": "§"}}, "image_data_invalid", "query.image"),
    "text-image": ({"query": {"image": "aGVsbG8gd29ybGQ="}}, "image_not_an_image", "query.image"),
    "unreachable": (
        {"query": {"images": [{"url": "http://127.0.0.1:1/x.jpg"}]}},
        "image_unreachable", "query.images[0]",
    ),
    "escape": (
        {"query": {"images": [{"url": "blob:../../secret"}]}},
        "image_unreachable", "query.images[0]",
    ),
    "file": (
        {"query": {"images": [{"url": "file:///etc/hostname"}]}},
        "image_url_forbidden", "query.images[0]",
    ),
    "two-sources": (
        {"query": {"images": [{"url": "http://x/", "data": "aa"}]}},
        "field_invalid", "query.images[0]",
    ),
    "no-product": ({"query": {"similar_to": "nobody"}}, "product_unknown", "query.similar_to"),
    "zero": ({"query": {"vector": [0.0] * DIM}}, "query_degenerate", "query.vector"),
    "wrong-dim": ({"query": {"vector": [1.0] * (DIM + 1)}}, "vector_invalid", "query.vector"),
    "cancelling": (
        {"query": {"texts": [{"text": "a", "weight": 1}, {"text": "a", "weight": -1}]}},
        "query_degenerate", "query",
    ),
    "prices": ({"filters": {"price_min": 9, "price_max": 1}}, "field_invalid", "filters"),
    "deadline": ({"deadline_ms": 1}, "deadline_exceeded", None),
    "mode": ({"mode": "find"}, "field_invalid", "mode"),
}  # fmt: skip


async def ask(path: Path, *messages: OutgoingMessage) -> None:
    """Send requests and return when the query group has committed them: all are answered."""
    await path.producer.send(messages)
    await path.caught_up("search")


def request(path: Path, value: bytes | None, key: bytes | None, **more: Any) -> OutgoingMessage:
    """Return a message for the requests topic."""
    return OutgoingMessage(path.topics.search_requests, key, value, **more)


def answers(path: Path, topic: str | None = None) -> dict[str, list[tuple[Message, SearchResult]]]:
    """Return every answer so far, by request id."""
    found: dict[str, list[tuple[Message, SearchResult]]] = {}
    for message in path.read(topic or path.topics.search_results):
        result = msgspec.json.decode(message.value(), type=SearchResult)
        found.setdefault(result.request_id, []).append((message, result))
    return found


async def test_each_bad_request_gets_exactly_one_answer_with_code_and_field(path: Path) -> None:
    """All at once, beside a good one: one message per request in the results topic."""
    await ask(path, *(
        request(path, json.dumps(body(f"bad-{name}", **more)).encode(), b"k")
        for name, (more, _, _) in BAD.items()
    ), request(path, json.dumps(body("bad-good")).encode(), b"k"))  # fmt: skip
    found = answers(path)
    for name, (_, code, field) in BAD.items():
        ((message, result),) = found[f"bad-{name}"]
        assert result.status == "error", name
        assert result.error is not None
        assert (result.error.code, result.error.field) == (code, field), (name, result.error)
        assert result.error.message, name
        assert result.hits == [], name
        assert message.key() == f"bad-{name}".encode()
    assert found["bad-good"][0][1].status == "ok"


async def test_garbage_is_answered_under_the_id_that_can_be_saved(path: Path) -> None:
    """From the body if it has one, else from the key; a null value and no key among them."""
    nan = json.dumps(body("nan")).replace('"red shirt"', '"a"').replace("30000", "NaN").encode()
    await ask(
        path,
        request(path, b"\xff\x00garbage", b"from-key"),
        request(path, None, b"null-value"),
        request(path, b'{"request_id": "from-body", "query": 5}', b"other"),
        request(path, nan, b"nan-key"),
        request(path, b"[" * 50_000, b"nested"),
        request(path, b"{}", None),
        request(path, b"", b"\xff\xfe"),
    )
    found = answers(path)
    for name in ("from-key", "null-value", "nan-key", "\ufffd\ufffd"):
        ((_, result),) = found[name]
        assert result.error is not None
        assert result.error.code == "not_json", name
    ((_, result),) = found["nested"]
    assert result.error is not None
    assert result.error.code == "field_invalid"
    ((_, result),) = found["from-body"]
    assert result.error is not None
    assert (result.error.code, result.error.field) == ("field_invalid", "query")
    ((message, result),) = found[""]
    assert message.key() is None
    assert result.error is not None
    assert result.error.code == "field_missing"


async def test_pictures_of_a_request_fail_with_their_own_codes(
    path: Path, host: PictureHost
) -> None:
    """20 MB by URL, a text named .jpg, 404, cut off, and a host that never answers."""
    urls = {
        "huge": (host.url("/huge/announced"), "image_too_large"),
        "chunked": (host.url("/huge/chunked"), "image_too_large"),
        "words": (host.put("words.jpg", b"only words"), "image_not_an_image"),
        "cut": (host.put("cut.jpg", jpeg((1, 1, 1), 64)[:200]), "image_truncated"),
        "absent": (host.url("/status/404"), "image_http_404"),
        "slow": (host.url("/slow/x.jpg"), "deadline_exceeded"),
    }
    await ask(path, *(
        request(path, json.dumps(body(
            f"pic-{name}", query={"image": url}, deadline_ms=1000 if name == "slow" else 30_000
        )).encode(), name.encode())
        for name, (url, _) in urls.items()
    ))  # fmt: skip
    found = answers(path)
    for name, (_, code) in urls.items():
        ((_, result),) = found[f"pic-{name}"]
        assert result.error is not None
        assert result.error.code == code, (name, result.error)
    # By the broker's clock, from which the deadline counts: not early.
    (asked,) = [x for x in path.read(path.topics.search_requests) if x.key() == b"slow"]
    waited_ms = found["pic-slow"][0][0].timestamp()[1] - asked.timestamp()[1]
    assert waited_ms >= 950


async def test_replies_go_where_they_may_and_carry_what_came(path: Path) -> None:
    """`reply_to` counts only on the allow-list; correlation and trace come back as sent."""
    mine = path.settings.reply_topics[0]
    trace = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    cases: dict[str, tuple[tuple[str, bytes], ...]] = {
        "r-mine": (("reply_to", mine.encode()), ("correlation_id", b"\x00\xff1"), trace),
        "r-spring": (("kafka_replyTopic", mine.encode()), ("kafka_correlationId", b"2")),
        "r-foreign": (("reply_to", path.topics.index_log.encode()), ("correlation_id", b"3")),
        "r-bytes": (("reply_to", b"\xff\xfe"), ("other", b"not echoed")),
    }
    await ask(path, *(
        request(path, json.dumps(body(name)).encode(), b"k", headers=headers)
        for name, headers in cases.items()
    ))  # fmt: skip
    own, usual = answers(path, mine), answers(path)
    assert own.keys() == {"r-mine", "r-spring"}
    for name, headers in cases.items():
        ((message, result),) = (own if name in own else usual)[name]
        assert result.status == "ok"
        echoed = [pair for pair in headers if pair[0] not in ("reply_to", "kafka_replyTopic",
                                                               "other")]  # fmt: skip
        assert (message.headers() or []) == echoed
    assert not {"r-mine", "r-spring"} & usual.keys()
    assert not any(x.key() == b"r-foreign" for x in path.read(path.topics.index_log))


async def test_a_client_whose_clock_is_wrong_is_answered(path: Path) -> None:
    """The deadline counts by the brokers' clock, which stamps the requests."""
    hour_ago = int((time.time() - 3600) * 1000)
    value = json.dumps(body("late")).encode()
    await ask(path, request(path, value, b"k", timestamp_ms=hour_ago))
    ((_, result),) = answers(path)["late"]
    assert result.status == "ok"


async def test_foreign_bytes_among_the_results_do_not_harm_a_client(path: Path) -> None:
    """Null, garbage and another shape on the results topic; the next answer still arrives."""
    topic = path.topics.search_results
    values = (None, b"\xff", b"[]", b'{"request_id": 5}', b'{"request_id": "nobody"}')
    await path.producer.send(OutgoingMessage(topic, b"x", value) for value in values * 2)
    assert (await path.search(text="still here")).status == "ok"
