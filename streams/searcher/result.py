"""What the library found → the result that goes out."""

from collections.abc import Sequence

from visualsearch.contracts.search import (
    GuessedAttribute,
    LookRegion,
    SearchHint,
    SearchHit,
    SearchPlan,
    SearchVariant,
)
from visualsearch.search.hints import Hint
from visualsearch.search.look.regions import Region
from visualsearch.types import Hit, OfferRecord, Plan

MOST_VARIANTS = 1000  # of one hit: a placeholder image may stand for half a catalog
_NO_OFFER = OfferRecord("", (0, 0, 0))


def search_hit(hit: Hit) -> SearchHit:
    """Return a hit as it is published."""
    # From its records, field by field: a request has up to a thousand hits, and the steps between
    # are felt.
    base, offer = hit.base, hit.offer or _NO_OFFER
    return SearchHit(
        product_id=base.product_id,
        score=hit.score,
        image_id=hit.image_id,
        title=base.title,
        category=base.category,
        brand=base.brand,
        price=offer.price,
        currency=offer.currency,
        in_stock=offer.in_stock,
        url=base.url,
        attributes=base.attributes,
        variants=[_variant(each) for each in hit.variants[:MOST_VARIANTS]],
        guessed={
            name: GuessedAttribute(guess.value, guess.confidence)
            for name, guess in hit.guessed.items()
        },
    )


def _variant(hit: Hit) -> SearchVariant:
    base, offer = hit.base, hit.offer or _NO_OFFER
    return SearchVariant(
        product_id=base.product_id,
        score=hit.score,
        image_id=hit.image_id,
        title=base.title,
        price=offer.price,
        currency=offer.currency,
        in_stock=offer.in_stock,
        url=base.url,
        attributes=base.attributes,
    )


def search_plan(plan: Plan) -> SearchPlan:
    """Return a plan as it is published."""
    return SearchPlan(
        strategy=plan.strategy,
        selectivity=plan.selectivity,
        matches=plan.matches,
        visited=plan.visited,
        ef=plan.ef,
    )


def search_hint(hint: Hint) -> SearchHint:
    """Return a hint as it is published: its field as the request has it."""
    return SearchHint(field=f"filters.{hint.field}", value=hint.value, close=list(hint.close))


def look_region(region: Region, hits: Sequence[Hit], plan: Plan) -> LookRegion:
    """Return a region and what was found for it."""
    return LookRegion(
        box=[round(edge, 4) for edge in region.box],
        category=region.category,
        score=round(region.score, 4),
        hits=[search_hit(hit) for hit in hits],
        plan=search_plan(plan),
    )
