"""The headers by which a record of the index log tells where and when its event began."""

from dataclasses import replace

import pytest

from streams.ingest.order import ORDER_HEADER, OrderMode
from streams.ingest.outcome import index_message, read_event
from streams.ingest.retry import FIRST, Attempt
from streams.kafka.messages import SourceMessage
from tests.support.lane_events import (
    Embedding,
    fake_model,
    message,
)
from visualsearch.contracts.records import BaseLogRecord


def headers_of(event: SourceMessage, mode: OrderMode, *, retried: bool = False) -> dict[str, bytes]:
    """Return the headers of a record that this event makes."""
    read = replace(read_event(event, mode), retried=retried)
    sent = index_message(b"base:p", ("p", BaseLogRecord(order=read.order), read), "log", 1)
    return {name: value or b"" for name, value in sent.headers}


@pytest.mark.parametrize("mode", ["timestamp", "explicit"])
def test_the_time_stamp_is_the_originals_and_the_path_is_named(mode: OrderMode) -> None:
    """Whatever orders the events; a replay that is retried is a replay."""
    event = message(3, "product-created", version=1)
    replayed = replace(event, headers=((ORDER_HEADER, b"77,5"),))
    told = [
        headers_of(event, mode),
        headers_of(event, mode, retried=True),
        headers_of(replayed, mode),
        headers_of(replayed, mode, retried=True),
    ]
    assert [found["source_timestamp"] for found in told] == [b"1000", b"1000", b"77", b"77"]
    assert [found["path"] for found in told] == [b"live", b"retry", b"replay", b"replay"]


async def test_the_embedding_pipeline_knows_what_came_from_the_retry_topic() -> None:
    """The attempt says so; the message is the original one."""
    model = fake_model()
    try:
        embedding = Embedding("timestamp", model, None)
        paths = []
        for attempt in (FIRST, Attempt(deliveries=1, retry_tier=True)):
            outcome = await embedding.process(message(0, "product-updated"), attempt)
            paths += [event.path for _, _, event in outcome.records]
        assert paths == ["live", "retry"]
    finally:
        model.close()
