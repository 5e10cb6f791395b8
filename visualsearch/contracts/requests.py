"""Search requests: what apps publish.

A request with an unknown field is refused, unlike a product event. A misspelled filter that is
silently ignored would answer with products that the shopper excluded.
"""

from math import isfinite
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from visualsearch.contracts.events import Attributes, Base64, ImageKind, Price, ProductId

RequestId = Annotated[str, Meta(min_length=1, max_length=256)]
Weight = Annotated[float, Meta(ge=-100, le=100)]
Words = Annotated[str, Meta(min_length=1, max_length=2000)]
_ListedId = Annotated[ProductId, Meta(title="ProductId")]
_ProductIds = Annotated[list[_ListedId], Meta(min_length=1, max_length=20)]
SimilarTo = Annotated[ProductId | _ProductIds | None, Meta(title="SimilarTo")]
Explain = Annotated[bool | _ProductIds, Meta(title="Explain")]
Share = Annotated[float, Meta(title="Share", ge=0, le=1)]
# Either limit refuses `inf` and `nan`.
Component = Annotated[float, Meta(title="VectorComponent", ge=-1e300, le=1e300)]
Url = Annotated[str, Meta(max_length=4096)]
FilterValue = Annotated[str, Meta(title="FilterValue", max_length=1024)]
AnyOf = Annotated[list[FilterValue], Meta(max_length=1000)]
ExcludedId = Annotated[str, Meta(title="ExcludedId", max_length=256)]
Excluded = Annotated[list[ExcludedId], Meta(max_length=10_000)]
Modes = Literal["search", "look"]
Mode = Annotated[Modes, Meta(title="SearchMode")]


class QueryImage(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """An image to search with: exactly one of `url` and `data`."""

    url: Url | None = None
    """Where the image is fetched from."""
    data: Base64 | None = None
    """The image file itself in base64."""
    weight: Weight | None = None
    """Weight of the image; negative: unlike it. Without weights, the images share 1."""

    def __post_init__(self) -> None:
        if (self.url is None) == (self.data is None):
            raise ValueError("give exactly one of `url` and `data`")


class QueryText(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Words to search with."""

    text: Words
    """The words."""
    weight: Weight | None = None
    """Weight of the words; negative: unlike them. Without weights, the texts share 1, or less
    beside images."""


class QuerySpec(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What to look for: any mix of images, words, products and a vector."""

    images: Annotated[list[QueryImage], Meta(max_length=10)] = []
    """Images to search with."""
    texts: Annotated[list[QueryText], Meta(max_length=20)] = []
    """Words to search with."""
    similar_to: SimilarTo = None
    """Id of a product, or of several, whose images are searched with."""
    vector: Annotated[list[Component], Meta(min_length=1, max_length=4096)] | None = None
    """Query vector of the index's model, of its dimension."""
    image: Base64 | None = None
    """Short for one of `images`: a URL, or an image file in base64."""
    text: Words | None = None
    """Short for one of `texts`."""
    text_weight: Weight | None = None
    """Weight of `text`."""


class SearchFilters(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Clauses that a product has to satisfy, all of them."""

    category: AnyOf = []
    """Paths of categories, any of which may match; what lies below a path matches too."""
    brand: AnyOf = []
    """Brands, any of which may match."""
    tags: AnyOf = []
    """Tags, all of which have to match."""
    price_min: Price | None = None
    """Lowest price; a product without a price does not match."""
    price_max: Price | None = None
    """Highest price; a product without a price does not match."""
    in_stock: bool | None = None
    """Whether the product is in stock; a product of unknown stock does not match."""
    attributes: Attributes = {}
    """Values of attributes by name, all of which have to match."""
    exclude: Excluded = []
    """Ids of products that are left out."""

    def __post_init__(self) -> None:
        low, high = self.price_min, self.price_max
        if not all(price is None or isfinite(price) for price in (low, high)):
            raise ValueError("`price_min` and `price_max` are finite numbers")  # JSON has no other
        if low is not None and high is not None and low > high:
            raise ValueError("`price_min` is above `price_max`; swap them")


class Preprocess(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What to do to the query's images before the search; EXIF rotation is always applied."""

    lighting: bool = False
    """Even out the lighting."""
    background: bool = False
    """Lay the subject on white."""
    crops: bool = False
    """Search by crops around the center as well; each product counts by the best of them."""
    align: bool = False
    """Subtract from the images what the index's lifestyle images have in common. This finds catalog
    images more often."""


class LookBox(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A region of the photo that the app found by itself."""

    box: Annotated[list[Share], Meta(min_length=4, max_length=4)]
    """Left, top, right and bottom as shares of the photo's width and height."""
    category: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None
    """Category to search in."""

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        if not (left < right and top < bottom):
            raise ValueError("`box` is [left, top, right, bottom]: left < right, top < bottom")


class SearchRequest(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """One search: a query, filters, and how many hits are wanted."""

    request_id: RequestId
    """Id of the request; it comes back in the result and is the key of both messages."""
    query: QuerySpec
    """What to look for."""
    mode: Mode = "search"
    """`search` searches once; `look` finds the things in one photo and searches for each."""
    filters: SearchFilters = msgspec.field(default_factory=SearchFilters)
    """Clauses that every hit has to satisfy."""
    top_k: Annotated[int, Meta(ge=1, le=1000)] = 20
    """How many hits are wanted at most."""
    recall_target: Annotated[float, Meta(gt=0, le=1)] | None = None
    """Share of the true hits to find in an approximate search; null: the worker's own."""
    diversity: Share = 0.0
    """How much the difference between hits counts (MMR). Above 0, hits are not in score order."""
    collapse_duplicates: bool = False
    """Whether near-duplicates become the `variants` of one hit."""
    boxes: Annotated[list[LookBox], Meta(max_length=20)] = []
    """Regions for mode `look`; empty: the worker finds them."""
    max_regions: Annotated[int, Meta(ge=1, le=20)] = 8
    """How many regions mode `look` finds at most."""
    image_kind: ImageKind | None = None
    """Kind of images to search; null: all images."""
    preprocess: Preprocess = msgspec.field(default_factory=Preprocess)
    """What to do to the query's images before the search."""
    explain: Explain = False
    """True: each hit is explained. Ids of products: these are explained as well, hits or not."""
    deadline_ms: Annotated[int, Meta(ge=1, le=600_000)] = 2000
    """Milliseconds from the request's Kafka timestamp within which a result is of use."""
