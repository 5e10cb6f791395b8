"""What is known of one product, and what the index reports of itself."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from visualsearch.index.paths import within
from visualsearch.types import BaseRecord, Filters, Guess, ImageKind, OfferRecord, Order


class ImageRef(msgspec.Struct, frozen=True, gc=False):
    """A picture that the index holds a vector of."""

    image_id: str
    kind: ImageKind
    url: str | None


NO_GUESSES: Mapping[str, Guess] = {}  # of every product that has none


class ProductState(msgspec.Struct, frozen=True, gc=False):
    """A product's latest records; deleted ones stay as markers, for their order.

    None is a kind of which no record has been seen. `images` is empty when the vectors are
    deleted or the product has no picture.
    """

    product_id: str
    base: BaseRecord | None = None
    offer: OfferRecord | None = None
    vectors_order: Order | None = None
    images: tuple[ImageRef, ...] = ()
    guesses: Mapping[str, Guess] = msgspec.field(default_factory=lambda: NO_GUESSES)  # of pictures

    @property
    def guessed(self) -> Mapping[str, Guess]:
        """Return the guesses that count: the product's own attributes win."""
        return NO_GUESSES if self.base is None else counting(self.base, self.guesses)

    @property
    def searchable(self) -> bool:
        """Return whether a search can find it: a live base and at least one vector."""
        return self.base is not None and not self.base.deleted and bool(self.images)

    @property
    def orders(self) -> Mapping[str, Order | None]:
        """Return the order of the latest record of each kind."""
        return {
            "base": None if self.base is None else self.base.order,
            "offer": None if self.offer is None else self.offer.order,
            "vectors": self.vectors_order,
        }


@dataclass(frozen=True, slots=True)
class IndexStats:
    """Counts of one moment."""

    products: int  # searchable
    vectors: int  # rows of searchable products
    known_products: int  # delete markers and half-known ones included
    rows: int  # every row version still stored
    fresh_rows: int  # rows in use that no graph holds yet
    dead_ratio: float  # share of the graphs' rows that are superseded or deleted
    segments: int  # graphs
    pieces: int  # of the inverted lists
    merged_rows: int  # of the graph that is being rebuilt,
    merging_rows: int  # of so many; 0 when none is


def counting(base: BaseRecord, guesses: Mapping[str, Guess]) -> Mapping[str, Guess]:
    """Return the guesses of what the product itself does not say; its category is one of these."""
    if not guesses:
        return guesses
    return {
        name: guess
        for name, guess in guesses.items()
        if name not in base.attributes and not (name == "category" and base.category)
    }


def attributes(base: BaseRecord, guesses: Mapping[str, Guess]) -> Mapping[str, str]:
    """Return what filters on attributes look at: the product's own, and guesses of the others."""
    if not guesses:
        return base.attributes
    guessed = {name: guess.value for name, guess in counting(base, guesses).items()}
    return guessed | dict(base.attributes)


def satisfies(state: ProductState, filters: Filters) -> bool:
    """Return whether a searchable product meets every clause that is about products.

    The same rules as the columns', one product at a time; `image_kind` is about rows.
    """
    base, offer = state.base, state.offer
    if not state.searchable or base is None or state.product_id in filters.exclude:
        return False
    price = offer.price if offer else None
    stock = offer.in_stock if offer else None
    return (
        (not filters.category or any(within(base.category, each) for each in filters.category))
        and (not filters.brand or base.brand in filters.brand)
        and set(filters.tags) <= set(base.tags)
        and filters.attributes.items() <= attributes(base, state.guesses).items()
        and (filters.price_min is None or (price is not None and price >= filters.price_min))
        and (filters.price_max is None or (price is not None and price <= filters.price_max))
        and (filters.in_stock is None or stock is filters.in_stock)
    )
