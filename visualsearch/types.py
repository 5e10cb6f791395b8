"""The input and output types of the library: records, queries and hits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, final

import msgspec
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from visualsearch.index.state import ProductState

FloatArray = npt.NDArray[np.float32]
ImageKind = Literal["catalog", "lifestyle"]

Order = tuple[int, int, int]
"""(timestamp in ms or version, source offset, rank of the event type): a total order.

Only strictly older records are dropped. A record of equal order is applied: log compaction also
keeps the last one.
"""


# Records are structs that Python's garbage collector does not track (`gc=False`): they are in no
# reference cycle, and it would traverse hundreds of thousands of them. Making one takes a tenth of
# the time of a frozen dataclass and 16 bytes less. Test their type by `type(record) is`: a failing
# `isinstance` is slower.

NO_ATTRIBUTES: Mapping[str, str] = {}  # shared by products without any: a dict takes 64 bytes


@final
class BaseRecord(msgspec.Struct, frozen=True, gc=False):
    """The data of a product without its offer and images."""

    product_id: str
    order: Order
    deleted: bool = False
    title: str = ""
    description: str | None = None
    brand: str | None = None
    category: str | None = None
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, str] = msgspec.field(default_factory=lambda: NO_ATTRIBUTES)
    url: str | None = None


@final
class OfferRecord(msgspec.Struct, frozen=True, gc=False):
    """Price and stock; `None` is unknown, which matches no filter on that field."""

    product_id: str
    order: Order
    deleted: bool = False
    price: float | None = None
    currency: str | None = None
    in_stock: bool | None = None


class ImageVector(msgspec.Struct, frozen=True, gc=False, eq=False):
    """One image of a product: a unit vector of shape (dim,), float16 or float32."""

    image_id: str
    vector: npt.NDArray[np.floating]
    kind: ImageKind = "catalog"
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Guess:
    """An attribute value guessed from images, and the probability that it is right (0 to 1)."""

    value: str
    confidence: float


@final
class VectorsRecord(msgspec.Struct, frozen=True, gc=False, eq=False):
    """The vectors of all images of a product by one model; it replaces the former set.

    `guessed` holds attributes by name; the product's own attributes take precedence.
    """

    product_id: str
    order: Order
    deleted: bool = False
    model: str = ""
    images: tuple[ImageVector, ...] = ()
    guessed: Mapping[str, Guess] = msgspec.field(default_factory=dict)


Record = BaseRecord | OfferRecord | VectorsRecord


class Outcome(StrEnum):
    """The result of applying a record."""

    APPLIED = "applied"
    STALE = "stale"  # strictly older than the current record
    FOREIGN_MODEL = "foreign_model"  # vectors of another model than the index's
    INVALID = "invalid"  # wrong dimension, not finite or not of unit length


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of one record, and whether its product is searchable now."""

    outcome: Outcome
    searchable: bool


@dataclass(frozen=True, slots=True)
class Filters:
    """Clauses that a product must satisfy, all of them.

    Any value of `category` and of `brand` may match; all of `tags` and `attributes` must match.
    """

    category: tuple[str, ...] = ()
    brand: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    price_min: float | None = None
    price_max: float | None = None
    in_stock: bool | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    exclude: frozenset[str] = frozenset()
    image_kind: ImageKind | None = None

    def __hash__(self) -> int:
        """Return a hash by all clauses."""
        return hash(
            (
                self.category, self.brand, self.tags, self.price_min, self.price_max, self.in_stock,
                frozenset(self.attributes.items()), self.exclude, self.image_kind,
            )
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A float32 unit vector of shape (dim,), filters, and how many hits are wanted."""

    vector: FloatArray
    filters: Filters = field(default_factory=Filters)
    top_k: int = 20
    recall_target: float | None = None  # of approximate strategies; None: the engine's default
    diversity: float = 0.0  # 0 to 1: the weight of dissimilarity between hits (MMR)
    collapse: bool = False  # collapse near-duplicates into one hit


class Hit(msgspec.Struct, frozen=True, gc=False):
    """One product of an answer; `score` is the cosine of its best image.

    It refers to the product's state at the time of the search. It holds this one reference instead
    of copies: reading several fields of a hundred products takes as long as a graph search.
    """

    score: float
    state: "ProductState"
    place: int  # index of the best image
    variants: "tuple[Hit, ...]" = ()  # near-duplicates, if they were collapsed

    @property
    def image_id(self) -> str:
        """Return the id of the image that scored best."""
        return self.state.images[self.place].image_id

    @property
    def base(self) -> BaseRecord:
        """Return the product's base record."""
        assert self.state.base is not None  # noqa: S101 - it was searchable
        return self.state.base

    @property
    def offer(self) -> OfferRecord | None:
        """Return price and stock; None without an offer record."""
        return self.state.offer

    @property
    def guessed(self) -> Mapping[str, Guess]:
        """Return the attributes guessed from images; the product's own are in `attributes`."""
        return self.state.guessed

    @property
    def product_id(self) -> str:
        """Return the product's id."""
        return self.base.product_id

    @property
    def title(self) -> str:
        """Return the product's title."""
        return self.base.title

    @property
    def category(self) -> str | None:
        """Return the product's category."""
        return self.base.category

    @property
    def brand(self) -> str | None:
        """Return the product's brand."""
        return self.base.brand

    @property
    def url(self) -> str | None:
        """Return the product's page."""
        return self.base.url

    @property
    def attributes(self) -> Mapping[str, str]:
        """Return the product's own attributes by name."""
        return self.base.attributes

    @property
    def price(self) -> float | None:
        """Return the price; None if it is unknown."""
        return None if self.offer is None else self.offer.price

    @property
    def currency(self) -> str | None:
        """Return the price's currency."""
        return None if self.offer is None else self.offer.currency

    @property
    def in_stock(self) -> bool | None:
        """Return whether it is in stock; None if that is unknown."""
        return None if self.offer is None else self.offer.in_stock


@dataclass(frozen=True, slots=True)
class Plan:
    """How hits were found; `selectivity` is the share of rows that satisfy the filters."""

    strategy: Literal["exact", "graph", "ivfpq", "empty"]
    selectivity: float
    matches: int  # products that satisfy the filters
    visited: int  # candidates scored
    ef: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Hits, best first: exactly min(top_k, plan.matches) of them.

    With collapsed near-duplicates, there is one hit per group, and `matches` still counts products.
    With diversity, hits are in MMR order.
    """

    hits: tuple[Hit, ...]
    plan: Plan
