"""Images on their way: on which threads, and only when they are not known already."""

import threading
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest

from streams.images.inline import decode_base64
from streams.ingest.outcome import EventOutcome
from streams.kafka.messages import SourceMessage
from tests.support.fakes import FakeEncoder
from tests.support.lane_events import (
    BLUE,
    RED,
    Embedding,
    Pictures,
    fake_model,
    inline,
    message,
)
from visualsearch.contracts.records import VectorsLogRecord

Make = Callable[..., Embedding]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Give a maker of pipelines in explicit order, two images per model call, two retries."""
    models = []

    def made(pictures: Any, encoder: FakeEncoder | None = None) -> Embedding:
        models.append(fake_model(encoder))
        return Embedding("explicit", models[-1], pictures, (10.0, 60.0))

    yield made
    for model in models:
        model.close()


def vectors(outcome: EventOutcome) -> VectorsLogRecord:
    """Return the one record of an outcome."""
    ((_, record, _),) = outcome.records
    assert isinstance(record, VectorsLogRecord)
    return record


def created(*urls: str, product_id: str = "p", offset: int = 0) -> SourceMessage:
    """Return a product with images at these URLs."""
    images = [{"url": url} for url in urls]
    return message(offset, "product-created", product_id, images=images)


async def test_the_event_loop_works_on_no_image(
    make: Make, monkeypatch: pytest.MonkeyPatch
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
    monkeypatch.setattr("streams.images.reader.decode_base64", noting("base64", decode_base64))
    monkeypatch.setattr("streams.model.batcher.hashlib", hashing)
    monkeypatch.setattr(encoder, "prepare", noting("prepare", encoder.prepare))
    monkeypatch.setattr(encoder, "embed", noting("embed", encoder.embed))
    event = message(0, "product-created", images=[inline(RED), {"url": "blue"}])
    outcome = await make(Pictures(blue=BLUE), encoder).process(event)
    assert outcome.label == "indexed"
    aside = {"images"}
    assert seen == {"base64": {"asyncio_"}, "hash": aside, "prepare": aside, "embed": {"model"}}


async def test_an_image_that_is_unchanged_is_neither_sent_nor_embedded(make: Make) -> None:
    """Its record has the vector, hash and ETag that it had; a new ETag brings new bytes."""
    encoder = FakeEncoder()
    pictures = Pictures(a=RED)
    embedding = make(pictures, encoder)
    first = await embedding.process(created("a"))
    second = await embedding.process(created("a", offset=1))
    assert vectors(second).images == vectors(first).images
    assert (encoder.images_seen, pictures.unchanged) == (1, 1)
    pictures.pictures["a"], pictures.etag = BLUE, '"2"'
    third = await embedding.process(created("a", offset=2))
    assert vectors(third).images[0].etag == '"2"'
    assert vectors(third).images[0].content_hash == sha256(BLUE).hexdigest()
    assert (encoder.images_seen, pictures.unchanged) == (2, 1)
