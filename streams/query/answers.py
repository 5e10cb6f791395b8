"""What the library found → the result that goes out."""

from collections.abc import Sequence

from schemas.search import (
    GuessedAttribute,
    LookRegion,
    SearchHint,
    SearchHit,
    SearchPlan,
    SearchVariant,
)
from visualsearch.search.hints import Hint
from visualsearch.search.look.regions import Region
from visualsearch.types import Hit, Plan

_MADE = ("variants", "guessed", "explain")  # fields that are not the hit's as they stand
_HIT = [name for name in SearchHit.__struct_fields__ if name not in _MADE]
_VARIANT = SearchVariant.__struct_fields__


def search_hit(hit: Hit) -> SearchHit:
    """Return a hit as it is published."""
    variants = [
        SearchVariant(**{name: getattr(each, name) for name in _VARIANT}) for each in hit.variants
    ]
    guessed = {
        name: GuessedAttribute(guess.value, guess.confidence) for name, guess in hit.guessed.items()
    }
    fields = {name: getattr(hit, name) for name in _HIT}
    return SearchHit(**fields, variants=variants, guessed=guessed)


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
