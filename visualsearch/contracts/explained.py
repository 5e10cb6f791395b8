"""Explanations in a search result: why a product is, or is not, a hit."""

from typing import Annotated

from msgspec import Meta, Struct

from visualsearch.contracts.limits import MAX_PARTS

MANY = Meta(max_length=MAX_PARTS)
"""Limit of lists and maps in results that have no smaller limit."""


class ClauseVerdict(Struct, kw_only=True):
    """One clause of the filters, and whether the product satisfies it."""

    field: str
    """Path of the clause in the request."""
    wanted: str
    """What the clause asks for."""
    has: str | None = None
    """The product's value for the clause; null if it has none."""
    passed: bool
    """Whether the product satisfies the clause."""


class PartScore(Struct, kw_only=True):
    """Contribution of one part of the query to a score, which is the sum over all parts."""

    field: str
    """Path of the part in the request."""
    weight: float
    """Weight of the part."""
    similarity: float
    """Cosine similarity of the part and the product's best image."""
    contribution: float
    """Contribution of the part to the score."""


class HitExplanation(Struct, kw_only=True):
    """Why a product is a hit, and its rank."""

    rank: int
    """Rank among the hits, from 1."""
    filters: Annotated[list[ClauseVerdict], MANY] = []
    """The clauses of the filters, all satisfied."""
    parts: Annotated[list[PartScore], MANY] = []
    """The parts of the query, and what each adds to the score."""


class HigherRankedHit(Struct, kw_only=True):
    """A hit that ranks higher than the explained product."""

    product_id: str
    """Id of the hit's product."""
    title: str
    """Title of the hit's product."""
    score: float
    """Score of the hit."""


class ProductExplanation(Struct, kw_only=True):
    """Why a product that the request named is, or is not, among the hits."""

    product_id: str
    """Id of the product."""
    status: str
    """One of `hit`, `outranked` (others score higher), `collapsed` (a near-duplicate of a hit),
    `passed_over` (diversity or an approximate search left it out), `filtered` and
    `not_searchable`. Later versions may add values."""
    text: str
    """The reason in one sentence."""
    filters: Annotated[list[ClauseVerdict], MANY] = []
    """The clauses of the filters, and whether the product satisfies each."""
    parts: Annotated[list[PartScore], MANY] = []
    """The parts of the query, and what each adds to the score."""
    image_id: str | None = None
    """Id of the product's best image for the query."""
    score: float | None = None
    """Score of the product by that image."""
    rank: int | None = None
    """Rank by score alone among all products that satisfy the filters; null if not computed."""
    matches: int | None = None
    """How many products satisfy the filters."""
    pushed_out_by: HigherRankedHit | None = None
    """The last hit, or the hit that the product is a near-duplicate of."""
