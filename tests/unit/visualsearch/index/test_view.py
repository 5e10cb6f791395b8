"""What a view works out of its filter, once, and what the next view takes over."""

import numpy as np
import pytest

from tests.support.index_machine import drain
from tests.support.snapshots import DIM, LISTED, MODEL, pictured
from tests.support.strategies import clustered
from visualsearch.engine import Engine
from visualsearch.index import view
from visualsearch.index.arrays import BoolArray
from visualsearch.index.find import Finder, Found
from visualsearch.index.resting import Resting
from visualsearch.index.view import View
from visualsearch.types import Filters, ImageVector, OfferRecord, Query, VectorsRecord

COUNT = 900
V = clustered(COUNT, DIM, clusters=30, seed=9)
CHEAP = Filters(price_max=1.0)


@pytest.fixture
def engine() -> Engine:
    """Return an engine whose products are on lists and cost 2."""
    engine = Engine(MODEL, DIM, layout=LISTED)
    engine.apply(pictured(V))
    engine.apply([OfferRecord(f"p{n}", (1, n, 0), price=2.0) for n in range(COUNT)])
    drain(engine)
    return engine


def cheapen(engine: Engine, chosen: BoolArray) -> None:
    """Let these products cost 1."""
    engine.apply([OfferRecord(f"p{n}", (2, int(n), 0), price=1.0) for n in np.flatnonzero(chosen)])


@pytest.mark.parametrize("counted", [32, 100_000])
def test_only_lists_that_hold_nothing_that_matches_count_none(
    engine: Engine, counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether all is counted or a part: an empty list is left out, another one never is."""
    monkeypatch.setattr(view, "COUNTED", counted)
    list_of = engine._index.list_of
    few = np.isin(list_of[:COUNT], np.unique(list_of[:COUNT])[:4])
    for chosen, exact in ((few, True), (few | (np.arange(COUNT) % 5 == 0), counted > COUNT)):
        cheapen(engine, chosen)
        shown = engine._view(CHEAP)
        true = np.bincount(list_of[np.flatnonzero(shown.mask)], minlength=len(shown.list_sizes))
        sizes = shown.on_lists().sizes
        assert (sizes[true > 0] > 0).all()
        assert np.array_equal(sizes, true) == exact


def test_what_changes_no_row_of_a_filter_costs_it_nothing(engine: Engine) -> None:
    """The next view knows what the former one worked out, and is one of its own moment."""
    cheapen(engine, np.arange(COUNT) % 5 == 0)
    query = Query(V[0], CHEAP, top_k=3)
    engine.search(query)
    former = engine._view(CHEAP)
    lists = former.on_lists()
    engine.apply([OfferRecord("p1", (3, 0, 0), price=9.0)])
    later = engine._view(CHEAP)
    assert later is not former
    assert later.version > former.version
    assert later.on_lists() is lists
    assert later.choices == former.choices != {}


def test_what_changes_a_row_of_a_filter_is_worked_out_again(engine: Engine) -> None:
    """A product that now matches is on the lists that are looked at."""
    cheapen(engine, np.arange(COUNT) % 5 == 0)
    former = engine._view(CHEAP).on_lists()
    cheapen(engine, np.arange(COUNT) == 1)
    later = engine._view(CHEAP).on_lists()
    assert later.sizes.sum() == former.sizes.sum() + 1
    assert np.count_nonzero(np.unpackbits(later.bits)) == 181


@pytest.mark.parametrize("rests", [True, False])
def test_a_vector_stays_where_it_was_under_a_search(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, *, rests: bool
) -> None:
    """Its product has other images by now, and newcomers want the place: they get another."""
    real, calls = Finder.find, []
    moved = V[:1] + np.float32(0.1) * V[500]
    moved /= np.linalg.norm(moved)
    if not rests:  # what it is there for
        monkeypatch.setattr(Resting, "add", lambda _, how, numbers, __: how(numbers))

    def find(self: Finder, view: View, *args: object) -> Found:
        if not calls:
            engine.apply(pictured(moved, time=2))
            engine.apply(pictured(-V[500:501], first=COUNT))
        calls.append(view)
        return real(self, view, *args)

    monkeypatch.setattr(Finder, "find", find)
    [hit] = engine.search(Query(V[0], top_k=1, recall_target=1.0)).hits
    assert (hit.product_id == "p0") == rests


def test_products_of_one_picture_are_told_by_their_rows(engine: Engine) -> None:
    """Not if one has another image by now, or other rows than when the search began."""
    shown, rows = engine._index.whole(), np.array([7, 3, 11])
    slots = shown.only_pictures(rows)
    assert slots is not None
    assert [engine._products.names[slot] for slot in slots.tolist()] == ["p7", "p3", "p11"]
    engine.apply(pictured(-V[3:4], first=3, time=2))
    assert shown.only_pictures(rows) is None, "the row that is shown is no longer its product's"
    assert shown.only_pictures(rows[[0, 2]]) is not None
    both = tuple(ImageVector(str(n), V[20 + n]) for n in range(2))
    engine.apply([VectorsRecord("p7", (3, 0, 0), model=MODEL, images=both)])
    now = engine._index.whole()
    pair = np.array(engine._index.rows_of(7))
    assert len(pair) == 2
    assert now.only_pictures(pair[:1]) is None
    assert now.only_pictures(pair[1:]) is None
