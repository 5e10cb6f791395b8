"""Explanations of hits, and of the products that a request's `explain` names."""

from collections.abc import Sequence
from dataclasses import dataclass

from streams.searcher.vectors import IndexQuery
from visualsearch.contracts.explained import (
    ClauseVerdict,
    HigherRankedHit,
    HitExplanation,
    PartScore,
    ProductExplanation,
)
from visualsearch.contracts.search import SearchHit, SearchRequest
from visualsearch.engine import Engine
from visualsearch.search.explain import (
    ClauseResult,
    ExplainedScore,
    evaluate_clauses,
    explain_score,
    why_not,
)
from visualsearch.search.fuse import fuse_answers
from visualsearch.types import Answer, Hit, Query

RANKED = 10_000  # ranks beyond it are not computed
_NOT_SEARCHABLE = {
    "unknown": "nothing is known of it",
    "deleted": "it is deleted",
    "no_base": "no base record of it has arrived",
    "no_vectors": "no image of it is indexed",
}


@dataclass(frozen=True, slots=True)
class Answered:
    """A query of a request and the answer to it."""

    request: SearchRequest
    query: IndexQuery
    answer: Answer


def explain_hits(engine: Engine, answered: Answered, hits: Sequence[SearchHit]) -> None:
    """Add an explanation to each hit."""
    for rank, hit in enumerate(hits, 1):
        verdicts, found = _evaluate(engine, answered, hit.product_id)
        hit.explain = HitExplanation(rank=rank, filters=_verdicts(verdicts), parts=_parts(found))


def explain_products(engine: Engine, answered: Answered) -> list[ProductExplanation]:
    """Return why each of the products that the request names is or is not among the hits."""
    wanted = answered.request.explain
    return (
        [_explain_product(engine, answered, name) for name in wanted]
        if isinstance(wanted, list)
        else []
    )


def _explain_product(engine: Engine, answered: Answered, product_id: str) -> ProductExplanation:
    state = engine.product(product_id)
    if (why := why_not(state)) is not None:
        text = f"a search cannot find it: {_NOT_SEARCHABLE[why]}; visualsearch explain says more"
        return ProductExplanation(product_id=product_id, status="not_searchable", text=text)
    verdicts, found = _evaluate(engine, answered, product_id)
    product = ProductExplanation(
        product_id=product_id,
        status="filtered",
        text="",
        filters=_verdicts(verdicts),
        parts=_parts(found),
        image_id=None if found is None else found.image_id,
        score=None if found is None else found.score,
        matches=answered.answer.plan.matches,
    )
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if failed or found is None:
        product.text = "the filters leave it out: " + "; ".join(
            _clause_text(verdict) for verdict in failed
        )
        return product
    _fill_position(engine, answered, product)
    return product


def _fill_position(engine: Engine, answered: Answered, product: ProductExplanation) -> None:
    """Fill in the rank and status of a product that satisfies the filters."""
    hits = answered.answer.hits
    place = next((n for n, hit in enumerate(hits, 1) if hit.product_id == product.product_id), None)
    product.rank = _rank(engine, answered, product.product_id)
    if place is not None:
        product.status, product.text = "hit", f"it is hit {place} of {len(hits)}"
        return
    of = f"of {product.matches:,} products that satisfy the filters"
    for hit in hits:
        # A collapsed answer lists the near-duplicates of each hit.
        if any(each.product_id == product.product_id for each in hit.variants):
            product.status, product.pushed_out_by = "collapsed", _higher_ranked(hit)
            product.text = f"it is a near-duplicate of {hit.product_id}, which stands for it"
            return
    if hits:
        product.pushed_out_by = _higher_ranked(hits[-1])
    if product.rank is not None and product.rank <= answered.request.top_k:
        product.status = "passed_over"
        product.text = (
            f"by score alone it is number {product.rank} {of}, but {_passed_over_reason(answered)}"
        )
        return
    product.status = "outranked"
    where = f"number {product.rank:,}" if product.rank else f"below the first {RANKED:,}"
    last = f"; the last of {len(hits)} hits scores {hits[-1].score:.3f}" if hits else ""
    product.text = f"it is {where} {of}: it scores {product.score:.3f}{last}"


def _passed_over_reason(answered: Answered) -> str:
    if answered.request.diversity:
        return "diversity put others before it"
    if answered.request.collapse_duplicates:
        return "near-duplicates were collapsed"
    return (
        f"the search was approximate ({answered.answer.plan.strategy}) and missed it; "
        "a higher recall_target looks further"
    )


def _rank(engine: Engine, answered: Answered, product_id: str) -> int | None:
    """Return the rank by exact scores among all products that satisfy the filters."""
    for count in (answered.request.top_k * 10, RANKED):
        answers = [
            engine.search(Query(view.vector, answered.query.filters, min(count, RANKED), 1.0))
            for view in answered.query.views
        ]
        hits = fuse_answers(answers, RANKED).hits
        for rank, hit in enumerate(hits, 1):
            if hit.product_id == product_id:
                return rank
    return None


def _evaluate(
    engine: Engine, answered: Answered, product_id: str
) -> tuple[list[ClauseResult], ExplainedScore | None]:
    both = engine.product_with_vectors(product_id)
    if both is None or not both[0].searchable:  # gone since it was found
        return [], None
    state, vectors = both
    query = answered.query
    return evaluate_clauses(state, query.filters), explain_score(
        query.views, state, vectors, query.filters
    )


def _clause_text(clause: ClauseResult) -> str:
    has = "nothing" if clause.has is None else clause.has
    return f"{clause.field} wants {clause.wanted}, and it has {has}"


def _verdicts(found: Sequence[ClauseResult]) -> list[ClauseVerdict]:
    return [
        ClauseVerdict(field=one.field, wanted=one.wanted, has=one.has, passed=one.passed)
        for one in found
    ]


def _parts(found: ExplainedScore | None) -> list[PartScore]:
    return [] if found is None else [
        PartScore(
            field=one.field, weight=one.weight, similarity=one.similarity,
            contribution=one.contribution,
        )
        for one in found.parts
    ]  # fmt: skip


def _higher_ranked(hit: Hit) -> HigherRankedHit:
    return HigherRankedHit(product_id=hit.product_id, title=hit.title, score=hit.score)
