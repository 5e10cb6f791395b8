"""The embedding pipeline: an event in, its outcome out, with fakes around it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast

import numpy as np
import pytest

from streams.images.errors import FetchedImage, FetchError
from streams.ingest.outcome import EventOutcome
from streams.ingest.retry import FIRST, UNASKED_S, Attempt
from streams.kafka.messages import SourceMessage
from streams.model.batcher import EmbeddingBatcher
from streams.model.priority_pool import Priority
from tests.support.fakes import DIM, FakeEncoder
from tests.support.lane_events import (
    BLUE,
    LIMIT,
    RED,
    Embedding,
    Pictures,
    fake_model,
    inline,
    message,
)
from visualsearch.contracts.records import VectorsLogRecord
from visualsearch.types import FloatArray

AWAY = FetchError("image_unreachable", "away", transient=True, attempts=3)
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


async def test_bytes_that_were_seen_are_not_embedded_again(make: Make) -> None:
    """Whatever their URL, and though another event has them in work; the record is written."""
    encoder = FakeEncoder()
    embedding = make(Pictures(a=RED, b=RED), encoder)
    first, beside = await asyncio.gather(
        embedding.process(created("a")), embedding.process(created("b", product_id="q"))
    )
    again = await embedding.process(created("b", product_id="r"))
    assert encoder.images_seen == 1
    assert len({vectors(each).images[0].vector for each in (first, beside, again)}) == 1
    assert vectors(again).images[0].url == "b"
    assert vectors(again).images[0].etag == '"1"'


async def test_images_of_several_events_share_a_model_call(make: Make) -> None:
    """What gathers while a call runs goes into the next one, up to the step."""
    sizes: list[int] = []

    class Noting(FakeEncoder):
        def embed(self, prepared: Any) -> Any:
            if not sizes:
                time.sleep(0.2)  # time for others to gather, however busy the machine is
            sizes.append(len(prepared))
            return super().embed(prepared)

    shades = {f"u{n}": RED + bytes(n) for n in range(7)}  # what follows a JPEG's end is ignored
    embedding = make(Pictures(**shades), Noting())
    await asyncio.gather(*(embedding.process(created(u, product_id=u)) for u in shades))
    assert sum(sizes) == 7
    assert max(sizes) == 2


async def test_one_bad_image_in_a_model_call_spoils_no_other(make: Make) -> None:
    """The call is taken apart; the record holds the good ones, with their own numbers as ids."""
    images = [
        {"url": "red"},
        {"url": "text"},
        {"url": "blue", "image_id": "b", "kind": "lifestyle"},
    ]
    event = message(0, "product-created", images=images)
    outcome = await make(Pictures(red=RED, blue=BLUE, text=b"text")).process(event)
    assert outcome.label == "dead_lettered"
    assert [(fault.stage, fault.code) for fault in outcome.faults] == [
        ("image", "image_not_an_image")]  # fmt: skip
    assert outcome.faults[0].message.startswith("product.images[1]: ")
    assert [(image.image_id, image.kind) for image in vectors(outcome).images] == [
        ("0", "catalog"), ("b", "lifestyle")]  # fmt: skip


async def test_what_is_for_good_is_dead_lettered_at_once(make: Make) -> None:
    """A 404 and an inline image that is too large; nothing is written without an image."""
    event = message(0, "product-updated", images=[{"url": "no"}, inline(b"x" * (LIMIT + 1))])
    outcome = await make(Pictures()).process(event)
    assert (outcome.label, outcome.records, outcome.retry) == ("dead_lettered", [], None)
    assert [(f.code, f.attempts) for f in outcome.faults] == [
        ("image_http_404", 2), ("image_too_large", 1)]  # fmt: skip


async def test_what_may_pass_is_tried_again_and_the_rest_is_written(make: Make) -> None:
    """Good ones are searchable now, bad ones told now, the one that is away comes later."""
    pictures = Pictures(red=RED, away=AWAY)
    embedding = make(pictures)
    first = await embedding.process(created("red", "absent", "away"))
    assert first.label == "retried"
    assert [fault.code for fault in first.faults] == ["image_http_404"]
    assert [image.image_id for image in vectors(first).images] == ["0"]
    assert first.retry is not None
    assert first.retry.attempt == Attempt(1, {2: 1}, 3, frozenset({1}))
    assert (first.retry.delay_s, first.retry.code) == (10.0, "image_unreachable")

    pictures.pictures["away"] = BLUE
    pictures.asked.clear()
    second = await embedding.process(created("red", "absent", "away"), first.retry.attempt)
    assert (second.label, second.faults, second.retry) == ("indexed", [], None)
    assert [image.image_id for image in vectors(second).images] == ["0", "2"]
    assert {url for url, _ in pictures.asked} == {"red", "away"}  # what was told is not asked


async def test_after_the_last_round_it_is_a_dead_letter_with_all_its_tries(make: Make) -> None:
    """Two pauses, three rounds, three tries each."""
    embedding, attempt, delays = make(Pictures(away=AWAY)), FIRST, []
    for _ in range(2):
        outcome = await embedding.process(created("away"), attempt)
        assert (outcome.label, outcome.faults) == ("retried", [])
        assert outcome.retry is not None
        attempt = outcome.retry.attempt
        delays.append(outcome.retry.delay_s)
    last = await embedding.process(created("away"), attempt)
    assert delays == [10.0, 60.0]
    assert (last.label, last.records, last.retry) == ("dead_lettered", [], None)
    assert [(f.code, f.attempts) for f in last.faults] == [("image_unreachable", 9)]


@pytest.mark.parametrize("code", ["image_host_busy", "image_host_down", "resources_exhausted"])
async def test_a_turn_that_was_not_had_is_no_round(make: Make, code: str) -> None:
    """The host was never asked: the event comes back with all its rounds."""
    unasked = FetchError(code, "not asked", transient=True, attempts=0)
    outcome = await make(Pictures(a=unasked)).process(created("a"))
    assert outcome.retry is not None
    assert outcome.retry.attempt == Attempt(1, {0: 0})


async def test_a_host_that_is_down_for_two_days_loses_no_image(make: Make) -> None:
    """Nothing was asked of it; after a week it counts as gone, and the event ends."""
    down = FetchError("image_host_down", "not asked", transient=True, attempts=0)
    pictures = Pictures(a=down)
    embedding, attempt, waited_s = make(pictures), FIRST, 0.0
    passes = int(UNASKED_S / 60.0)  # the longest pause
    for _ in range(passes):
        outcome = await embedding.process(created("a"), attempt)
        assert (outcome.label, outcome.faults) == ("retried", [])
        assert outcome.retry is not None
        attempt, waited_s = outcome.retry.attempt, waited_s + outcome.retry.delay_s
        if outcome.retry.attempt.deliveries == 100:  # as a restart does, which reads it from Kafka
            attempt = Attempt(100, {0: 0}, retry_tier=True)
    assert waited_s > 2 * 86_400
    last = [await embedding.process(created("a"), Attempt(n, {0: 0})) for n in (passes, passes + 2)]
    assert [(x.label, [f.code for f in x.faults]) for x in last] == [
        ("retried", []), ("dead_lettered", ["image_host_down"])]  # fmt: skip
    pictures.pictures["a"] = RED
    found = await embedding.process(created("a"), attempt)
    assert (found.label, len(vectors(found).images)) == ("indexed", 1)


async def test_an_image_that_was_not_tried_outlives_the_rounds_of_another(make: Make) -> None:
    """The dead host's is told after three rounds; the busy one's is tried until it is."""
    busy = FetchError("image_host_busy", "busy", transient=True, attempts=0)
    pictures = Pictures(away=AWAY, busy=busy)
    embedding, attempt = make(pictures), FIRST
    told, delays = [], []
    for _ in range(5):
        outcome = await embedding.process(created("away", "busy"), attempt)
        assert outcome.retry is not None
        attempt = outcome.retry.attempt
        told += [fault.code for fault in outcome.faults]
        delays.append(outcome.retry.delay_s)
    assert delays == [10.0, 60.0, 60.0, 60.0, 60.0]
    assert told == ["image_unreachable"]
    pictures.pictures["busy"] = RED
    last = await embedding.process(created("away", "busy"), attempt)
    assert (last.label, [image.image_id for image in vectors(last).images]) == ("indexed", ["1"])


async def test_an_event_that_comes_back_may_take_longer(make: Make) -> None:
    """Nobody waits behind it."""
    pictures = Pictures(red=RED)
    embedding = make(pictures)
    await embedding.process(created("red"))
    await embedding.process(created("red"), Attempt(1, {0: 1}, 1, retry_tier=True))
    assert pictures.asked == [("red", None), ("red", 60.0)]


async def test_a_model_or_a_store_that_fails_is_tried_again(make: Make) -> None:
    """Whatever it raises, a store's exception of no known kind too: one image, not the event."""

    class Broken(FakeEncoder):
        def embed(self, _: Any) -> Any:
            raise RuntimeError("out of order")

    outcome = await make(Pictures(red=RED), Broken()).process(created("red"))
    assert outcome.retry is not None
    assert outcome.retry.code == "embed_failed"
    odd = Pictures(odd=RuntimeError("credentials"), red=RED)
    outcome = await make(odd).process(created("odd", "red"))
    assert outcome.retry is not None
    assert outcome.retry.code == "fetch_failed"
    assert len(vectors(outcome).images) == 1


async def test_a_worker_without_memory_refuses_no_image(make: Make) -> None:
    """It was taken for a damaged image, and dead-lettered for good."""

    class Poor(FakeEncoder):
        def prepare(self, _: Any) -> Any:
            raise MemoryError

    outcome = await make(Pictures(red=RED), Poor()).process(created("red"))
    assert (outcome.label, outcome.faults) == ("retried", [])
    assert outcome.retry is not None
    assert outcome.retry.code == "resources_exhausted"


async def test_a_product_without_images_gets_an_empty_record(make: Make) -> None:
    """`[]` means none: the old ones must go. A delete marks, an offer says nothing of images."""
    embedding = make(Pictures())
    outcome = await embedding.process(message(0, "product-updated"))
    assert (outcome.label, vectors(outcome).images) == ("indexed", [])
    assert vectors(await embedding.process(message(1, "product-deleted"))).deleted
    assert (await embedding.process(message(2, "product-offer-updated"))).label == "skipped"


async def test_what_cannot_be_read_is_left_to_the_attribute_pipeline(make: Make) -> None:
    """Both pipelines meet it; one dead-letters it."""
    outcome = await make(Pictures()).process(SourceMessage("t", 0, 0, 0, b"p", b"{"))
    assert (outcome.label, outcome.faults) == ("skipped", [])


async def test_only_the_newest_event_of_a_product_is_written(make: Make) -> None:
    """An older one that was slower is superseded; once a newer one is written, it is not tried."""
    gate = asyncio.Event()

    class Slow(Pictures):
        async def fetch(self, url: str, *, timeout_s: float | None = None) -> FetchedImage:
            if url == "slow":
                await gate.wait()
            return await super().fetch(url, timeout_s=timeout_s)

    embedding = make(Slow(slow=RED, quick=BLUE))
    older = asyncio.create_task(embedding.process(created("slow", offset=1)))
    await embedding.process(created("quick", offset=2))
    gate.set()
    await older
    await embedding.process(created("absent", offset=0))
    published = [outcome for _, outcome in embedding.written.outcomes]
    assert [outcome.label for outcome in published] == ["indexed", "superseded", "superseded"]
    assert vectors(published[0]).order == (2, 2, 0)


async def test_a_model_that_returns_too_few_vectors_leaves_nobody_waiting() -> None:
    """An encoder of somebody else's may; each image of the call is told of the error."""

    class Short:
        encoder = FakeEncoder()

        async def run_on_cpu_pool(self, _: Priority, work: Callable[[], str]) -> str:
            return work()

        async def prepare(self, _: Priority, data: bytes) -> bytes:
            return data

        async def images(self, _: Priority, prepared: Sequence[bytes]) -> FloatArray:
            return np.zeros((len(prepared) - 1, DIM), np.float32)

    embedder = EmbeddingBatcher(cast("Any", Short()), step=2)
    asked = (embedder.embed(data) for data in (b"a", b"b", b"c"))
    found = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 20)
    assert [type(error) for error in found] == [ValueError] * 3
