"""What the user gets to see of a product that was found."""

from visualsearch.index.state import ImageRef
from visualsearch.types import BaseRecord, Hit, OfferRecord

_NO_OFFER = OfferRecord("", (0, 0, 0))


def hit_of(score: float, base: BaseRecord, offer: OfferRecord | None, image: ImageRef) -> Hit:
    """Return a hit from its product's records and its best picture."""
    offer = offer or _NO_OFFER
    return Hit(
        product_id=base.product_id,
        score=score,
        image_id=image.image_id,
        title=base.title,
        category=base.category,
        brand=base.brand,
        price=offer.price,
        currency=offer.currency,
        in_stock=offer.in_stock,
        url=base.url,
        attributes=base.attributes,
    )
