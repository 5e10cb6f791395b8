"""The lanes as functions: messages in, outcomes out, with fakes around them."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas.records import Base, Offer, Vectors
from streams.blobs import BlobStore
from streams.compute import Compute
from streams.fetch import Fetched, FetchError
from streams.lanes.attributes import AttributeLane
from streams.lanes.embedding import EmbeddingLane, VectorCache
from streams.lanes.lane import Outcome, newest_records
from streams.messages import SourceMessage
from streams.metrics import Metrics
from tests.fakes import FakeEncoder, jpeg

LIMIT = 4096
RED, BLUE = jpeg((255, 0, 0)), jpeg((0, 0, 255))


def message(
    offset: int, kind: str, product_id: str = "p", version: int | None = None, **product: Any
) -> SourceMessage:
    """Return a product event at an offset."""
    if kind in ("product-created", "product-updated"):
        product = {"title": "T", "images": []} | product
    body = {"event_id": "e", "event_type": kind, "occurred_at": "2026-05-01T12:00:00Z",
            "version": offset if version is None else version,
            "product": {"product_id": product_id} | product}  # fmt: skip
    return SourceMessage("t", 0, offset, 1000, product_id.encode(), json.dumps(body).encode())


def inline(data: bytes) -> dict[str, str]:
    """Return a picture as an event carries it."""
    return {"data": base64.b64encode(data).decode()}


class Pictures:
    """A fetcher over a dict; anything else is a 404."""

    def __init__(self, **pictures: bytes | Exception) -> None:
        self.pictures = pictures
        self.asked: list[str] = []

    async def fetch(self, url: str) -> Fetched:
        """Return the picture, or raise what is there instead of it."""
        self.asked.append(url)
        found = self.pictures.get(url, FetchError("image_http_404", "absent", attempts=2))
        if isinstance(found, Exception):
            raise found
        return Fetched(found, etag='"1"')


@pytest.fixture
async def compute() -> AsyncIterator[Compute]:
    """Give a compute executor."""
    compute = Compute()
    yield compute
    compute.close()


def embedding(
    compute: Compute, pictures: Pictures, encoder: FakeEncoder | None = None
) -> EmbeddingLane:
    """Return an embedding lane in explicit order, two pictures per model call."""
    return EmbeddingLane(
        "explicit", encoder or FakeEncoder(), compute, pictures,  # type: ignore[arg-type]  # a fake
        Metrics(CollectorRegistry()), inline_limit=LIMIT, batch=16, step=2,
    )  # fmt: skip


def words(outcomes: list[Outcome]) -> list[str]:
    """Return what became of each message."""
    return [outcome.word for outcome in outcomes]


def vectors(outcome: Outcome) -> Vectors:
    """Return the one record of an outcome."""
    ((_, record, _),) = outcome.records
    assert isinstance(record, Vectors)
    return record


async def test_only_the_newest_event_of_a_product_is_embedded(compute: Compute) -> None:
    """By order, not by place: the first message is the newest here."""
    lane = embedding(compute, pictures := Pictures(red=RED, blue=BLUE))
    outcomes = await lane.process([
        message(0, "product-created", version=9, images=[{"url": "red"}]),
        message(1, "product-updated", version=8, images=[{"url": "blue"}]),
        message(2, "product-offer-updated", version=10),
    ])  # fmt: skip
    assert words(outcomes) == ["indexed", "superseded", "skipped"]
    assert vectors(outcomes[0]).order == (9, 0, 0)
    assert pictures.asked == ["red"]


async def test_the_event_before_counts_when_the_newest_has_no_usable_picture(
    compute: Compute,
) -> None:
    """As if they had come one by one: the last usable pictures stay, the failures are told."""
    lane = embedding(compute, Pictures(red=RED, text=b"text"))
    outcomes = await lane.process([
        message(0, "product-created", images=[{"url": "red"}]),
        message(1, "product-updated", images=[{"url": "absent"}]),
        message(2, "product-updated", images=[{"url": "text"}, inline(b"x" * (LIMIT + 1))]),
    ])  # fmt: skip
    assert words(outcomes) == ["indexed", "dead_lettered", "dead_lettered"]
    assert vectors(outcomes[0]).order == (0, 0, 0)
    assert not outcomes[1].records
    assert [(f.code, f.attempts) for f in outcomes[1].faults] == [("image_http_404", 2)]
    assert [f.code for f in outcomes[2].faults] == ["image_not_an_image", "image_too_large"]


async def test_a_delete_is_what_the_event_before_may_be(compute: Compute) -> None:
    """Deleted, then created again with a bad picture: the delete must be written."""
    lane = embedding(compute, Pictures())
    outcomes = await lane.process([
        message(0, "product-deleted"),
        message(1, "product-created", images=[{"url": "absent"}]),
    ])  # fmt: skip
    assert words(outcomes) == ["indexed", "dead_lettered"]
    assert vectors(outcomes[0]).deleted


async def test_bytes_that_were_seen_are_not_embedded_again(compute: Compute) -> None:
    """Whatever their URL; the record is written nevertheless."""
    encoder = FakeEncoder()
    lane = embedding(compute, Pictures(a=RED, b=RED), encoder)
    (first,) = await lane.process([message(0, "product-created", images=[{"url": "a"}])])
    (again,) = await lane.process([message(1, "product-updated", "q", images=[{"url": "b"}])])
    assert encoder.images_seen == 1
    assert vectors(first).images[0].vector == vectors(again).images[0].vector
    assert vectors(again).images[0].url == "b"
    assert vectors(again).images[0].etag == '"1"'


async def test_one_bad_picture_in_a_model_call_spoils_no_other(compute: Compute) -> None:
    """The call is taken apart; the record holds the good ones, with their own numbers as ids."""
    lane = embedding(compute, Pictures(red=RED, blue=BLUE, text=b"text"))
    images = [
        {"url": "red"},
        {"url": "text"},
        {"url": "blue", "image_id": "b", "kind": "lifestyle"},
    ]
    (outcome,) = await lane.process([message(0, "product-created", images=images)])
    assert outcome.word == "dead_lettered"
    assert [fault.stage for fault in outcome.faults] == ["image"]
    assert outcome.faults[0].message.startswith("product.images[1]: ")
    found = vectors(outcome).images
    assert [(image.image_id, image.kind) for image in found] == [
        ("0", "catalog"), ("b", "lifestyle")]  # fmt: skip


async def test_a_model_that_fails_is_a_fault_of_the_picture_not_an_exception(
    compute: Compute,
) -> None:
    """Out of memory, say: dead-lettered as `embed_failed`."""

    class Broken(FakeEncoder):
        def encode_images(self, _: Any) -> Any:
            raise RuntimeError("out of memory")

    lane = embedding(compute, Pictures(red=RED), Broken())
    (outcome,) = await lane.process([message(0, "product-created", images=[{"url": "red"}])])
    assert [(f.stage, f.code) for f in outcome.faults] == [("embed", "embed_failed")]


async def test_a_fetcher_that_fails_in_its_own_way_fails_one_picture(compute: Compute) -> None:
    """A store's exception of no known kind."""
    lane = embedding(compute, Pictures(odd=RuntimeError("credentials"), red=RED))
    images = [{"url": "odd"}, {"url": "red"}]
    (outcome,) = await lane.process([message(0, "product-created", images=images)])
    assert [fault.code for fault in outcome.faults] == ["fetch_failed"]
    assert len(vectors(outcome).images) == 1


async def test_a_product_without_pictures_gets_an_empty_record(compute: Compute) -> None:
    """`[]` means none: the old ones must go."""
    (outcome,) = await embedding(compute, Pictures()).process([message(0, "product-updated")])
    assert outcome.word == "indexed"
    assert vectors(outcome).images == []


async def test_what_cannot_be_read_is_the_attribute_lanes_to_dead_letter(
    compute: Compute, tmp_path: Path
) -> None:
    """Once, though both lanes meet it."""
    broken = SourceMessage("t", 0, 0, 0, b"p", b"{")
    (skipped,) = await embedding(compute, Pictures()).process([broken])
    assert (skipped.word, skipped.faults) == ("skipped", [])
    lane = AttributeLane("timestamp", BlobStore(str(tmp_path)), LIMIT, 10)
    (refused,) = await lane.process([broken])
    assert [(f.stage, f.code) for f in refused.faults] == [("decode", "not_json")]


async def test_attributes_base_and_offer_by_type(tmp_path: Path) -> None:
    """Created with a price writes both, without one only the base; a delete marks both."""
    blobs = BlobStore(str(tmp_path))
    lane = AttributeLane("explicit", blobs, LIMIT, 10)
    outcomes = await lane.process([
        message(0, "product-created", price=1.0, images=[inline(RED), inline(b"x" * 5000)]),
        message(1, "product-updated"),
        message(2, "product-offer-updated", in_stock=False),
        message(3, "product-deleted"),
    ])  # fmt: skip
    kinds = [[type(record) for _, record, _ in outcome.records] for outcome in outcomes]
    assert kinds == [[Base, Offer], [Base], [Offer], [Base, Offer]]
    base = outcomes[0].records[0][1]
    assert isinstance(base, Base)
    (ref,) = base.images  # the one that is too large is the embedding lane's to dead-letter
    assert blobs.get(ref.url) == RED
    assert all(record.deleted for _, record, _ in outcomes[3].records)


async def test_the_attribute_lane_waits_for_a_picture_store_that_is_away(tmp_path: Path) -> None:
    """A full disk is no reason to dead-letter a catalogue."""

    class Flaky(BlobStore):
        failures = 2

        def put(self, data: bytes) -> str:
            if self.failures:
                self.failures -= 1
                raise OSError("no space left")
            return super().put(data)

    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    lane = AttributeLane("explicit", Flaky(str(tmp_path)), LIMIT, 10, sleep=sleep)
    (outcome,) = await lane.process([message(0, "product-created", images=[inline(RED)])])
    assert outcome.word == "indexed"
    assert pauses == [0.5, 1.0]


async def test_the_last_record_wins_per_product_and_kind(tmp_path: Path) -> None:
    """An offer after a base replaces no base; of equals the later one is written."""
    lane = AttributeLane("explicit", BlobStore(str(tmp_path)), LIMIT, 10)
    outcomes = await lane.process([
        message(0, "product-created", version=5, price=1.0),
        message(1, "product-offer-updated", version=6, price=2.0),
        message(2, "product-updated", version=4, price=9.0, title="late"),
        message(3, "product-created", "q", version=1),
    ])  # fmt: skip
    records = {key: entry[1] for key, entry in newest_records(outcomes)}
    assert records.keys() == {b"base:p", b"offer:p", b"base:q"}
    offer, base = records[b"offer:p"], records[b"base:p"]
    assert isinstance(offer, Offer)
    assert isinstance(base, Base)
    assert (offer.price, base.title) == (2.0, "T")


def test_the_cache_forgets_what_was_unused_for_longest() -> None:
    """Bounded: a get counts as use."""
    cache = VectorCache(2)
    cache.put("a", b"1")
    cache.put("b", b"2")
    cache.get("a")
    cache.put("c", b"3")
    assert [cache.get(name) for name in "abc"] == [b"1", None, b"3"]


async def test_lanes_run_side_by_side_on_one_loop(compute: Compute) -> None:
    """A slow host in one call does not hold up another."""
    gate = asyncio.Event()

    class Slow(Pictures):
        async def fetch(self, url: str) -> Fetched:
            if url == "slow":
                await gate.wait()
            return Fetched(RED)

    lane = embedding(compute, Slow())
    waiting = asyncio.create_task(
        lane.process([message(0, "product-created", images=[{"url": "slow"}])])
    )
    (quick,) = await lane.process([message(1, "product-created", "q", images=[{"url": "quick"}])])
    assert quick.word == "indexed"
    assert not waiting.done()
    gate.set()
    assert words(await waiting) == ["indexed"]
