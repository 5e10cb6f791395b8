"""The views that searches have in common, and what ends them."""

from collections.abc import Sequence

import pytest

from tests.support.index_machine import drain
from tests.support.index_tiny import MACHINE
from tests.support.strategies import clustered
from visualsearch.engine import Engine
from visualsearch.index.view import SHARED, View
from visualsearch.types import (
    BaseRecord,
    Filters,
    ImageVector,
    OfferRecord,
    Query,
    Record,
    VectorsRecord,
)

DIM = 16
V = clustered(40, DIM, clusters=4, seed=8)
CHEAP = Filters(
    category=("shoes",), price_max=20.0, attributes={"fit": "slim", "neck": "round"},
    exclude=frozenset({"p1", "p2"}), image_kind="catalog",
)  # fmt: skip
FOUND = {f"p{n}" for n in range(40) if n % 2 == 0} - {"p2"}


def product(n: int, time: int = 1, *, deleted: bool = False) -> list[Record]:
    """Return all records of a product; even ones are shoes."""
    at = (time, 0, 0)
    base = BaseRecord(
        f"p{n}", at, category="bags" if n % 2 else "shoes", deleted=deleted,
        attributes={"fit": "slim", "neck": "round"},
    )  # fmt: skip
    images = (ImageVector("i", V[n]),)
    return [
        base,
        OfferRecord(f"p{n}", at, price=10.0),
        VectorsRecord(f"p{n}", at, model="m", images=images),
    ]


@pytest.fixture
def engine() -> Engine:
    """Return a settled engine of forty products."""
    engine = Engine("m", DIM, layout=MACHINE)
    for n in range(len(V)):
        engine.apply(product(n))
    drain(engine)
    return engine


def found(engine: Engine, filters: Filters) -> set[str]:
    """Return all products that a search finds."""
    return {hit.product_id for hit in engine.search(Query(V[0], filters, top_k=len(V))).hits}


def view_of(engine: Engine, filters: Filters = CHEAP) -> View:
    """Return the view of a search."""
    return engine._view(filters)


def test_searches_with_the_same_filters_share_a_view(engine: Engine) -> None:
    """Given in another order they are the same; other ones are not."""
    assert found(engine, CHEAP) == FOUND
    view = view_of(engine)
    again = Filters(
        category=("shoes",), price_max=20.0, attributes={"neck": "round", "fit": "slim"},
        exclude=frozenset({"p2", "p1"}), image_kind="catalog",
    )  # fmt: skip
    assert view_of(engine, again) is view
    assert view_of(engine, Filters()) is not view
    assert view_of(engine, Filters()) is engine._index.whole()
    assert found(engine, Filters(price_max=20.0)) == {f"p{n}" for n in range(40)}


@pytest.mark.parametrize(
    ("records", "then"),
    [
        ([OfferRecord("p4", (2, 0, 0), price=30.0)], FOUND - {"p4"}),
        ([BaseRecord("p4", (2, 0, 0), category="bags")], FOUND - {"p4"}),
        ([BaseRecord("p4", (2, 0, 0), deleted=True)], FOUND - {"p4"}),
        ([VectorsRecord("p4", (2, 0, 0), model="m", images=(ImageVector("i", V[5], "lifestyle"),))],
         FOUND - {"p4"}),
        ([VectorsRecord("p4", (2, 0, 0), model="m", images=(ImageVector("i", V[5]),))], FOUND),
    ],
)  # fmt: skip
def test_whatever_is_applied_ends_it(
    engine: Engine, records: Sequence[Record], then: set[str]
) -> None:
    """The very next search sees a price, a category, a delete, another image."""
    assert found(engine, CHEAP) == FOUND
    before = view_of(engine)
    engine.apply(records)
    assert view_of(engine) is not before
    assert found(engine, CHEAP) == then


def test_a_price_does_not_end_the_view_of_all(engine: Engine) -> None:
    """It has nothing to do with it, and making one costs a copy of all rows' marks."""
    whole = engine._index.whole()
    engine.apply([OfferRecord("p4", (2, 0, 0), price=30.0)])
    assert engine._index.whole() is whole


def test_a_graph_that_is_swapped_ends_it(engine: Engine) -> None:
    """A view that lived on would hold graphs that have gone."""
    for n in range(20):
        images = (ImageVector("i", V[n + 20]),)
        engine.apply([VectorsRecord(f"p{n}", (2, 0, 0), model="m", images=images)])
    view, whole = view_of(engine), engine._index.whole()
    drain(engine)
    assert view_of(engine) is not view
    assert engine._index.whole() is not whole


def test_few_are_kept(engine: Engine) -> None:
    """Those that were asked for last."""
    first = view_of(engine, Filters(price_max=1.0))
    for n in range(SHARED - 1):
        view_of(engine, Filters(price_max=2.0 + n))
    assert view_of(engine, Filters(price_max=1.0)) is first
    for n in range(SHARED):
        view_of(engine, Filters(price_max=2.5 + n))
    assert view_of(engine, Filters(price_max=1.0)) is not first
    assert len(engine._index._shared) == SHARED
