"""Fusion of the answers to several views of one query: each product keeps its best score."""

from collections.abc import Sequence
from dataclasses import replace

from visualsearch.types import Answer, Hit


def fuse_answers(answers: Sequence[Answer], top_k: int) -> Answer:
    """Return the `top_k` best products of all answers; ties are broken by product id.

    Answers of `top_k` hits are enough: a product missing from the answer in which it scores best
    has `top_k` better ones there. All answers must have the same filters.
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
