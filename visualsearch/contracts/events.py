"""Product events: what the catalog system publishes.

A created or updated event carries the whole product: `images` is required (`[]` = none) and an
absent optional field is removed. Price and stock replace the offer; if all are absent, the offer
stays.
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
Tag = Annotated[Name, Meta(title="Tag")]
Tags = Annotated[list[Tag], Meta(max_length=1000)]
AttributeName = Annotated[str, Meta(max_length=1024)]
Attributes = Annotated[dict[AttributeName, Text], Meta(title="Attributes", max_length=1000)]
Base64 = Annotated[str, Meta(max_length=MAX_BYTES)]
Price = Annotated[float, Meta(ge=0, le=1e15)]  # an upper limit refuses `inf`, either one `nan`
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", max_length=3)]  # `$` lets a newline follow
Timestamp = Annotated[datetime, Meta(tz=True)]
Version = Annotated[int, Meta(ge=0, le=2**63 - 1)]
ImageKinds = Literal["catalog", "lifestyle"]
ImageKind = Annotated[ImageKinds, Meta(title="ImageKind")]


class ImageSource(Struct, omit_defaults=True):
    """An image of a product: exactly one of `url` and `data`."""

    image_id: ImageId | None = None
    """Id of the image, unique within the product; search hits name it. If absent, it is made
    from the image's position in the list."""
    url: Url | None = None
    """Address to fetch the image from: http, https, or a store that the worker may read."""
    data: Base64 | None = None
    """The image file itself in base64, at most 2 MB decoded."""
    kind: ImageKind = "catalog"
    """`catalog`: the product alone, as in a studio; `lifestyle`: the product in use."""

    def __post_init__(self) -> None:
        if (self.url is None) == (self.data is None):
            raise ValueError("give exactly one of `url` and `data`")


class Product(Struct, omit_defaults=True, kw_only=True):
    """The whole product, as created and updated events carry it."""

    product_id: ProductId
    """Id of the product; the key of the message is the same."""
    title: Name
    """Name of the product as a shopper reads it."""
    images: Annotated[list[ImageSource], Meta(max_length=100)]
    """All images of the product; an empty list if it has none."""
    description: Text | None = None
    """Text about the product."""
    brand: Name | None = None
    """Brand of the product; requests filter by it."""
    category: Name | None = None
    """Path of the category, from the general to the special, separated by slashes."""
    tags: Tags | None = None
    """Words that requests filter by."""
    attributes: Attributes | None = None
    """Properties by name; requests filter by them."""
    url: Url | None = None
    """Page of the product, for a search hit to link to."""
    price: Price | None = None
    """Price of one unit. Price, currency and stock replace the offer; if all are absent, it
    stays."""
    currency: Currency | None = None
    """Currency of the price: three letters of ISO 4217."""
    in_stock: bool | None = None
    """Whether the product can be bought now."""

    def __post_init__(self) -> None:
        named = [image.image_id for image in self.images if image.image_id is not None]
        if len(named) != len(set(named)):
            raise ValueError("`images` holds two images with the same `image_id`")


class ProductOffer(Struct, omit_defaults=True, kw_only=True):
    """Price and stock of a product: replaces the whole offer and carries nothing else."""

    product_id: ProductId
    """Id of the product; the key of the message is the same."""
    price: Price | None = None
    """Price of one unit; absent or null: the product has no price."""
    currency: Currency | None = None
    """Currency of the price: three letters of ISO 4217."""
    in_stock: bool | None = None
    """Whether the product can be bought now; absent or null: unknown."""


class ProductReference(Struct, kw_only=True):
    """Reference to a deleted product."""

    product_id: ProductId
    """Id of the product; the key of the message is the same."""


class _Event(Struct, tag_field="event_type", kw_only=True, omit_defaults=True):
    event_id: Name
    """Id of the event, for logs and dead letters."""
    occurred_at: Timestamp
    """When the change happened: date, time and zone as in RFC 3339."""
    version: Version | None = None
    """Version of the product. It is required where the workers order events by version."""


class ProductCreated(_Event, tag="product-created", kw_only=True):
    """A product that is new to the catalog."""

    product: Product
    """The new product."""


class ProductUpdated(_Event, tag="product-updated", kw_only=True):
    """A product that changed; the event carries all of it."""

    product: Product
    """The product after the change; an absent optional field is removed."""


class ProductOfferUpdated(_Event, tag="product-offer-updated", kw_only=True):
    """A change of price or stock; no model is called for it."""

    product: ProductOffer
    """The new offer of the product."""


class ProductDeleted(_Event, tag="product-deleted", kw_only=True):
    """A product that is no longer sold. A message with a null value means the same."""

    product: ProductReference
    """The deleted product."""


ProductEvent = ProductCreated | ProductUpdated | ProductOfferUpdated | ProductDeleted

EVENT_TYPES: dict[str, type[ProductEvent]] = {
    "product-created": ProductCreated,
    "product-updated": ProductUpdated,
    "product-offer-updated": ProductOfferUpdated,
    "product-deleted": ProductDeleted,
}
CHOICES = {"kind": get_args(ImageKinds)}
"""Allowed values of enumerated fields, by the field's name."""

TYPE_NAMES: dict[type[ProductEvent], str] = {cls: name for name, cls in EVENT_TYPES.items()}

# On equal time and offset (possible only across topics) the later type wins: a delete is last.
TYPE_RANK: dict[str, int] = {name: rank for rank, name in enumerate(EVENT_TYPES)}

# msgspec inspects a type at its first use. Two threads doing so at once crash the interpreter (a
# segmentation fault, seen with 0.22.0). Imports hold a lock, so each type is first used here.
for _type in EVENT_TYPES.values():
    msgspec.json.Decoder(_type)


def encode_event(event: ProductEvent) -> bytes:
    """Encode an event as bare JSON."""
    return msgspec.json.encode(event)
