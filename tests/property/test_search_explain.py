"""What `explain` says of any product agrees with what the search itself did."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import strategies as world
from tests.support.index_machine import tiny_engine
from visualsearch.errors import QueryError
from visualsearch.index.state import satisfies
from visualsearch.search.compose import QueryPart, compose_query, compose_vector
from visualsearch.search.explain import evaluate_clauses, explain_score
from visualsearch.types import Query, Record


@given(st.lists(world.records, max_size=40), world.queries())
@settings(max_examples=150)
def test_verdicts_by_clause_are_those_of_the_filters(batch: list[Record], query: Query) -> None:
    """A product fails a clause if, and only if, the search leaves it out."""
    engine = tiny_engine("exact")
    engine.apply(batch)
    every = engine.search(Query(query.vector, query.filters, 1000, 1.0))
    found = {hit.product_id: hit for hit in every.hits}
    view = compose_query([QueryPart(query.vector)], dim=world.DIM)
    for product_id in {record.product_id for record in batch}:
        both = engine.product_with_vectors(product_id)
        if both is None or not both[0].searchable:
            assert product_id not in found
            continue
        state, vectors = both
        verdicts = evaluate_clauses(state, query.filters)
        assert all(one.passed for one in verdicts) == (product_id in found)
        about = [one for one in verdicts if one.field != "image_kind"]
        assert all(one.passed for one in about) == satisfies(state, query.filters)
        mine = explain_score([view], state, vectors, query.filters)
        if product_id in found:
            assert mine is not None
            assert mine.score == pytest.approx(found[product_id].score, abs=world.SCORE_TOLERANCE)


weights = st.none() | st.floats(-3, 3)


parts = st.tuples(world.vector_numbers, weights)


@given(st.lists(parts, min_size=1, max_size=4), st.lists(parts, max_size=3), world.vector_numbers)
def test_contributions_add_up_to_the_score(images: Any, texts: Any, seen: int) -> None:
    """For any weights, negative and absent ones too."""
    pool = world.pool()
    given_images = [QueryPart(pool[n], w, f"images[{i}]") for i, (n, w) in enumerate(images)]
    given_texts = [QueryPart(pool[n], w, f"texts[{i}]") for i, (n, w) in enumerate(texts)]
    try:
        view = compose_query(given_images, given_texts, dim=world.DIM)
    except QueryError:
        return
    assert np.array_equal(view.vector, compose_vector(given_images, given_texts, dim=world.DIM))
    assert [part.field for part in view.parts] == [p.field for p in given_images + given_texts]
    engine = tiny_engine("exact")
    engine.apply(world.catalogue(seen, ["p"]))
    both = engine.product_with_vectors("p")
    assert both is not None
    found = explain_score([view], *both, Query(view.vector).filters)
    if found is None:
        return
    length = np.linalg.norm(sum(p.weight * p.vector.astype(np.float64) for p in view.parts))
    if length > 0.05:  # of almost nothing rounding is a part
        total = sum(part.contribution for part in found.parts)
        assert total == pytest.approx(found.score, abs=1e-3)
