"""From rows to products: selection with a margin, exact ranks, ties."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visualsearch.search.group import MARGIN, Candidate, best, exact_scores, near_best

row_scores = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from([0.1, 0.2, 0.2 + MARGIN / 2, 0.9])), max_size=120
)


@given(rows=row_scores, wanted=st.integers(1, 15))
def test_every_product_that_may_be_wanted_is_kept(
    rows: list[tuple[int, float]], wanted: int
) -> None:
    """All those within the margin of the last wanted one, and only those."""
    slots = np.array([slot for slot, _ in rows], dtype=np.int64)
    scores = np.array([score for _, score in rows], dtype=np.float32)
    kept = near_best(slots, scores, wanted).tolist()
    top = {slot: max(score for s, score in rows if s == slot) for slot, _ in rows}
    ranked = sorted(top.values(), reverse=True)
    if len(ranked) < wanted:
        assert kept == sorted(top)
    else:
        last = np.float32(ranked[wanted - 1]) - np.float32(MARGIN)
        assert kept == sorted(slot for slot, score in top.items() if np.float32(score) >= last)


def test_more_rows_of_one_product_than_are_looked_at_first() -> None:
    """A product with hundreds of good pictures must not crowd the others out."""
    slots = np.array([0] * 500 + [1, 2, 3])
    scores = np.concatenate([np.full(500, 0.9), [0.3, 0.2, 0.1]]).astype(np.float32)
    assert near_best(slots, scores, 3).tolist() == [0, 1, 2]


def test_equal_pictures_score_equally_wherever_they_are() -> None:
    """The same vector at any place of any block has the very same score."""
    rng = np.random.default_rng(0)
    one, query = rng.normal(size=(2, 513)).astype(np.float32)
    block = rng.normal(size=(37, 513)).astype(np.float32)
    block[[0, 3, 17, 36]] = one
    scores = exact_scores(block, query)
    assert (
        len({scores[0], scores[3], scores[17], scores[36], exact_scores(one[None], query)[0]}) == 1
    )


def test_ties_are_broken_by_product_id() -> None:
    """The same request has the same answer, whatever the order of insertion."""
    candidates = [Candidate(slot, slot, 0.5) for slot in range(3)] + [Candidate(3, 3, 0.6)]
    names = ["c", "a", "b", "d"]
    assert [names[c.slot] for c in best(candidates, names, 3)] == ["d", "a", "b"]
