"""The consumer of the requests: one answer whatever comes, or a dead letter."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from streams.kafka.messages import SourceMessage
from streams.metrics import Metrics
from streams.searcher.consumer import QueryConsumer
from streams.searcher.pipeline import SearchPipeline
from tests.support.search_pipeline import search_pipeline
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import SendError
from visualsearch.client.unreadable import UnreadableBatch
from visualsearch.contracts.search import (
    SearchHit,
    SearchRequest,
    SearchResult,
    decode_result,
)


@pytest.fixture
async def pipeline() -> AsyncIterator[SearchPipeline]:
    """Give a pipeline over products whose vectors are those of the words a, b and c."""
    async with search_pipeline() as pipeline:
        yield pipeline


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
