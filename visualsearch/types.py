"""The values that the library takes and gives: records in, queries in, hits out."""

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
"""(timestamp in ms or version, source offset, rank of the event type): one total order.

Only a strictly older record is dropped; an equal one is applied, as log compaction would decide.
"""


# Records are structs that Python's collector never visits: they refer to nothing that refers back,
# and of hundreds of thousands of products it would look at each. They take a tenth of a frozen
# dataclass's time to make and 16 bytes less, and to forget one touches no neighbor in the
# collector's list. Tell them apart by `type(record) is`: `isinstance` takes longer to say no.

NO_ATTRIBUTES: Mapping[str, str] = {}  # of every product that has none: a dict takes 64 bytes


@final
class BaseRecord(msgspec.Struct, frozen=True, gc=False):
    """What a product is, apart from its offer and its images."""

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
    """An attribute's value as the images have it, and how likely that is right (0 to 1)."""

    value: str
    confidence: float


@final
class VectorsRecord(msgspec.Struct, frozen=True, gc=False, eq=False):
    """All images of a product as one model sees them; it replaces the former set.

    `guessed` are attributes by name; the product's own win over them.
    """

    product_id: str
    order: Order
    deleted: bool = False
    model: str = ""
    images: tuple[ImageVector, ...] = ()
    guessed: Mapping[str, Guess] = msgspec.field(default_factory=dict)


Record = BaseRecord | OfferRecord | VectorsRecord


class Outcome(StrEnum):
    """What became of a record."""

    APPLIED = "applied"
    STALE = "stale"  # strictly older than what is known
    FOREIGN_MODEL = "foreign_model"  # vectors of a model that this index does not hold
    INVALID = "invalid"  # wrong dimension, not finite or not of unit length


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of one record, and whether its product can be found now."""

    outcome: Outcome
    searchable: bool


@dataclass(frozen=True, slots=True)
class Filters:
    """Clauses that all must hold.

    Within category and brand any value may match; of tags and attributes every one must.
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
    """A unit vector of shape (dim,), float32, and what its answers must satisfy."""

    vector: FloatArray
    filters: Filters = field(default_factory=Filters)
    top_k: int = 20
    recall_target: float | None = None  # of the approximate strategies; None: the engine's own
    diversity: float = 0.0  # 0 to 1: how much hits that differ from each other count (MMR)
    collapse: bool = False  # near-duplicates are one hit


class Hit(msgspec.Struct, frozen=True, gc=False):
    """One product of an answer; `score` is the cosine of its best image.

    It shows the records as they were when the answer was made, without copying from them: one
    reference, for following several to a hundred products takes as long as a walk of a graph. A
    hundred of these are made in a third of the time of named tuples, and no collector visits them.
    """

    score: float
    state: "ProductState"
    place: int  # of the image
    variants: "tuple[Hit, ...]" = ()  # its near-duplicates, where they were collapsed

    @property
    def image_id(self) -> str:
        """Return the id of the image that scored best."""
        return self.state.images[self.place].image_id

    @property
    def base(self) -> BaseRecord:
        """Return what the product is."""
        assert self.state.base is not None  # noqa: S101 - it was searchable
        return self.state.base

    @property
    def offer(self) -> OfferRecord | None:
        """Return price and stock; None if no record of them has come."""
        return self.state.offer

    @property
    def guessed(self) -> Mapping[str, Guess]:
        """Return the attributes guessed from its images; its own are in `attributes`."""
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
        """Return the product's free attributes."""
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
    """How an answer was found: the strategy, the share of rows that matched, the work done."""

    strategy: Literal["exact", "graph", "ivfpq", "empty"]
    selectivity: float
    matches: int  # products that satisfy the filters
    visited: int  # candidates scored
    ef: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Hits, best first: exactly min(top_k, plan.matches) of them.

    Where near-duplicates were collapsed, `matches` counts products, and there are as many hits as
    groups of them; where diversity was asked for, the hits are in the order of MMR.
    """

    hits: tuple[Hit, ...]
    plan: Plan
