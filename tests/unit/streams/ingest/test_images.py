"""Pictures on their way: on which threads, and only when they are not known already."""

import threading
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest

from streams.images.inline import decode_base64
from streams.ingest.outcome import Outcome
from streams.kafka.messages import SourceMessage
from tests.support.fakes import FakeEncoder
from tests.support.lane_events import (
    BLUE,
    RED,
    Embedding,
    Pictures,
    embedding_pipeline,
    embedding_steps,
    fake_model,
    inline,
    message,
)
from visualsearch.contracts.records import Vectors

Make = Callable[..., Embedding]


@pytest.fixture(params=[embedding_steps, embedding_pipeline])
async def lane(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Give a maker of pipelines in explicit order, two images per model call, two retries."""
    models = []

    def make(pictures: Any, encoder: FakeEncoder | None = None) -> Embedding:
        models.append(fake_model(encoder))
        return Embedding(request.param, "explicit", models[-1], pictures, (10.0, 60.0))

    yield make
    for model in models:
        model.close()


def vectors(outcome: Outcome) -> Vectors:
    """Return the one record of an outcome."""
    ((_, record, _),) = outcome.records
    assert isinstance(record, Vectors)
    return record


def created(*urls: str, product_id: str = "p", offset: int = 0) -> SourceMessage:
    """Return a product with pictures at these URLs."""
    images = [{"url": url} for url in urls]
    return message(offset, "product-created", product_id, images=images)


async def test_the_event_loop_works_on_no_picture(
    lane: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Base64, hash and decoding take place on threads for that, the model's call on its own."""
    seen: dict[str, set[str]] = {}

    def noting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any) -> Any:
            seen.setdefault(name, set()).add(threading.current_thread().name.rstrip("-0123456789"))
            return function(*args)

        return noted

    encoder = FakeEncoder()
    hashing = SimpleNamespace(sha256=noting("hash", sha256))
    for module in ("streams.images.reader", "streams.ingest.images"):
        monkeypatch.setattr(f"{module}.decode_base64", noting("base64", decode_base64))
    for module in ("streams.model.batcher", "streams.ingest.images"):
        monkeypatch.setattr(f"{module}.hashlib", hashing)
    monkeypatch.setattr(encoder, "prepare", noting("prepare", encoder.prepare))
    monkeypatch.setattr(encoder, "embed", noting("embed", encoder.embed))
    event = message(0, "product-created", images=[inline(RED), {"url": "blue"}])
    outcome = await lane(Pictures(blue=BLUE), encoder).process(event)
    assert outcome.word == "indexed"
    assert seen.pop("base64") in ({"asyncio_"}, {"pictures"})
    aside = {"pictures"}
    assert seen == {"hash": aside, "prepare": aside, "embed": {"model"}}


async def test_a_picture_that_is_unchanged_is_neither_sent_nor_embedded(lane: Make) -> None:
    """Its record has the vector, hash and ETag that it had; a new ETag brings new bytes."""
    encoder = FakeEncoder()
    pictures = Pictures(a=RED)
    embedding = lane(pictures, encoder)
    first = await embedding.process(created("a"))
    second = await embedding.process(created("a", offset=1))
    assert vectors(second).images == vectors(first).images
    assert (encoder.images_seen, pictures.unchanged) == (1, 1)
    pictures.pictures["a"], pictures.etag = BLUE, '"2"'
    third = await embedding.process(created("a", offset=2))
    assert vectors(third).images[0].etag == '"2"'
    assert vectors(third).images[0].content_hash == sha256(BLUE).hexdigest()
    assert (encoder.images_seen, pictures.unchanged) == (2, 1)
