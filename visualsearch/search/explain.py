"""Explanation of a product's result: a verdict per filter clause, a score per query part."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from visualsearch.index.state import ProductState, attributes, satisfies
from visualsearch.search.compose import ComposedQuery
from visualsearch.types import Filters, FloatArray


@dataclass(frozen=True, slots=True)
class ClauseResult:
    """One clause of the filters, the product's value, and whether it satisfies the clause."""

    field: str
    wanted: str
    has: str | None
    passed: bool


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one query part adds to a score: weight x similarity / length of the weighted sum."""

    field: str
    weight: float
    similarity: float  # cosine of the part and the image
    contribution: float


@dataclass(frozen=True, slots=True)
class ExplainedScore:
    """A product's best image for a query: the contributions add up to the score."""

    image_id: str
    score: float
    parts: tuple[Contribution, ...]


def evaluate_clauses(state: ProductState, filters: Filters) -> list[ClauseResult]:
    """Return a verdict for each clause of the filters, for a searchable product.

    Each clause is evaluated alone, by the function that evaluates all filters (`satisfies`).
    """
    found = [
        ClauseResult(field, wanted, has, satisfies(state, alone))
        for field, wanted, has, alone in _single_clauses(state, filters)
    ]
    if filters.image_kind is not None:
        kinds = sorted({image.kind for image in state.images})
        passed = filters.image_kind in kinds
        found.append(ClauseResult("image_kind", filters.image_kind, ", ".join(kinds), passed))
    return found


def explain_score(
    views: Sequence[ComposedQuery], state: ProductState, vectors: FloatArray, filters: Filters
) -> ExplainedScore | None:
    """Return the score by the best image and the best view of the query.

    `vectors` are the product's images, of shape (images, dim). None if no image is of the
    kind asked for.
    """
    rows = [
        place for place, image in enumerate(state.images)
        if filters.image_kind in (None, image.kind)
    ]  # fmt: skip
    if not rows:
        return None
    _, view, place = max(
        (float(vectors[row] @ view.vector), -number, -row)
        for row in rows for number, view in enumerate(views)
    )  # fmt: skip
    query, row = views[-view], vectors[-place]
    return ExplainedScore(
        state.images[-place].image_id, float(row @ query.vector), _parts(query, row)
    )


def _parts(query: ComposedQuery, row: FloatArray) -> tuple[Contribution, ...]:
    total = np.sum([part.weight * part.vector.astype(np.float64) for part in query.parts], axis=0)
    length = float(np.linalg.norm(total))
    found = []
    for part in query.parts:
        similarity = float(part.vector @ row)
        added = part.weight * similarity / length
        found.append(Contribution(part.field, part.weight, similarity, added))
    return tuple(found)


def _single_clauses(
    state: ProductState, filters: Filters
) -> Iterator[tuple[str, str, str | None, Filters]]:
    """Yield for each clause: its field, wanted value, the product's value, filters of it alone."""
    base, offer = state.base, state.offer
    if base is None:
        return
    for name in ("category", "brand"):
        if wanted := getattr(filters, name):
            alone = Filters(**{name: wanted})
            yield f"filters.{name}", " or ".join(wanted), getattr(base, name), alone
    for tag in filters.tags:
        yield "filters.tags", tag, ", ".join(base.tags) or None, Filters(tags=(tag,))
    known = attributes(base, state.guesses)
    for name, value in filters.attributes.items():
        alone = Filters(attributes={name: value})
        yield f"filters.attributes.{name}", value, known.get(name), alone
    price = None if offer is None or offer.price is None else f"{offer.price:g}"
    if filters.price_min is not None:
        alone = Filters(price_min=filters.price_min)
        yield "filters.price_min", f"at least {filters.price_min:g}", price, alone
    if filters.price_max is not None:
        alone = Filters(price_max=filters.price_max)
        yield "filters.price_max", f"at most {filters.price_max:g}", price, alone
    if filters.in_stock is not None:
        stock = None if offer is None or offer.in_stock is None else str(offer.in_stock).lower()
        alone = Filters(in_stock=filters.in_stock)
        yield "filters.in_stock", str(filters.in_stock).lower(), stock, alone
    if state.product_id in filters.exclude:
        alone = Filters(exclude=frozenset({state.product_id}))
        yield "filters.exclude", f"not {state.product_id}", state.product_id, alone


def why_not(state: ProductState | None) -> str | None:
    """Return why a product is not searchable, None if it is.

    One of unknown, deleted, no_base and no_vectors. Vectors of another model are not stored: a
    product with only such vectors has no_vectors.
    """
    if state is None:
        return "unknown"
    if state.searchable:
        return None
    if state.base is None:
        return "no_base"
    return "deleted" if state.base.deleted else "no_vectors"
