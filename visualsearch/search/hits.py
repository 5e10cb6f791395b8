"""What the user gets to see of a product that was found."""

from collections.abc import Iterable

from visualsearch.index.state import ImageRef
from visualsearch.types import BaseRecord, Hit, OfferRecord

_NO_BASE = BaseRecord("", (0, 0, 0))
_NO_OFFER = OfferRecord("", (0, 0, 0))


def hits(
    scores: Iterable[float],
    sources: Iterable[tuple[BaseRecord | None, OfferRecord | None, ImageRef]],
) -> tuple[Hit, ...]:
    """Return a hit for each score, from its product's records and its best picture."""
    made = []
    for score, (known, offered, image) in zip(scores, sources, strict=True):
        base, offer = known or _NO_BASE, offered or _NO_OFFER
        made.append(
            Hit(  # by place: names would cost a third more, for up to a thousand hits
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
        )
    return tuple(made)
