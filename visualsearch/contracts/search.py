"""Search requests and results: what apps publish and get.

Unlike product events, a request with an unknown field is refused: a misspelt filter that is
silently ignored would answer with products that the shopper excluded.
"""

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from visualsearch.contracts.errors import SchemaError, from_validation
from visualsearch.contracts.events import Attributes, Base64, Price
from visualsearch.contracts.explained import MANY, HitExplanation, ProductExplanation
from visualsearch.contracts.limits import json_text

RequestId = Annotated[str, Meta(min_length=1, max_length=256)]
Weight = Annotated[float, Meta(ge=-100, le=100)]
Words = Annotated[str, Meta(min_length=1, max_length=2000)]
ProductId = Annotated[str, Meta(min_length=1, max_length=256)]
Share = Annotated[float, Meta(ge=0, le=1)]
Component = Annotated[float, Meta(ge=-1e300, le=1e300)]  # either limit refuses `inf` and `nan`
Url = Annotated[str, Meta(max_length=4096)]
AnyOf = Annotated[list[Annotated[str, Meta(max_length=1024)]], Meta(max_length=1000)]
Excluded = Annotated[list[Annotated[str, Meta(max_length=256)]], Meta(max_length=10_000)]
Mode = Literal["search", "look"]
Kind = Literal["catalog", "lifestyle"]


class QueryImage(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A picture to search with: exactly one of `url` and `data` (base64)."""

    url: Url | None = None
    data: Base64 | None = None
    weight: Weight | None = None

    def __post_init__(self) -> None:
        if (self.url is None) == (self.data is None):
            raise ValueError("give exactly one of `url` and `data`")


class QueryText(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Words to search with; a negative weight means "unlike"."""

    text: Words
    weight: Weight | None = None


class QuerySpec(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What to look for: any mix of pictures, words, a product and a vector."""

    images: Annotated[list[QueryImage], Meta(max_length=10)] = []
    texts: Annotated[list[QueryText], Meta(max_length=20)] = []
    similar_to: ProductId | Annotated[list[ProductId], Meta(min_length=1, max_length=20)] | None = (
        None
    )
    vector: Annotated[list[Component], Meta(min_length=1, max_length=4096)] | None = None
    # Shorthands: one picture (URL or base64), one text.
    image: Base64 | None = None
    text: Words | None = None
    text_weight: Weight | None = None


class SearchFilters(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Clauses that all must hold; in `category` and `brand` any of the values may match."""

    category: AnyOf = []
    brand: AnyOf = []
    tags: AnyOf = []
    price_min: Price | None = None
    price_max: Price | None = None
    in_stock: bool | None = None
    attributes: Attributes = {}
    exclude: Excluded = []

    def __post_init__(self) -> None:
        low, high = self.price_min, self.price_max
        if not all(price is None or isfinite(price) for price in (low, high)):
            raise ValueError("`price_min` and `price_max` are finite numbers")  # JSON has no other
        if low is not None and high is not None and low > high:
            raise ValueError("`price_min` is above `price_max`; swap them")


class Preprocess(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What to do to the query's photos first; EXIF rotation is always applied.

    `lighting` evens it out, `background` lays the subject on white, `crops` searches by crops
    around the centre as well: each product counts by the best of them. `align` takes from the
    photos what the index's lifestyle pictures have in common: it finds catalogue pictures more
    often.
    """

    lighting: bool = False
    background: bool = False
    crops: bool = False
    align: bool = False


class LookBox(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A region that the app found: left, top, right, bottom as shares of width and height."""

    box: Annotated[list[Share], Meta(min_length=4, max_length=4)]
    category: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        if not (left < right and top < bottom):
            raise ValueError("`box` is [left, top, right, bottom]: left < right, top < bottom")


class SearchRequest(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """One search. `deadline_ms` counts from the request's Kafka timestamp.

    Mode `look` finds the things in one photo, at most `max_regions` of them or those in `boxes`,
    and searches for each of them.
    """

    request_id: RequestId
    query: QuerySpec
    mode: Mode = "search"
    filters: SearchFilters = msgspec.field(default_factory=SearchFilters)
    top_k: Annotated[int, Meta(ge=1, le=1000)] = 20
    recall_target: Annotated[float, Meta(gt=0, le=1)] | None = None
    diversity: Share = 0.0
    collapse_duplicates: bool = False
    boxes: Annotated[list[LookBox], Meta(max_length=20)] = []
    max_regions: Annotated[int, Meta(ge=1, le=20)] = 8
    image_kind: Kind | None = None
    preprocess: Preprocess = msgspec.field(default_factory=Preprocess)
    # true: each hit says why it is one; product ids: these are explained as well, hit or not.
    explain: bool | Annotated[list[RequestId], Meta(min_length=1, max_length=20)] = False
    deadline_ms: Annotated[int, Meta(ge=1, le=600_000)] = 2000


class SearchVariant(Struct, kw_only=True):
    """A near-duplicate of a hit, by its own best picture."""

    product_id: str
    score: float
    image_id: str
    title: str
    price: float | None = None
    currency: str | None = None
    in_stock: bool | None = None
    url: str | None = None
    attributes: Annotated[Mapping[str, str], MANY] = {}


class GuessedAttribute(Struct):
    """An attribute as the pictures have it, and how likely that is right (0 to 1)."""

    value: str
    confidence: float


class SearchHit(Struct, kw_only=True):
    """One product; `score` is the cosine between the query and its best picture.

    `variants` are its near-duplicates, where the request had them collapsed.
    """

    product_id: str
    score: float
    image_id: str
    title: str
    category: str | None = None
    brand: str | None = None
    price: float | None = None
    currency: str | None = None
    in_stock: bool | None = None
    url: str | None = None
    attributes: Annotated[Mapping[str, str], MANY] = {}
    variants: Annotated[list[SearchVariant], MANY] = []
    # Of attributes that the catalogue does not name; filters on attributes see them as well.
    guessed: Annotated[dict[str, GuessedAttribute], MANY] = {}
    explain: HitExplanation | None = None


class SearchPlan(Struct, kw_only=True):
    """How the answer was found."""

    strategy: str
    selectivity: float
    matches: int
    visited: int
    ef: int | None = None


class LookRegion(Struct, kw_only=True):
    """A thing in the photo, and what the catalogue has of it.

    `box` is left, top, right, bottom as shares of the photo's width and height; `score` is the
    detector's own. Products found in several regions stand further up.
    """

    box: Annotated[list[float], Meta(min_length=4, max_length=4)]
    category: str | None = None
    score: float = 0.0
    hits: Annotated[list[SearchHit], Meta(max_length=1000)] = []
    plan: SearchPlan | None = None


class SearchHint(Struct, kw_only=True):
    """A filter's value that no product has, and known ones that are spelt alike."""

    field: str
    value: str
    close: Annotated[list[str], MANY] = []


class IndexInfo(Struct, kw_only=True):
    """What the answer was found in; every event up to `watermark` is in it."""

    products: int
    vectors: int
    model: str
    watermark: datetime | None = None


class Shards(Struct):
    """How many of the shards took part."""

    answered: int = 1
    total: int = 1


class TookMs(Struct, omit_defaults=False):
    """Milliseconds spent, by stage."""

    fetch: float = 0.0
    embed: float = 0.0
    search: float = 0.0
    total: float = 0.0


class SearchFault(Struct, omit_defaults=True):
    """Why a request was not answered with hits; `code` is stable."""

    code: str
    message: str
    field: str | None = None


class SearchResult(Struct, kw_only=True):
    """The answer to one request: `error` is set when, and only when, `status` is "error"."""

    request_id: str
    status: Literal["ok", "error"]
    hits: Annotated[list[SearchHit], Meta(max_length=1000)] = []
    regions: Annotated[list[LookRegion], Meta(max_length=20)] | None = None
    hints: Annotated[list[SearchHint], MANY] = []
    plan: SearchPlan | None = None
    served_by: str | None = None
    index: IndexInfo | None = None
    shards: Shards = msgspec.field(default_factory=Shards)
    took_ms: TookMs = msgspec.field(default_factory=TookMs)
    error: SearchFault | None = None
    explained: Annotated[list[ProductExplanation], MANY] = []


# Made here, not at the first call: see visualsearch/contracts/events.py.
_CHOICES = {"mode": get_args(Mode), "image_kind": get_args(Kind)}
_REQUESTS = msgspec.json.Decoder(SearchRequest)
_RESULTS = msgspec.json.Decoder(SearchResult)


def encode_result(result: SearchResult) -> bytes:
    """Encode a result as JSON. Raises SchemaError `result_too_large` for what no client reads."""
    value = msgspec.json.encode(result)
    json_text(value, "result_too_large")
    return value


def decode_result(value: bytes) -> SearchResult:
    """Decode a result. Raises msgspec.DecodeError, and SchemaError for one beyond all limits."""
    return _RESULTS.decode(json_text(value, "result_too_large"))


def decode_request(value: bytes | None) -> SearchRequest:
    """Decode a request. Raises SchemaError with the field that is wrong."""
    if value is None:
        raise SchemaError("not_json", "the value is null; send a search request as JSON")
    text = json_text(value, "request_too_large")
    try:
        return _REQUESTS.decode(text)
    except msgspec.ValidationError as error:
        raise from_validation(error, _plain(text), _CHOICES) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SchemaError("not_json", f"the value is not JSON: {error}") from None


def _plain(text: bytes) -> Any:
    """Return a request that does not fit as plain values, for an error to show."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # broken further on
        return None
