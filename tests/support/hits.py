"""Hits that no search found."""

from visualsearch.index.state import ImageRef, ProductState
from visualsearch.types import BaseRecord, Hit


def hit_of(score: float, base: BaseRecord, image_id: str = "0") -> Hit:
    """Return a product of one image, without an offer."""
    images = (ImageRef(image_id, "catalog", None),)
    return Hit(score, ProductState(base.product_id, base, images=images), 0)
