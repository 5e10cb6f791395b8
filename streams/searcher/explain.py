"""`explain` in a request: why each hit is one, why the products that it names are or are not."""

from collections.abc import Sequence
from dataclasses import dataclass

from visualsearch.contracts.explained import (
    ClauseVerdict,
    HitExplanation,
    PartScore,
    ProductExplanation,
    Rival,
)
from visualsearch.contracts.search import SearchHit, SearchRequest
from visualsearch.engine import Engine
from visualsearch.search.compose import Composed
from visualsearch.search.explain import Clause, Scored, clauses, scored, why_not
from visualsearch.search.fuse import fused
from visualsearch.types import Answer, Filters, Hit, Query

RANKED = 10_000  # products among which a rank is worked out
_NOT_SEARCHABLE = {
    "unknown": "nothing is known of it",
    "deleted": "it is deleted",
    "no_base": "what it is has not arrived",
    "no_vectors": "no picture of it is indexed",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A search that was answered: its views of the query, its filters, and the answer."""

    request: SearchRequest
    views: Sequence[Composed]
    filters: Filters
    answer: Answer


def explain_hits(engine: Engine, asked: Asked, hits: Sequence[SearchHit]) -> None:
    """Add to each hit why it is one."""
    for rank, hit in enumerate(hits, 1):
        verdicts, found = _judged(engine, asked, hit.product_id)
        hit.explain = HitExplanation(rank=rank, filters=_verdicts(verdicts), parts=_parts(found))


def explain_products(engine: Engine, asked: Asked) -> list[ProductExplanation]:
    """Return why each of the products that the request names is or is not among the hits."""
    named = asked.request.explain
    return [_explained(engine, asked, name) for name in named] if isinstance(named, list) else []


def _explained(engine: Engine, asked: Asked, product_id: str) -> ProductExplanation:
    state = engine.product(product_id)
    if (why := why_not(state)) is not None:
        text = f"a search cannot find it: {_NOT_SEARCHABLE[why]}; visualsearch explain says more"
        return ProductExplanation(product_id=product_id, status="not_searchable", text=text)
    verdicts, found = _judged(engine, asked, product_id)
    told = ProductExplanation(
        product_id=product_id,
        status="filtered",
        text="",
        filters=_verdicts(verdicts),
        parts=_parts(found),
        image_id=None if found is None else found.image_id,
        score=None if found is None else found.score,
        matches=asked.answer.plan.matches,
    )
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if failed or found is None:
        told.text = "the filters leave it out: " + "; ".join(_why(verdict) for verdict in failed)
        return told
    _place(engine, asked, told)
    return told


def _place(engine: Engine, asked: Asked, told: ProductExplanation) -> None:
    """Say where a product that satisfies the filters stands, and before whom."""
    hits = asked.answer.hits
    place = next((n for n, hit in enumerate(hits, 1) if hit.product_id == told.product_id), None)
    told.rank = _rank(engine, asked, told.product_id)
    if place is not None:
        told.status, told.text = "hit", f"it is hit {place} of {len(hits)}"
        return
    of = f"of {told.matches:,} products that satisfy the filters"
    for hit in hits:
        # Answers without near-duplicates say whom each hit stands for.
        if any(each.product_id == told.product_id for each in hit.variants):
            told.status, told.pushed_out_by = "collapsed", _rival(hit)
            told.text = f"it is a near-duplicate of {hit.product_id}, which stands for it"
            return
    if hits:
        told.pushed_out_by = _rival(hits[-1])
    if told.rank is not None and told.rank <= asked.request.top_k:
        told.status = "passed_over"
        told.text = f"by score alone it is number {told.rank} {of}, but {_passed_over(asked)}"
        return
    told.status = "outranked"
    where = f"number {told.rank:,}" if told.rank else f"below the first {RANKED:,}"
    last = f"; the last of {len(hits)} hits scores {hits[-1].score:.3f}" if hits else ""
    told.text = f"it is {where} {of}: it scores {told.score:.3f}{last}"


def _passed_over(asked: Asked) -> str:
    if asked.request.diversity:
        return "diversity put others before it"
    if asked.request.collapse_duplicates:
        return "near-duplicates were collapsed"
    return (
        f"the search was approximate ({asked.answer.plan.strategy}) and missed it; "
        "a higher recall_target looks further"
    )


def _rank(engine: Engine, asked: Asked, product_id: str) -> int | None:
    """Return the place among all that satisfy the filters, by exact scores."""
    for count in (asked.request.top_k * 10, RANKED):
        answers = [
            engine.search(Query(view.vector, asked.filters, min(count, RANKED), 1.0))
            for view in asked.views
        ]
        hits = fused(answers, RANKED).hits
        for rank, hit in enumerate(hits, 1):
            if hit.product_id == product_id:
                return rank
    return None


def _judged(engine: Engine, asked: Asked, product_id: str) -> tuple[list[Clause], Scored | None]:
    both = engine.pictured(product_id)
    if both is None or not both[0].searchable:  # gone since it was found
        return [], None
    state, vectors = both
    return clauses(state, asked.filters), scored(asked.views, state, vectors, asked.filters)


def _why(clause: Clause) -> str:
    has = "nothing" if clause.has is None else clause.has
    return f"{clause.field} wants {clause.wanted}, and it has {has}"


def _verdicts(found: Sequence[Clause]) -> list[ClauseVerdict]:
    return [
        ClauseVerdict(field=one.field, wanted=one.wanted, has=one.has, passed=one.passed)
        for one in found
    ]


def _parts(found: Scored | None) -> list[PartScore]:
    return [] if found is None else [
        PartScore(
            field=one.field, weight=one.weight, similarity=one.similarity,
            contribution=one.contribution,
        )
        for one in found.parts
    ]  # fmt: skip


def _rival(hit: Hit) -> Rival:
    return Rival(product_id=hit.product_id, title=hit.title, score=hit.score)
