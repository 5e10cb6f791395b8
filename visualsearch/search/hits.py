"""What the user gets to see of a product that was found."""

from visualsearch.index.state import ImageRef
from visualsearch.types import BaseRecord, Hit, OfferRecord

_NO_OFFER = OfferRecord("", (0, 0, 0))


def hit_of(score: float, base: BaseRecord, offer: OfferRecord | None, image: ImageRef) -> Hit:
    """Return a hit from its product's records and its best picture."""
    offer = offer or _NO_OFFER
    return Hit(  # by place: names would cost a third more
        base.product_id,
        score,
        image.image_id,
        base.title,
        base.category,
        base.brand,
        offer.price,
        offer.currency,
        offer.in_stock,
        base.url,
        base.attributes,
    )
