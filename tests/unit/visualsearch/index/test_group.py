"""From rows to products: selection, ranks, ties."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visualsearch.search.group import best, near_best

row_scores = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from([0.1, 0.2, 0.2 + 1e-12, 0.9])), max_size=120
)


@given(rows=row_scores, wanted=st.integers(1, 15))
def test_the_best_and_those_that_tie_with_the_last_are_kept(
    rows: list[tuple[int, float]], wanted: int
) -> None:
    """Whatever differs by more than nothing is no tie."""
    slots = np.array([slot for slot, _ in rows], dtype=np.int64)
    scores = np.array([score for _, score in rows], dtype=np.float64)
    kept = near_best(slots, scores, wanted).tolist()
    top = {slot: max(score for s, score in rows if s == slot) for slot, _ in rows}
    ranked = sorted(top.values(), reverse=True)
    if len(ranked) < wanted:
        assert kept == sorted(top)
    else:
        last = ranked[wanted - 1]
        assert kept == sorted(slot for slot, score in top.items() if score >= last)


def test_more_rows_of_one_product_than_are_looked_at_first() -> None:
    """A product with hundreds of good images must not crowd the others out."""
    slots = np.array([0] * 500 + [1, 2, 3])
    scores = np.concatenate([np.full(500, 0.9), [0.3, 0.2, 0.1]])
    assert near_best(slots, scores, 3).tolist() == [0, 1, 2]


def test_ties_are_broken_by_product_id() -> None:
    """The same request has the same answer, whatever the order of insertion."""
    scores = np.array([0.5, 0.5, 0.5, 0.6])
    names = ["c", "a", "b", "d"]
    places = best(np.arange(4), scores, names, 3)
    assert [names[place] for place in places] == ["d", "a", "b"]


def test_the_slots_of_a_selection_name_their_products() -> None:
    """Places are of the arrays that were given, which need not hold every slot."""
    slots, scores = np.array([9, 4, 7]), np.array([0.1, 0.3, 0.3])
    names = {9: "a", 4: "z", 7: "b"}
    assert best(slots, scores, names, 2).tolist() == [2, 1]
    assert best(slots, scores, names, 9).tolist() == [2, 1, 0]
