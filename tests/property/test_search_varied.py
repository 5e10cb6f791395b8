"""Collapsed and diverse answers: never short, all matching, each product once, as the twin says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.strategies import DIM, MODEL, catalogue, filters, pool, records, vector_numbers
from visualsearch.engine import Engine
from visualsearch.errors import QueryError
from visualsearch.index.exact import ExactIndex
from visualsearch.index.planner import Costs, Tuning
from visualsearch.index.state import satisfies
from visualsearch.search.duplicates import group_duplicates
from visualsearch.search.mmr import mmr
from visualsearch.types import Filters, Query, Record

diversities = st.sampled_from([0.0, 0.1, 0.5, 1.0])


def both(some: list[Record], *, graphs: bool = False) -> tuple[Engine, ExactIndex]:
    """Return the engine and its twin with the same records; with graphs, it walks them."""
    tuning = Tuning(exact_rows=0) if graphs else Tuning()
    costs = Costs(row=1e6) if graphs else Costs()  # a scan is never cheaper
    engine, twin = Engine(MODEL, DIM, tuning=tuning, costs=costs), ExactIndex(MODEL, DIM)
    assert engine.apply(some) == twin.apply(some)
    while graphs and engine.index_pending():
        pass
    return engine, twin


GRAPHS, GRAPHS_TWIN = both(catalogue(3, [f"p{n:02d}" for n in range(80)]), graphs=True)


@given(
    some=st.lists(records, max_size=60),
    number=vector_numbers,
    chosen=filters,
    top_k=st.integers(1, 16),
    diversity=diversities,
    collapse=st.booleans(),
)
def test_never_short_all_matching_each_once(
    some: list[Record], number: int, chosen: Filters, top_k: int, diversity: float, collapse: bool
) -> None:
    """As many hits as asked for, or as there are products (groups of them, when collapsed)."""
    engine, twin = both(some)
    answer = engine.search(
        Query(pool()[number], chosen, top_k, diversity=diversity, collapse=collapse)
    )
    matching = twin.search(Query(pool()[number], chosen, 1000)).hits
    there = (
        len(group_duplicates(matching, engine.hit_vectors(matching), 1000))
        if collapse
        else len(matching)
    )
    assert len(answer.hits) == min(top_k, there)
    assert answer.plan.matches == len(matching)
    shown = [hit.product_id for hit in answer.hits]
    variants = [other.product_id for hit in answer.hits for other in hit.variants]
    every = shown + variants
    assert len(every) == len(set(every))
    assert set(every) <= {hit.product_id for hit in matching}
    for product_id in every:
        state = engine.product(product_id)
        assert state is not None
        assert satisfies(state, chosen)
    if not collapse:
        assert variants == []
    if matching:
        assert shown[0] == matching[0].product_id  # the best one stays first
    if not diversity:
        scores = [hit.score for hit in answer.hits]
        assert scores == sorted(scores, reverse=True)
    if collapse and top_k >= there:  # everything that matches is shown, as a hit or as a variant
        assert set(every) == {hit.product_id for hit in matching}


@given(
    number=vector_numbers,
    chosen=filters,
    top_k=st.integers(1, 60),
    diversity=diversities,
    collapse=st.booleans(),
)
def test_the_same_where_graphs_are_walked(
    number: int, chosen: Filters, top_k: int, diversity: float, collapse: bool
) -> None:
    """Among eighty products: never short unless everything that matches is shown."""
    answer = GRAPHS.search(
        Query(pool()[number], chosen, top_k, diversity=diversity, collapse=collapse)
    )
    matching = {
        hit.product_id for hit in GRAPHS_TWIN.search(Query(pool()[number], chosen, 99)).hits
    }
    shown = [hit.product_id for hit in answer.hits]
    every = shown + [other.product_id for hit in answer.hits for other in hit.variants]
    assert len(every) == len(set(every))
    assert set(every) <= matching
    assert answer.plan.matches == len(matching)
    assert len(shown) == top_k or set(every) == matching


def test_graphs_are_walked_at_all() -> None:
    """Or the test above would say nothing new."""
    plans = {
        GRAPHS.search(Query(pool()[n], top_k=5, diversity=0.5)).plan.strategy for n in range(9)
    }
    assert plans == {"graph"}


@given(
    rows=st.lists(vector_numbers, min_size=1, max_size=30),
    number=vector_numbers,
    wanted=st.integers(1, 40),
    diversity=diversities,
)
def test_mmr_is_a_reordering(rows: list[int], number: int, wanted: int, diversity: float) -> None:
    """Each place once, the best first; without diversity the order stays."""
    vectors = pool()[rows]
    scores = vectors @ pool()[number]
    order = np.argsort(-scores, kind="stable")
    places = mmr(scores[order], vectors[order], wanted, diversity)
    assert len(places) == len(set(places)) == min(wanted, len(rows))
    assert places[0] == 0
    if diversity == 0.0:
        assert np.array_equal(scores[order][places], scores[order][: len(places)])


def test_mmr_prefers_what_is_new() -> None:
    """Of two groups of equals it takes turns as soon as diversity counts for something."""
    rng = np.random.default_rng(1)
    one, two = np.eye(DIM, dtype=np.float32)[:2]
    vectors = np.stack([one] * 5 + [two] * 5) + 0.01 * rng.normal(size=(10, DIM))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    scores = np.concatenate([np.linspace(0.9, 0.88, 5), np.linspace(0.8, 0.78, 5)])
    assert mmr(scores, vectors, 4, 0.0) == [0, 1, 2, 3]
    assert sorted(place // 5 for place in mmr(scores, vectors, 2, 0.6)) == [0, 1]
    assert mmr(scores[:0], vectors[:0], 3, 0.5) == []


@pytest.mark.parametrize("diversity", [-0.1, 1.1, float("nan")])
def test_a_bad_diversity_is_refused(diversity: float) -> None:
    """With its field."""
    with pytest.raises(QueryError) as caught:
        Engine(MODEL, DIM).search(Query(pool()[0], diversity=diversity))
    assert caught.value.field == "diversity"
