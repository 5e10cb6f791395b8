"""Why a product is, or is not, in an answer: what `explain` in a search request adds to it."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from visualsearch.contracts.limits import MAX_PARTS

MANY = Meta(max_length=MAX_PARTS)
"""The limit of lists and maps in results that have no smaller one of their own."""


class ClauseVerdict(Struct, kw_only=True):
    """A clause of the filters, what the product has there, and whether that will do."""

    field: str
    wanted: str
    has: str | None = None
    passed: bool


class PartScore(Struct, kw_only=True):
    """What a part of the query adds to a score: the contributions of all add up to it."""

    field: str
    weight: float
    similarity: float
    contribution: float


class HitExplanation(Struct, kw_only=True):
    """Why a hit is one, and its place among them."""

    rank: int
    filters: Annotated[list[ClauseVerdict], MANY] = []
    parts: Annotated[list[PartScore], MANY] = []


class Rival(Struct, kw_only=True):
    """A hit that stands before a product."""

    product_id: str
    title: str
    score: float


class ProductExplanation(Struct, kw_only=True):
    """Why a product is or is not among the hits; `text` says it in one sentence.

    `rank` is among all products that satisfy the filters, by score alone; null where it was not
    worked out. `pushed_out_by` is the last hit, or the one that it is a near-duplicate of.
    """

    product_id: str
    status: Literal["hit", "outranked", "collapsed", "passed_over", "filtered", "not_searchable"]
    text: str
    filters: Annotated[list[ClauseVerdict], MANY] = []
    parts: Annotated[list[PartScore], MANY] = []
    image_id: str | None = None
    score: float | None = None
    rank: int | None = None
    matches: int | None = None
    pushed_out_by: Rival | None = None
