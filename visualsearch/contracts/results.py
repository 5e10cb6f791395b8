"""Search results: what workers publish.

Later versions add fields, at every level; consumers ignore fields that they do not know.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from visualsearch.contracts.explained import MANY, HitExplanation, ProductExplanation

Statuses = Literal["ok", "partial", "error"]
Status = Annotated[Statuses, Meta(title="SearchStatus")]
_Attributes = Annotated[Mapping[str, str], MANY, Meta(title="Attributes")]


class SearchVariant(Struct, kw_only=True):
    """A near-duplicate of a hit."""

    product_id: str
    """Id of the product."""
    score: float
    """Cosine between the query and the product's best image."""
    image_id: str
    """Id of that image."""
    title: str
    """Title of the product."""
    price: float | None = None
    """Price of one unit."""
    currency: str | None = None
    """Currency of the price."""
    in_stock: bool | None = None
    """Whether the product can be bought now; null if unknown."""
    url: str | None = None
    """Page of the product."""
    attributes: _Attributes = {}
    """The product's own attributes by name."""


class GuessedAttribute(Struct):
    """An attribute that was guessed from a product's images."""

    value: str
    """The likeliest value."""
    confidence: float
    """How likely the value is right, from 0 to 1."""


class SearchHit(Struct, kw_only=True):
    """One product that was found."""

    product_id: str
    """Id of the product."""
    score: float
    """Cosine between the query and the product's best image."""
    image_id: str
    """Id of that image."""
    title: str
    """Title of the product."""
    category: str | None = None
    """Path of the product's category."""
    brand: str | None = None
    """Brand of the product."""
    price: float | None = None
    """Price of one unit."""
    currency: str | None = None
    """Currency of the price."""
    in_stock: bool | None = None
    """Whether the product can be bought now; null if unknown."""
    url: str | None = None
    """Page of the product."""
    attributes: _Attributes = {}
    """The product's own attributes by name."""
    variants: Annotated[list[SearchVariant], MANY] = []
    """Near-duplicates of the hit, if the request had them collapsed."""
    guessed: Annotated[dict[str, GuessedAttribute], MANY, Meta(title="GuessedAttributes")] = {}
    """Guessed attributes by name, where the catalog has none; attribute filters match them too."""
    explain: HitExplanation | None = None
    """Why the product is a hit, if the request asked for it."""


class SearchPlan(Struct, kw_only=True):
    """How the hits were found."""

    strategy: str
    """`exact`, `graph`, `ivfpq` or `empty`. Later versions may add values."""
    selectivity: float
    """Share of the images that satisfy the filters."""
    matches: int
    """How many products satisfy the filters."""
    visited: int
    """Number of candidates that were scored."""
    ef: int | None = None
    """Size of the candidate list of a graph search; null for other strategies."""


class LookRegion(Struct, kw_only=True):
    """A region of the photo, and the hits for it."""

    box: Annotated[list[float], Meta(min_length=4, max_length=4)]
    """Left, top, right and bottom as shares of the photo's width and height."""
    category: str | None = None
    """Category of the region; null if it was not recognized."""
    score: float = 0.0
    """The detector's score of the region."""
    hits: Annotated[list[SearchHit], Meta(max_length=1000)] = []
    """Products found for the region, the best first."""
    plan: SearchPlan | None = None
    """How these hits were found."""


class SearchHint(Struct, kw_only=True):
    """A value in a filter that no product has."""

    field: str
    """Path of the filter in the request."""
    value: str
    """The value that no product has."""
    close: Annotated[list[str], MANY] = []
    """Values that products have and that are spelled alike."""


class IndexInfo(Struct, kw_only=True):
    """The index that was searched."""

    products: int
    """How many products it holds."""
    vectors: int
    """How many image vectors it holds."""
    model: str
    """Id of the model of its vectors."""
    watermark: datetime | None = None
    """Every event up to this time is in the index; null if that is unknown."""


class Shards(Struct):
    """How many shards of the index took part in the search."""

    answered: int = 1
    """Shards that answered in time."""
    total: int = 1
    """Shards that the index has. In a `partial` result, fewer answered."""


class TookMs(Struct, omit_defaults=False):
    """Milliseconds spent, by stage."""

    fetch: float = 0.0
    """Milliseconds spent fetching the query's images."""
    embed: float = 0.0
    """Milliseconds spent in the model."""
    search: float = 0.0
    """Milliseconds spent searching the index."""
    total: float = 0.0
    """Milliseconds from the worker's receipt of the request to its result."""


class SearchFault(Struct, omit_defaults=True):
    """Why a request failed."""

    code: str
    """Stable code of the reason. Later versions may add codes."""
    message: str
    """The reason in words, and what to change."""
    field: str | None = None
    """Path of the request's wrong field, if one is."""


class SearchResult(Struct, kw_only=True):
    """The result of one request."""

    request_id: str
    """Id of the request."""
    status: Status
    """`ok`: the search is complete. `partial`: hits of the shards that did not answer are missing;
    `shards` counts them. `error`: `error` says why there are no hits."""
    hits: Annotated[list[SearchHit], Meta(max_length=1000)] = []
    """Products found, the best first; for mode `look` the best of all regions."""
    regions: Annotated[list[LookRegion], Meta(max_length=20)] | None = None
    """The regions of the photo, for mode `look`; else null."""
    hints: Annotated[list[SearchHint], MANY] = []
    """Values in the request's filters that no product has, with values spelled alike."""
    plan: SearchPlan | None = None
    """How the hits were found."""
    served_by: str | None = None
    """The engine that was searched: `hnsw`, `ivfpq` or `exact`. Later versions may add values."""
    index: IndexInfo | None = None
    """The index that was searched."""
    shards: Shards = msgspec.field(default_factory=Shards)
    """How many shards of the index took part."""
    took_ms: TookMs = msgspec.field(default_factory=TookMs)
    """Milliseconds spent, by stage."""
    error: SearchFault | None = None
    """Why the request failed: set if, and only if, `status` is `error`."""
    explained: Annotated[list[ProductExplanation], MANY] = []
    """The products that the request named in `explain`, and why each is or is not a hit."""
