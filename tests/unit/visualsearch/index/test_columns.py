"""Attribute columns: each clause, unknown values, and change."""

import numpy as np
import pytest

from visualsearch.index import masks
from visualsearch.index.columns import Columns
from visualsearch.index.terms import TermColumn
from visualsearch.types import BaseRecord, Filters, OfferRecord

ORDER = (1, 0, 0)
NOBODY = np.empty(0, dtype=np.int64)


@pytest.fixture
def columns() -> Columns:
    """Return three described products, and a fourth of which nothing is known."""
    columns = Columns()
    columns.put_base(
        0,
        BaseRecord(
            "a", ORDER, category="shoes", brand="acme", tags=("new",), attributes={"size": "m"}
        ),
    )
    columns.put_base(
        1,
        BaseRecord(
            "b",
            ORDER,
            category="bags",
            brand="acme",
            tags=("new", "sale"),
            attributes={"size": "m", "colour": "red"},
        ),
    )
    columns.put_base(2, BaseRecord("c", ORDER, category="chairs"))
    columns.put_offer(0, OfferRecord("a", ORDER, price=10.0, in_stock=True))
    columns.put_offer(1, OfferRecord("b", ORDER, price=20.0, in_stock=False))
    columns.put_offer(2, OfferRecord("c", ORDER, price=None, in_stock=None))
    columns.flush()
    return columns


@pytest.mark.parametrize(
    ("filters", "slots"),
    [
        (Filters(category=("shoes", "chairs")), [0, 2]),
        (Filters(category=("unheard of",)), []),
        (Filters(brand=("acme",)), [0, 1]),
        (Filters(tags=("new",)), [0, 1]),
        (Filters(tags=("new", "sale")), [1]),
        (Filters(tags=("new", "unheard of")), []),
        (Filters(attributes={"size": "m"}), [0, 1]),
        (Filters(attributes={"size": "m", "colour": "red"}), [1]),
        (Filters(attributes={"size": "red"}), []),
        (Filters(price_min=10.0), [0, 1]),
        (Filters(price_max=10.0), [0]),
        (Filters(price_min=10.01, price_max=20.0), [1]),
        (Filters(in_stock=True), [0]),
        (Filters(in_stock=False), [1]),
        (Filters(brand=("acme",), in_stock=True, price_max=50.0), [0]),
    ],
)
def test_each_clause_and_their_conjunction(
    columns: Columns, filters: Filters, slots: list[int]
) -> None:
    """Unknown price and stock satisfy no clause; any category, but every tag must fit."""
    mask = columns.matching(filters, NOBODY, 4)
    assert mask is not None
    assert np.flatnonzero(mask).tolist() == slots


def test_no_clause_is_not_a_mask(columns: Columns) -> None:
    """Without filters there is nothing to compute; `image_kind` concerns rows."""
    assert columns.matching(Filters(image_kind="catalog"), NOBODY, 4) is None


def test_excluded_slots_do_not_match(columns: Columns) -> None:
    """Exclusion alone is a clause."""
    mask = columns.matching(Filters(), np.array([1, 3]), 4)
    assert mask is not None
    assert np.flatnonzero(mask).tolist() == [0, 2]


def test_a_change_leaves_nothing_of_the_former_values(columns: Columns) -> None:
    """A product that has become another one matches nothing that it matched before."""
    columns.put_base(1, BaseRecord("b", ORDER, category="bags", tags=("sale",)))
    columns.put_base(1, BaseRecord("b", ORDER))
    columns.put_offer(1, OfferRecord("b", ORDER, deleted=True))
    columns.flush()
    for filters in (
        Filters(brand=("acme",)),
        Filters(tags=("new",)),
        Filters(attributes={"size": "m"}),
        Filters(price_min=0.0),
    ):
        mask = columns.matching(filters, NOBODY, 4)
        assert mask is not None
        assert np.flatnonzero(mask).tolist() == [0]


def test_terms_survive_packing() -> None:
    """Thousands of changes blank thousands of pairs; packing keeps the last terms of each slot."""
    rng = np.random.default_rng(0)
    column, truth = TermColumn(), dict[int, set[str]]()
    for _ in range(6000):
        new = {
            int(slot): {f"t{n}" for n in rng.integers(6, size=rng.integers(4))}
            for slot in rng.integers(40, size=rng.integers(1, 4))
        }
        truth |= new
        column.put(new)
    assert len(column._codes) < 6000
    for term in ("t0", "t5"):
        having = np.flatnonzero(column.matching([term], 40)).tolist()
        assert having == sorted(slot for slot, terms in truth.items() if term in terms)


@pytest.mark.parametrize("kept", [1, 64])
def test_masks_that_are_kept_follow_every_change(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand random changes and questions, beside a dictionary of sets."""
    monkeypatch.setattr(masks, "MOST", kept)
    rng = np.random.default_rng(3)
    column, truth = TermColumn(), dict[int, set[str]]()
    for _ in range(1_000):
        new = {
            int(slot): set(rng.choice(list("abcde"), size=int(rng.integers(4))))
            for slot in rng.integers(60, size=rng.integers(1, 4))
        }
        truth |= new
        column.put(new)
        terms = set(rng.choice(list("abcdef"), size=int(rng.integers(3))))
        slots = max(truth) + 1
        due = [terms <= truth.get(one, set()) for one in range(slots)]
        assert column.matching(terms, slots).tolist() == due
