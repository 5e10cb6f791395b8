"""Rows → products → events: images inlined, checks as the worker's, memory bounded."""

import base64
import io
import json
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from streams.tools.catalog.events import EventType, row_product
from streams.tools.catalog.image_shrinking import MAX_BYTES, MAX_SIDE, shrink
from streams.tools.catalog.publish import LoadResult, ReadyProduct, products_of, publish
from streams.tools.catalog.readers import open_catalog
from streams.tools.catalog.rows import Catalog, RejectedRow, Row
from tests.support.fakes import jpeg
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import SendError
from visualsearch.contracts.codec import decode_event
from visualsearch.contracts.events import Product, ProductCreated, ProductUpdated
from visualsearch.errors import ImageError

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def picture(size: tuple[int, int], kind: str, **options: Any) -> bytes:
    """Encode an image of any format."""
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 40)).save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    """Decode an image."""
    return Image.open(io.BytesIO(data))


def made(product: dict[str, Any], folder: Path, *, lax: bool = False) -> Product | RejectedRow:
    """Make a product of a row on line 7."""
    return row_product(Row("line 7", 0, product, lax), folder)


class Sender:
    """A broker that takes everything, except what is too large, and counts what is in flight."""

    def __init__(self, limit: int = 1 << 30, *, settle: bool = True) -> None:
        self.sent: list[OutgoingMessage] = []
        self._limit = limit
        self._settle = settle

    def submit(self, message: OutgoingMessage) -> "Future[None]":
        """Take a message."""
        self.sent.append(message)
        future: Future[None] = Future()
        if not self._settle:
            future.set_exception(SendError("the broker is away", too_large=False))
        elif len(message.value or b"") > self._limit:
            future.set_exception(SendError("too large", too_large=True))
        else:
            future.set_result(None)
        return future


def test_a_small_jpeg_keeps_its_bytes() -> None:
    """Another compression would cost quality, and hide that the image is known."""
    data = jpeg((9, 9, 9), side=MAX_SIDE)
    assert shrink(data) == data


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (picture((2048, 1024), "JPEG"), (1024, 512)),
        (picture((300, 200), "PNG"), (300, 200)),
        (picture((3000, 3000), "WEBP"), (1024, 1024)),
    ],
)
def test_other_pictures_become_small_jpegs(data: bytes, size: tuple[int, int]) -> None:
    """At most 1,024 pixels a side, the shape kept."""
    small = opened(shrink(data))
    assert (small.format, small.size) == ("JPEG", size)


def test_shrinking_turns_a_photo_upright() -> None:
    """The new JPEG has no EXIF: what it says is done to the pixels."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert opened(shrink(picture((2048, 1024), "JPEG", exif=exif))).size == (512, 1024)


def test_noise_stays_under_the_limit_of_an_event() -> None:
    """The image that compresses worst still fits an inline image's 2 MB."""
    noise = Image.effect_noise((1100, 1100), 200).convert("RGB")
    out = io.BytesIO()
    noise.save(out, "PNG")
    assert len(shrink(out.getvalue())) <= MAX_BYTES


@pytest.mark.parametrize("data", [b"", b"no picture", jpeg((1, 2, 3), side=64)[:200]])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    """Nothing is sent that the worker could not decode."""
    with pytest.raises(ImageError):
        shrink(data)


def test_pictures_are_inlined(tmp_path: Path) -> None:
    """`path` is relative to the catalog, base64 is taken too; ids and kinds stay."""
    data = jpeg((1, 2, 3))
    (tmp_path / "a.jpg").write_bytes(data)
    inline = base64.b64encode(data).decode()
    product = made(
        {
            "product_id": "p",
            "title": "T",
            "images": [
                {"path": "a.jpg", "image_id": "front", "kind": "lifestyle"},
                {"data": f"data:image/jpeg;base64,{inline}"},
                {"url": "http://host/b.jpg"},
            ],
        },
        tmp_path,
    )
    assert isinstance(product, Product)
    first, second, third = product.images
    assert (first.data, first.image_id, first.kind) == (inline, "front", "lifestyle")
    assert second.data == inline
    assert (third.url, third.data) == ("http://host/b.jpg", None)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"title": None}, "field_invalid", "title"),
        ({"price": "12"}, "field_invalid", "price"),
        ({"price": -1}, "field_invalid", "price"),
        ({"currency": "euro"}, "field_invalid", "currency"),
        ({"product_id": "x" * 257}, "field_invalid", "product_id"),
        ({"images": "a.jpg"}, "field_invalid", "images"),
        ({"images": ["a.jpg"]}, "field_invalid", "images[0]"),
        ({"images": [{}]}, "field_invalid", "images[0]"),
        ({"images": [{"path": 3}]}, "field_invalid", "images[0].path"),
        ({"images": [{"path": "a.jpg", "url": "http://h/"}]}, "field_invalid", "images[0]"),
        ({"images": [{"url": "http://h/"}, {"path": "gone.jpg"}]}, "image_unreadable", "images[1]"),
        ({"images": [{"path": "."}]}, "image_unreadable", "images[0]"),
        ({"images": [{"path": "a\0b"}]}, "image_unreadable", "images[0]"),
        ({"images": [{"path": "text.jpg"}]}, "image_not_an_image", "images[0]"),
        ({"images": [{"data": "***"}]}, "image_data_invalid", "images[0]"),
    ],
)
def test_a_row_that_is_no_product_says_why(
    tmp_path: Path, change: dict[str, Any], code: str, field: str
) -> None:
    """Same codes and fields as the worker's dead letters, before anything is sent."""
    (tmp_path / "text.jpg").write_text("I am a text file.")
    row = {"product_id": "p", "title": "T", "images": []} | change
    rejected = made(row, tmp_path)
    assert isinstance(rejected, RejectedRow)
    assert (rejected.where, rejected.code, rejected.field) == ("line 7", code, field)


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    """`images` is required: an empty list says that there are none."""
    rejected = made({"product_id": "p", "title": "T"}, tmp_path)
    assert isinstance(rejected, RejectedRow)
    assert (rejected.code, rejected.field) == ("field_missing", "images")


def test_only_csv_cells_may_spell_numbers(tmp_path: Path) -> None:
    """In a table everything is text; in JSON a number in quotes is a mistake."""
    row = {"product_id": "7", "title": "T", "images": [], "price": "12.5", "in_stock": "false"}
    product = made(row, tmp_path, lax=True)
    assert isinstance(product, Product)
    assert (product.product_id, product.price, product.in_stock) == ("7", 12.5, False)
    assert isinstance(made(row, tmp_path), RejectedRow)


def test_a_repeated_product_is_rejected_with_both_lines(tmp_path: Path) -> None:
    """The later row would silently replace the former one."""
    file = tmp_path / "c.jsonl"
    line = json.dumps({"product_id": "p", "title": "T", "images": []}) + "\n"
    file.write_text(line + "\n" + line)
    first, again = list(products_of(open_catalog(file)))
    assert isinstance(first, ReadyProduct)
    assert isinstance(again, RejectedRow)
    assert (again.where, again.code) == ("line 3", "product_id_repeated")
    assert "line 1" in again.message


def test_rows_are_read_only_a_little_ahead(tmp_path: Path) -> None:
    """Memory is bounded however large the catalog: reading waits for the consumer."""
    read = 0

    def endless() -> Iterator[Row]:
        nonlocal read
        while True:
            read += 1
            product = {"product_id": str(read), "title": "T", "images": []}
            yield Row(f"line {read}", read, product)

    found = products_of(Catalog(endless(), tmp_path, 1))
    next(found)
    assert read <= 32
    found.close()  # type: ignore[attr-defined] # a generator


@pytest.mark.parametrize(
    ("kind", "cls"), [("created", ProductCreated), ("updated", ProductUpdated)]
)
def test_published_events_are_what_the_worker_decodes(
    kind: EventType, cls: type[ProductCreated | ProductUpdated]
) -> None:
    """Key, type, time and a distinct event id for each product, in the catalog's order."""
    sender = Sender()
    ready = [
        ReadyProduct("w", n, Product(product_id=f"p{n}", title="T", images=[])) for n in range(100)
    ]
    load = publish(ready, sender, "topic", run_id="run", now=lambda: NOW, kind=kind)
    events = [
        decode_event(m.value, key=m.key, headers=(), timestamp_ms=0, source="s")
        for m in sender.sent
    ]
    assert all(type(event) is cls and event.occurred_at == NOW for event in events)
    assert [event.product.product_id for event in events] == [f"p{n}" for n in range(100)]
    assert [p.event_id for p in load.published] == [event.event_id for event in events]
    assert len({event.event_id for event in events}) == 100


def test_an_event_too_large_for_the_topic_is_a_rejected_row() -> None:
    """The rest goes on."""
    small = ReadyProduct("line 1", 1, Product(product_id="a", title="T", images=[]))
    large = ReadyProduct("line 2", 2, Product(product_id="b", title="T" * 500, images=[]))
    seen: list[int] = []

    def note(load: LoadResult) -> None:
        seen.append(load.position)

    load = publish([small, large], Sender(300), "t", run_id="r", now=lambda: NOW, progress=note)
    assert [p.product_id for p in load.published] == ["a"]
    assert [(row.where, row.code) for row in load.rejected] == [("line 2", "event_too_large")]
    assert seen == [1, 2]


def test_a_broker_that_is_gone_ends_the_load() -> None:
    """What follows would fail as well."""
    ready = [ReadyProduct("line 1", 1, Product(product_id="a", title="T", images=[]))]
    with pytest.raises(SendError):
        publish(ready, Sender(settle=False), "t", run_id="r", now=lambda: NOW)


@pytest.mark.parametrize("price", ["inf", "-inf", "nan", "Infinity", "1e999", "1e16"])
def test_a_price_without_end_is_rejected(tmp_path: Path, price: str) -> None:
    """It was published as null: the product lost its price, and nobody was told."""
    row = {"product_id": "7", "title": "T", "images": [], "price": price}
    rejected = made(row, tmp_path, lax=True)
    assert isinstance(rejected, RejectedRow)
    assert (rejected.code, rejected.field) == ("field_invalid", "price")
    assert f'"{price}"' in rejected.message
