"""Several searches for one thing → one answer: each product by the best of its scores."""

from collections.abc import Sequence
from dataclasses import replace

from visualsearch.types import Answer, Hit


def fuse_answers(answers: Sequence[Answer], top_k: int) -> Answer:
    """Return the `top_k` products of all, equal scores by product id.

    Nothing is lost by fusing lists of `top_k`: a product that is not on the list on which it
    scores best has `top_k` others before it. All answers must have the same filters.
    """
    best: dict[str, Hit] = {}
    for answer in answers:
        for hit in answer.hits:
            known = best.get(hit.product_id)
            if known is None or hit.score > known.score:
                best[hit.product_id] = hit
    hits = sorted(best.values(), key=lambda hit: (-hit.score, hit.product_id))[:top_k]
    plans = [answer.plan for answer in answers]
    plan = replace(
        plans[0],
        matches=max(plan.matches for plan in plans),  # the index may have changed in between
        visited=sum(plan.visited for plan in plans),
    )
    return Answer(tuple(hits), plan)
