"""Product events: what the catalog system publishes.

A created or updated event carries the whole product: `images` is required (`[]` = none) and an
absent optional field is removed. Price and stock in it replace the offer; absent, they leave it.
"""

from datetime import datetime
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from visualsearch.contracts.limits import MAX_BYTES

ProductId = Annotated[str, Meta(min_length=1, max_length=256)]
ImageId = Annotated[str, Meta(min_length=1, max_length=256)]
Url = Annotated[str, Meta(min_length=1, max_length=4096)]
Text = Annotated[str, Meta(max_length=65536)]
Name = Annotated[str, Meta(min_length=1, max_length=1024)]
Tags = Annotated[list[Name], Meta(max_length=1000)]
AttributeName = Annotated[str, Meta(max_length=1024)]
Attributes = Annotated[dict[AttributeName, Text], Meta(max_length=1000)]
Base64 = Annotated[str, Meta(max_length=MAX_BYTES)]
Price = Annotated[float, Meta(ge=0, le=1e15)]  # an upper limit refuses `inf`, either one `nan`
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", max_length=3)]  # `$` lets a newline follow
Timestamp = Annotated[datetime, Meta(tz=True)]
Version = Annotated[int, Meta(ge=0, le=2**63 - 1)]
ImageKind = Literal["catalog", "lifestyle"]


class ImageSource(Struct, omit_defaults=True):
    """A picture of a product: exactly one of `url` and `data` (base64, at most 2 MB decoded)."""

    image_id: ImageId | None = None
    url: Url | None = None
    data: Base64 | None = None
    kind: ImageKind = "catalog"

    def __post_init__(self) -> None:
        if (self.url is None) == (self.data is None):
            raise ValueError("give exactly one of `url` and `data`")


class Product(Struct, omit_defaults=True, kw_only=True):
    """The whole product, as created and updated events carry it."""

    product_id: ProductId
    title: Name
    images: Annotated[list[ImageSource], Meta(max_length=100)]
    description: Text | None = None
    brand: Name | None = None
    category: Name | None = None
    tags: Tags | None = None
    attributes: Attributes | None = None
    url: Url | None = None
    price: Price | None = None
    currency: Currency | None = None
    in_stock: bool | None = None

    def __post_init__(self) -> None:
        named = [image.image_id for image in self.images if image.image_id is not None]
        if len(named) != len(set(named)):
            raise ValueError("`images` holds two pictures with the same `image_id`")


class Offer(Struct, omit_defaults=True, kw_only=True):
    """Price and stock of a product: replaces the whole offer and carries nothing else."""

    product_id: ProductId
    price: Price | None = None
    currency: Currency | None = None
    in_stock: bool | None = None


class Deleted(Struct, kw_only=True):
    """Which product is gone."""

    product_id: ProductId


class _Event(Struct, tag_field="event_type", kw_only=True, omit_defaults=True):
    event_id: Name
    occurred_at: Timestamp
    version: Version | None = None


class ProductCreated(_Event, tag="product-created", kw_only=True):
    """A product that is new to the catalogue."""

    product: Product


class ProductUpdated(_Event, tag="product-updated", kw_only=True):
    """A product that changed; the event carries all of it."""

    product: Product


class ProductOfferUpdated(_Event, tag="product-offer-updated", kw_only=True):
    """A price or stock change; no model is called for it."""

    product: Offer


class ProductDeleted(_Event, tag="product-deleted", kw_only=True):
    """A product that is no longer sold. A null value means the same."""

    product: Deleted


ProductEvent = ProductCreated | ProductUpdated | ProductOfferUpdated | ProductDeleted

EVENT_TYPES: dict[str, type[ProductEvent]] = {
    "product-created": ProductCreated,
    "product-updated": ProductUpdated,
    "product-offer-updated": ProductOfferUpdated,
    "product-deleted": ProductDeleted,
}
CHOICES = {"kind": get_args(ImageKind)}
"""What may be said in fields of few values, by the field's name."""

TYPE_NAMES: dict[type[ProductEvent], str] = {cls: name for name, cls in EVENT_TYPES.items()}

# On equal time and offset (possible only across topics) the later type wins: a delete is last.
TYPE_RANK: dict[str, int] = {name: rank for rank, name in enumerate(EVENT_TYPES)}

# msgspec works out a type at its first use, and two threads doing so at once crash the interpreter
# (a segmentation fault, seen with 0.22.0). Imports hold a lock, so each type is first used here.
for _type in EVENT_TYPES.values():
    msgspec.json.Decoder(_type)


def encode_event(event: ProductEvent) -> bytes:
    """Encode an event as bare JSON."""
    return msgspec.json.encode(event)
