"""What the user gets to see of a product that was found."""

from collections.abc import Sequence

from visualsearch.index.state import ImageRef, ProductState
from visualsearch.search.group import Candidate
from visualsearch.types import BaseRecord, Hit, OfferRecord

NO_ORDER = (0, 0, 0)


def hits(
    chosen: Sequence[Candidate], sources: Sequence[tuple[ProductState, ImageRef]]
) -> tuple[Hit, ...]:
    """Return a hit for each candidate, from its product's state and its best picture."""
    return tuple(
        _hit(each.score, state, image) for each, (state, image) in zip(chosen, sources, strict=True)
    )


def _hit(score: float, state: ProductState, image: ImageRef) -> Hit:
    base = state.base or BaseRecord(state.product_id, NO_ORDER)
    offer = state.offer or OfferRecord(state.product_id, NO_ORDER)
    return Hit(
        product_id=state.product_id,
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
