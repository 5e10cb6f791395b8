"""The query side with fakes: parsing, weights, deadlines, and one answer whatever comes."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from streams.images.errors import Fetched
from streams.indexer.watermark import Watermark
from streams.kafka.messages import SourceMessage
from streams.metrics import Metrics
from streams.searcher.consumer import QueryConsumer
from streams.searcher.images import QueryImages
from streams.searcher.look import Detection
from streams.searcher.pipeline import SearchPipeline
from streams.searcher.request import RequestError, parse
from tests.support.fakes import DIM, unit
from tests.support.lane_events import fake_model
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import SendError
from visualsearch.client.unreadable import UnreadableBatch
from visualsearch.contracts.search import (
    QueryImage,
    QuerySpec,
    QueryText,
    SearchFilters,
    SearchHit,
    SearchRequest,
    SearchResult,
    decode_result,
)
from visualsearch.engine import Engine
from visualsearch.search.photos import subject_by_grabcut
from visualsearch.types import BaseRecord, ImageVector, VectorsRecord


def request(**query: Any) -> SearchRequest:
    """Return a request with a query."""
    return SearchRequest(request_id="r", query=QuerySpec(**query))


def test_shorthands_are_written_out_beside_the_long_form() -> None:
    """Each part keeps the name of its field; a URL is told from base64."""
    parts = parse(
        request(
            images=[QueryImage(url="http://a/")],
            image="https://b/",
            text="red",
            text_weight=0.5,
            texts=[QueryText("blue", weight=-1.0)],
        )
    )
    assert [(field, image.url) for field, image in parts.images] == [
        ("query.images[0]", "http://a/"), ("query.image", "https://b/")]  # fmt: skip
    assert parts.texts == [("query.texts[0]", "blue", -1.0), ("query.text", "red", 0.5)]
    ((_, image),) = parse(request(image="aGk=")).images
    assert (image.url, image.data) == (None, "aGk=")


@pytest.mark.parametrize(
    ("query", "field"),
    [({"text_weight": 1.0}, "query.text_weight"), ({"text": " \n"}, "query.text"),
     ({"texts": [QueryText("a"), QueryText("\u2003")]}, "query.texts[1]")],
)  # fmt: skip
def test_words_without_words_are_refused(query: dict[str, Any], field: str) -> None:
    """By field."""
    with pytest.raises(RequestError) as caught:
        parse(request(**query))
    assert (caught.value.fault.code, caught.value.fault.field) == ("field_invalid", field)


def test_a_product_is_no_answer_to_itself() -> None:
    """`similar_to` joins what the request excludes."""
    asked = SearchRequest(
        request_id="r", query=QuerySpec(similar_to="p"), filters=SearchFilters(exclude=["q"])
    )
    assert parse(asked).filters.exclude == {"p", "q"}


class SlowFetcher:
    """A picture host that takes its time."""

    async def fetch(self, _: str) -> Fetched:
        """Return never."""
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


@pytest.fixture
async def pipeline() -> AsyncIterator[SearchPipeline]:
    """Give a pipeline over three products whose vectors are those of the words a, b and c."""
    engine = Engine("fake", DIM)
    for name in "abc":
        image = ImageVector("0", unit(name))
        engine.apply([
            BaseRecord(name, (1, 0, 0), title=name),
            VectorsRecord(name, (1, 0, 0), model="fake", images=(image,)),
        ])  # fmt: skip
    model = fake_model()
    images = QueryImages(
        model, SlowFetcher(), limit=4096,  # type: ignore[arg-type]  # a fake
        find_subject=subject_by_grabcut,
    )  # fmt: skip
    pipeline = SearchPipeline(
        engine,
        model,
        images,
        Metrics(CollectorRegistry()),
        watermark=Watermark(1),
        detection=Detection.load(None, None, None),
    )
    yield pipeline
    pipeline.close()
    model.close()


async def test_weights_steer_the_query(pipeline: SearchPipeline) -> None:
    """The heavier word wins; a negative one puts its product last."""
    texts = [QueryText("a", weight=1.0), QueryText("b", weight=3.0), QueryText("c", weight=-2.0)]
    result = await pipeline.answer(request(texts=texts), remaining_s=5)
    assert [hit.product_id for hit in result.hits] == ["b", "a", "c"]


@pytest.mark.parametrize("remaining_s", [0.05, 0.0, -3.0])
async def test_a_deadline_is_kept(pipeline: SearchPipeline, remaining_s: float) -> None:
    """Also one that had passed before."""
    started = asyncio.get_running_loop().time()
    result = await pipeline.answer(request(image="http://slow/"), remaining_s=remaining_s)
    assert result.error is not None
    assert (result.error.code, result.hits) == ("deadline_exceeded", [])
    assert asyncio.get_running_loop().time() - started < 10.0
    assert result.took_ms.total < 10_000


class Outbox:
    """A producer in memory that may refuse what is larger than a limit."""

    def __init__(self, limit: int = 10**9) -> None:
        self.sent: list[OutgoingMessage] = []
        self.limit = limit

    async def send(self, messages: list[OutgoingMessage]) -> None:
        """Take messages, or refuse as Kafka does."""
        for message in messages:
            headers = sum(len(value or b"") for _, value in message.headers)
            if len(message.value or b"") + headers > self.limit:
                raise SendError("too large", too_large=True)
            self.sent.append(message)


def consumer_of(pipeline: Any, outbox: Outbox, now: float = 100.0) -> QueryConsumer:
    """Return an consumer whose clock stands at `now` seconds."""
    return QueryConsumer(
        pipeline, outbox, Metrics(CollectorRegistry()),  # type: ignore[arg-type]  # a fake
        results="results", dead_letters="dead", reply_topics=["mine"],
        now=lambda: now,
    )  # fmt: skip


def asked(value: dict[str, Any], timestamp_s: float = 100.0) -> SourceMessage:
    """Return a request as it was read."""
    body = json.dumps({"request_id": "r", "query": {"text": "a"}} | value).encode()
    return SourceMessage("requests", 0, 0, round(timestamp_s * 1000), b"r", body)


async def test_time_in_the_topic_counts_against_the_deadline(pipeline: SearchPipeline) -> None:
    """2 s by default, from Kafka's timestamp to the consumer's clock."""
    consumer = consumer_of(pipeline, Outbox())
    assert (await consumer.answer(asked({}, timestamp_s=98.5))).status == "ok"
    late = await consumer.answer(asked({}, timestamp_s=97.9))
    assert late.error is not None
    assert late.error.code == "deadline_exceeded"


async def test_an_error_of_ours_is_an_answer_too() -> None:
    """`internal`, under the request's own id."""

    class Broken:
        async def answer(self, *_: Any, **__: Any) -> Any:
            raise KeyError("a defect")

    result = await consumer_of(Broken(), Outbox()).answer(asked({}))
    assert (result.request_id, result.error and result.error.code) == ("r", "internal")


async def test_hits_that_do_not_fit_are_an_answer_that_says_so(pipeline: SearchPipeline) -> None:
    """Instead of an answer that never comes."""
    outbox = Outbox(limit=400)
    consumer = consumer_of(pipeline, outbox)
    message = asked({})
    await consumer._reply(message, await consumer.answer(message))
    (sent,) = outbox.sent
    error = json.loads(sent.value or b"")["error"]
    assert (error["code"], error["field"]) == ("result_too_large", "top_k")


async def test_a_request_that_unpacks_to_more_than_the_contract_is_answered(
    pipeline: SearchPipeline,
) -> None:
    """The topic's limit counts what is compressed."""
    head = b'{"request_id":"r","query":{"text":"a"},"filters":{"tags":["'
    for tags in (b"x" * (20 << 20), b'","' * 3_000_000):
        message = SourceMessage("requests", 0, 0, 100_000, None, head + tags + b'"]}}')
        result = await consumer_of(pipeline, Outbox()).answer(message)
        assert result.request_id == "r"
        assert result.error is not None
        assert result.error.code == "request_too_large"


async def test_headers_that_do_not_fit_are_left_out_of_the_answer(pipeline: SearchPipeline) -> None:
    """A correlation id may be larger than the results' topic takes: it is answered all the same."""
    outbox = Outbox(limit=3000)
    message = replace(asked({}), headers=(("correlation_id", b"x" * 5000),))
    await consumer_of(pipeline, outbox).handle(message)
    (sent,) = outbox.sent
    assert sent.headers == ()
    assert json.loads(sent.value or b"")["error"]["code"] == "result_too_large"


async def test_a_batch_of_requests_that_cannot_be_read_is_dead_lettered(
    pipeline: SearchPipeline,
) -> None:
    """Nobody knows whom to answer."""
    outbox = Outbox()
    batch = UnreadableBatch("requests", 0, 3, 9, "Invalid compressed data")
    await consumer_of(pipeline, outbox).handle(SourceMessage.from_unreadable(batch))
    (sent,) = outbox.sent
    facts = {name.rpartition(".")[2]: value for name, value in sent.headers}
    assert (sent.topic, facts["code"], facts["last_offset"]) == (
        "dead",
        b"message_unreadable",
        b"9",
    )


class Endless:
    """A pipeline whose answer has more values than any client reads."""

    async def answer(self, request: SearchRequest, **_: Any) -> SearchResult:
        """Return a hit with a title of commas, which count as values."""
        hit = SearchHit(product_id="p", score=1.0, image_id="0", title="," * 600_000)
        return SearchResult(request_id=request.request_id, status="ok", hits=[hit])


async def test_an_answer_that_no_client_would_read_says_so_instead() -> None:
    """The worker's own gateway reads it first, and it must not end by it."""
    outbox = Outbox()
    await consumer_of(Endless(), outbox).handle(asked({}))
    (sent,) = outbox.sent
    assert decode_result(sent.value or b"").error is not None
    assert json.loads(sent.value or b"")["error"]["code"] == "result_too_large"


async def test_a_request_that_is_given_up_is_dead_lettered_without_its_contents(
    pipeline: SearchPipeline,
) -> None:
    """Something in them may be what its topic refuses."""
    outbox = Outbox()
    await consumer_of(pipeline, outbox).give_up(asked({}), KeyError("a defect"))
    (sent,) = outbox.sent
    facts = {name.rpartition(".")[2]: value for name, value in sent.headers}
    assert (sent.topic, sent.value, facts["stage"], facts["code"]) == (
        "dead", b"", b"answer", b"internal")  # fmt: skip
    assert b"a defect" in (facts["message"] or b"")


async def test_an_answer_that_its_topic_never_takes_is_given_up(pipeline: SearchPipeline) -> None:
    """The window tries again, and then dead-letters the request."""
    consumer = consumer_of(pipeline, Outbox(limit=10))
    with pytest.raises(SendError, match="takes no answer at all"):
        await consumer.handle(asked({}))
