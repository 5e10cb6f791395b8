"""Builds the search result from the answers of the index."""

from collections.abc import Sequence

from streams.searcher.search import Found
from visualsearch.contracts.search import (
    GuessedAttribute,
    LookRegion,
    SearchFault,
    SearchHint,
    SearchHit,
    SearchPlan,
    SearchResult,
    SearchVariant,
)
from visualsearch.search.hints import Hint
from visualsearch.search.look.regions import Region, boost_shared_products, merge_regions
from visualsearch.types import Hit, OfferRecord, Plan

MOST_VARIANTS = 1000  # of one hit: a placeholder image may stand for half a catalog
_NO_OFFER = OfferRecord("", (0, 0, 0))


def to_result(found: Found) -> SearchResult:
    """Return the result of a request that could be answered."""
    request = found.parsed.request
    result = SearchResult(
        request_id=request.request_id,
        status="ok",
        index=found.index,
        hints=[_search_hint(hint) for hint in found.hints],
    )
    if request.mode == "look":
        _add_regions(result, found)
        return result
    (answer,) = found.answers
    result.hits = [_search_hit(hit) for hit in answer.hits]
    result.plan = _search_plan(answer.plan)
    result.served_by = found.served_by
    return result


def failure(request_id: str, fault: SearchFault) -> SearchResult:
    """Return the result of a request that failed."""
    return SearchResult(request_id=request_id, status="error", error=fault)


def _add_regions(result: SearchResult, found: Found) -> None:
    """Add the regions of a photo, each with its hits, and the best hits of all of them."""
    lists = boost_shared_products([answer.hits for answer in found.answers])
    result.hits = [_search_hit(hit) for hit in merge_regions(lists, found.parsed.request.top_k)]
    result.regions = [
        _look_region(query.region, hits, answer.plan)
        for query, hits, answer in zip(found.queries, lists, found.answers, strict=True)
        if query.region is not None
    ]


def _search_hit(hit: Hit) -> SearchHit:
    # Built from the records field by field: with a thousand hits, intermediate objects are slow.
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


def _search_plan(plan: Plan) -> SearchPlan:
    return SearchPlan(
        strategy=plan.strategy,
        selectivity=plan.selectivity,
        matches=plan.matches,
        visited=plan.visited,
        ef=plan.ef,
    )


def _search_hint(hint: Hint) -> SearchHint:
    """Return a hint as it is published: its field as the request has it."""
    return SearchHint(field=f"filters.{hint.field}", value=hint.value, close=list(hint.close))


def _look_region(region: Region, hits: Sequence[Hit], plan: Plan) -> LookRegion:
    """Return a region with its hits and plan."""
    return LookRegion(
        box=[round(edge, 4) for edge in region.box],
        category=region.category,
        score=round(region.score, 4),
        hits=[_search_hit(hit) for hit in hits],
        plan=_search_plan(plan),
    )
