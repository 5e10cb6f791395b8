"""Search requests: what apps publish.

Unlike a product event, a request with an unknown field is refused. If a misspelled filter were
ignored, the result would hold products that the shopper excluded.
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
# The limits refuse `inf` and `nan`.
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
    """Address to fetch the image from."""
    data: Base64 | None = None
    """The image file itself in base64."""
    weight: Weight | None = None
    """Weight of the image; negative: products unlike it. Without weights, the images share 1."""

    def __post_init__(self) -> None:
        if (self.url is None) == (self.data is None):
            raise ValueError("give exactly one of `url` and `data`")


class QueryText(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Words to search with."""

    text: Words
    """The words."""
    weight: Weight | None = None
    """Weight of the words; negative: products unlike them. Without weights, the texts share 1, or
    less if there are images."""


class QuerySpec(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What to look for: any mix of images, words, products and a vector."""

    images: Annotated[list[QueryImage], Meta(max_length=10)] = []
    """Images to search with."""
    texts: Annotated[list[QueryText], Meta(max_length=20)] = []
    """Words to search with."""
    similar_to: SimilarTo = None
    """Id of a product, or a list of ids, whose images are searched with."""
    vector: Annotated[list[Component], Meta(min_length=1, max_length=4096)] | None = None
    """Query vector of the index's model, in its dimension."""
    image: Base64 | None = None
    """Short form of one of `images`: a URL, or an image file in base64."""
    text: Words | None = None
    """Short form of one of `texts`."""
    text_weight: Weight | None = None
    """Weight of `text`."""


class SearchFilters(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Clauses, all of which a product has to satisfy."""

    category: AnyOf = []
    """Category paths, any of which may match; subcategories match too."""
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
    """Ids of products to leave out."""

    def __post_init__(self) -> None:
        low, high = self.price_min, self.price_max
        if not all(price is None or isfinite(price) for price in (low, high)):
            raise ValueError("`price_min` and `price_max` are finite numbers")  # JSON has no other
        if low is not None and high is not None and low > high:
            raise ValueError("`price_min` is above `price_max`; swap them")


class Preprocess(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Processing of the query's images before the search; EXIF rotation is always applied."""

    lighting: bool = False
    """Even out the lighting."""
    background: bool = False
    """Replace the background by white."""
    crops: bool = False
    """Search with crops around the center too; a product's score is that of its best crop."""
    align: bool = False
    """Subtract most of the mean vector of the index's lifestyle images from the query's images.
    This finds catalog images more often."""


class LookBox(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A region of the photo, given by the app."""

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
    """Id of the request; the result repeats it, and it is the key of both messages."""
    query: QuerySpec
    """What to look for."""
    mode: Mode = "search"
    """`search` searches once; `look` finds the things in one photo and searches for each."""
    filters: SearchFilters = msgspec.field(default_factory=SearchFilters)
    """Clauses that every hit has to satisfy."""
    top_k: Annotated[int, Meta(ge=1, le=1000)] = 20
    """Largest number of hits."""
    recall_target: Annotated[float, Meta(gt=0, le=1)] | None = None
    """Recall target of an approximate search; null: the worker's setting."""
    diversity: Share = 0.0
    """Weight of diversity against score (MMR). Above 0, hits are not in score order."""
    collapse_duplicates: bool = False
    """Whether near-duplicates become the `variants` of one hit."""
    boxes: Annotated[list[LookBox], Meta(max_length=20)] = []
    """Regions for mode `look`; empty: the worker finds them."""
    max_regions: Annotated[int, Meta(ge=1, le=20)] = 8
    """Largest number of regions that mode `look` finds."""
    image_kind: ImageKind | None = None
    """Kind of images to search; null: all images."""
    preprocess: Preprocess = msgspec.field(default_factory=Preprocess)
    """Processing of the query's images before the search."""
    explain: Explain = False
    """True: each hit is explained. Ids of products: these are explained as well, hits or not."""
    deadline_ms: Annotated[int, Meta(ge=1, le=600_000)] = 2000
    """Milliseconds after the request's Kafka timestamp until which a result is useful."""
