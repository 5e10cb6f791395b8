"""The engine's promises about records: order, what makes a product searchable, filters, hits."""

import numpy as np
import pytest

from tests.support.strategies import SCORE_TOLERANCE, clustered
from visualsearch.engine import Engine
from visualsearch.errors import QueryError
from visualsearch.index.exact import ExactIndex
from visualsearch.types import (
    BaseRecord,
    Filters,
    ImageVector,
    OfferRecord,
    Outcome,
    Query,
    Record,
    VectorsRecord,
)

DIM = 16
V = clustered(12, DIM, clusters=12, seed=4)
Index = Engine | ExactIndex


def base(name: str, time: int = 1, **fields: object) -> BaseRecord:
    """Return a base record of a time."""
    return BaseRecord(name, (time, 0, 0), **fields)


def offer(name: str, time: int = 1, **fields: object) -> OfferRecord:
    """Return an offer of a time."""
    return OfferRecord(name, (time, 0, 0), **fields)


def vectors(name: str, *numbers: int, time: int = 1, model: str = "m") -> VectorsRecord:
    """Return a set of images whose ids are the numbers of their vectors."""
    images = tuple(ImageVector(str(n), V[n], url=f"http://x/{n}") for n in numbers)
    return VectorsRecord(name, (time, 0, 0), model=model, images=images)


def found(index: Index, number: int = 0, top_k: int = 10, **filters: object) -> list[str]:
    """Return the products of a search with one of the vectors."""
    answer = index.search(Query(V[number], Filters(**filters), top_k))
    assert len(answer.hits) == min(top_k, answer.plan.matches)
    return [hit.product_id for hit in answer.hits]


@pytest.fixture(params=[Engine, ExactIndex])
def index(request: pytest.FixtureRequest) -> Index:
    """Return the engine and, for the same promises, its twin."""
    index: Index = request.param("m", DIM)
    return index


def test_searchable_needs_base_and_vectors_in_any_order(index: Index) -> None:
    """Whichever lane is first, the product appears with the second."""
    assert [a.searchable for a in index.apply([base("a"), vectors("a", 0)])] == [False, True]
    assert [a.searchable for a in index.apply([vectors("b", 1), base("b")])] == [False, True]
    assert not index.apply([offer("c", price=1.0)])[0].searchable
    assert found(index) == ["a", "b"] or found(index) == ["b", "a"]


def test_a_product_without_pictures_waits_for_its_first(index: Index) -> None:
    """An empty set of images is a state like any other, also for a product never seen."""
    applied = index.apply([vectors("a"), base("a")])
    assert [(a.outcome, a.searchable) for a in applied] == [(Outcome.APPLIED, False)] * 2
    assert index.vectors_of("a") == []
    assert index.apply([vectors("a", 0, time=2)])[0].searchable
    assert found(index) == ["a"]


def test_delete_hides_at_once_and_a_late_update_stays_hidden(index: Index) -> None:
    """The marker keeps its order; only something newer brings the product back."""
    index.apply([base("a", 1), vectors("a", 0)])
    index.apply([base("a", 5, deleted=True)])
    assert found(index) == []
    late = index.apply([base("a", 4, title="late")])[0]
    assert (late.outcome, late.searchable) == (Outcome.STALE, False)
    assert index.apply([base("a", 6, title="new")])[0].searchable
    assert found(index) == ["a"]


def test_an_equal_order_is_applied_as_compaction_would(index: Index) -> None:
    """Only a strictly older record is dropped, and each kind has its own order."""
    index.apply([base("a", 3, title="one"), vectors("a", 0)])
    outcomes = [a.outcome for a in index.apply([base("a", 3, title="two"), base("a", 2)])]
    assert outcomes == [Outcome.APPLIED, Outcome.STALE]
    state = index.product("a")
    assert state is not None
    assert state.base is not None
    assert state.base.title == "two"
    assert state.orders == {"base": (3, 0, 0), "offer": None, "vectors": (1, 0, 0)}


def test_new_pictures_replace_all_former_ones(index: Index) -> None:
    """The old image finds nothing any more, the new one does; the score is the cosine."""
    index.apply([base("a"), vectors("a", 0, 1), base("b"), vectors("b", 5)])
    index.apply([vectors("a", 2, time=2)])
    hits = index.search(Query(V[2], top_k=1)).hits
    assert (hits[0].product_id, hits[0].image_id) == ("a", "2")
    assert hits[0].score == pytest.approx(1.0, abs=SCORE_TOLERANCE)
    [old] = [hit for hit in index.search(Query(V[0])).hits if hit.product_id == "a"]
    assert old.score == pytest.approx(float(V[0] @ V[2]), abs=SCORE_TOLERANCE)
    assert [name for name, _ in index.vectors_of("a")] == ["2"]
    assert not index.apply([vectors("a", time=3)])[0].searchable
    assert index.vectors_of("a") == []


@pytest.mark.parametrize(
    ("record", "outcome"),
    [
        (vectors("a", 3, time=9, model="other"), Outcome.FOREIGN_MODEL),
        (VectorsRecord("a", (9, 0, 0), False, "m", (ImageVector("x", np.zeros(DIM)),)), "invalid"),
        (VectorsRecord("a", (9, 0, 0), False, "m", (ImageVector("x", V[0][:3]),)), "invalid"),
    ],
)
def test_unusable_vectors_leave_the_former_ones(index: Index, record: Record, outcome: str) -> None:
    """They do not count for the order either."""
    index.apply([base("a"), vectors("a", 0)])
    applied = index.apply([record, vectors("a", 1, time=2)])
    assert [a.outcome for a in applied] == [outcome, Outcome.APPLIED]
    assert [name for name, _ in index.vectors_of("a")] == ["1"]


def test_an_offer_changes_filters_and_hits_at_once(index: Index) -> None:
    """A price change is one cell; the vectors are not touched."""
    index.apply([base("a"), vectors("a", 0), offer("a", 1, price=10.0, in_stock=True)])
    assert found(index, price_max=9.0) == []
    index.apply([offer("a", 2, price=8.5, currency="EUR", in_stock=False)])
    assert found(index, price_max=9.0, in_stock=False) == ["a"]
    [hit] = index.search(Query(V[0])).hits
    assert (hit.price, hit.currency, hit.in_stock) == (8.5, "EUR", False)
    index.apply([offer("a", 3, deleted=True)])
    assert found(index, price_max=9.0) == []
    assert found(index) == ["a"]


def test_an_offer_of_an_unknown_product_disturbs_no_filter(index: Index) -> None:
    """Offers may come first, of any number of products; the search is about the others."""
    index.apply([offer(f"early {n}", price=1.0, in_stock=True) for n in range(100)])
    assert found(index, in_stock=True) == []
    index.apply([base("a"), vectors("a", 0), offer("a", price=1.0, in_stock=True)])
    index.apply([offer(f"later {n}", price=1.0, in_stock=True) for n in range(200)])
    assert found(index, in_stock=True) == ["a"]


def test_several_pictures_are_one_product(index: Index) -> None:
    """Grouping comes before top_k, the best image is named, `image_kind` narrows to its rows."""
    picture, scene = ImageVector("p", V[0]), ImageVector("s", V[1], kind="lifestyle")
    index.apply([base("a"), VectorsRecord("a", (1, 0, 0), False, "m", (picture, scene))])
    index.apply([base("b"), vectors("b", 2)])
    assert found(index, 0, top_k=2) == ["a", "b"]
    [hit] = index.search(Query(V[0], Filters(image_kind="lifestyle"))).hits
    assert (hit.product_id, hit.image_id) == ("a", "s")
    assert hit.score == pytest.approx(float(V[0] @ V[1]), abs=SCORE_TOLERANCE)


def test_equal_scores_are_ordered_by_product_id(index: Index) -> None:
    """Ten products with one image: always the same three."""
    for name in "jihgfedcba":
        index.apply([vectors(name, 0), base(name)])
    assert found(index, top_k=3) == ["a", "b", "c"]


def test_excluded_and_unknown_products(index: Index) -> None:
    """Excluding an unknown product is no error; an unknown product has no vectors and no state."""
    index.apply([base("a"), vectors("a", 0), base("b"), vectors("b", 1)])
    assert found(index, exclude=frozenset({"a", "nobody"})) == ["b"]
    assert index.vectors_of("nobody") == []
    assert index.product("nobody") is None


def test_an_empty_index_answers(index: Index) -> None:
    """No product, no hit, no error."""
    answer = index.search(Query(V[0]))
    assert (answer.hits, answer.plan.strategy, answer.plan.matches) == ((), "empty", 0)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (Query(V[0][:5]), "vector"),
        (Query(V[0] * np.float32("nan")), "vector"),
        (Query(V[0] * 0), "vector"),
        (Query(V[0], top_k=0), "top_k"),
        (Query(V[0], recall_target=0.0), "recall_target"),
        (Query(V[0], recall_target=1.01), "recall_target"),
        (Query(V[0], recall_target=float("nan")), "recall_target"),
    ],
)
def test_a_bad_query_is_refused(query: Query, field: str) -> None:
    """With a code and the field, never with an empty answer."""
    with pytest.raises(QueryError) as caught:
        Engine("m", DIM).search(query)
    assert caught.value.field == field
