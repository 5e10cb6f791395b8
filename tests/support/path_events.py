"""Product events with as few words as a test needs."""

import itertools
import time
from datetime import UTC, datetime
from typing import Any

from visualsearch.contracts.events import (
    ImageSource,
    Product,
    ProductCreated,
    ProductDeleted,
    ProductOffer,
    ProductOfferUpdated,
    ProductReference,
    ProductUpdated,
)

_ids = itertools.count()


def _head(version: int | None) -> dict[str, Any]:
    return {
        "event_id": f"event-{next(_ids)}",
        "occurred_at": datetime.fromtimestamp(time.time(), UTC),
        "version": version,
    }


def _product(product_id: str, images: tuple[ImageSource, ...], fields: dict[str, Any]) -> Product:
    return Product(product_id=product_id, images=list(images), **({"title": "Thing"} | fields))


def created(
    product_id: str, *images: ImageSource, version: int | None = None, **fields: Any
) -> ProductCreated:
    """Return a product-created event."""
    return ProductCreated(**_head(version), product=_product(product_id, images, fields))


def updated(
    product_id: str, *images: ImageSource, version: int | None = None, **fields: Any
) -> ProductUpdated:
    """Return a product-updated event."""
    return ProductUpdated(**_head(version), product=_product(product_id, images, fields))


def offer(product_id: str, version: int | None = None, **fields: Any) -> ProductOfferUpdated:
    """Return a product-offer-updated event."""
    return ProductOfferUpdated(
        **_head(version), product=ProductOffer(product_id=product_id, **fields)
    )


def deleted(product_id: str, version: int | None = None) -> ProductDeleted:
    """Return a product-deleted event."""
    return ProductDeleted(**_head(version), product=ProductReference(product_id=product_id))
