"""Products of a snapshot: read when they are asked for, never believed over a newer record."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import strategies as world
from tests.support.index_machine import tiny_engine
from visualsearch.index.columns import Columns
from visualsearch.index.products import Products
from visualsearch.index.state import ImageRef, ProductState
from visualsearch.snapshot.manifest import PRODUCTS
from visualsearch.snapshot.products import BATCH, ArrowShelf, concat_batches, record_batch, schema
from visualsearch.types import BaseRecord, Filters, OfferRecord, Outcome, Record

IMAGES = (ImageRef("i", "catalog", None),)


class Shelf:
    """Products in memory that remembers what was read."""

    def __init__(self, count: int) -> None:
        self.asked: list[int] = []
        self._states = [
            ProductState(
                f"p{n}", BaseRecord(f"p{n}", (n, 0, 0), title="old"), None, (n, 0, 0), IMAGES
            )
            for n in range(count)
        ]

    def names(self) -> list[str]:
        """Return their ids."""
        return [state.product_id for state in self._states]

    def columns(self) -> Columns:
        """Return nothing to filter on."""
        return Columns()

    def read(self, slots: Sequence[int]) -> list[ProductState]:
        """Return some of them."""
        self.asked += slots
        return [self._states[slot] for slot in slots]


def products_of(shelf: Shelf) -> Products:
    """Return products that are all on the shelf."""
    products = Products()
    products.adopt(shelf)
    return products


def test_a_product_is_read_once_and_only_when_asked_for() -> None:
    """A million of them cost nothing until then."""
    shelf = Shelf(5)
    products = products_of(shelf)
    assert (len(products), products.slot("p3"), shelf.asked) == (5, 3, [])
    for _ in range(2):
        assert products.state(3).orders["base"] == (3, 0, 0)
        assert products.state(3).searchable
        (hit,) = products.hits([3], [0], [0.5])
        assert (hit.title, hit.image_id) == ("old", "i")
    assert shelf.asked == [3]


def test_a_stale_record_is_stale_to_what_was_never_read() -> None:
    """The order comes from the shelf."""
    products = products_of(Shelf(3))
    state = products.state(2)
    assert products.judge(BaseRecord("p2", (1, 0, 0)), state) is Outcome.STALE
    assert products.judge(BaseRecord("p2", (2, 0, 0)), state) is Outcome.APPLIED
    assert products.judge(OfferRecord("p2", (0, 0, 0)), state) is Outcome.APPLIED


def test_what_was_read_ahead_does_not_undo_a_newer_record() -> None:
    """A search reads without the lock; the record came before it had the lock again."""
    products = products_of(Shelf(3))
    ahead = products.ahead([1, 2])
    newer = BaseRecord("p1", (9, 0, 0), title="new")
    assert products.judge(newer, products.state(1)) is Outcome.APPLIED
    products.put(newer, 1, products.state(1))
    products.keep(ahead)
    assert products.state(1).base == newer
    assert products.state(1).images == IMAGES, "the other kinds are those of the shelf"
    assert products.ahead([0, 1, 2]).keys() == {0}


def test_a_copy_of_all_keeps_nothing() -> None:
    """The next snapshot reads what nobody asked for, and leaves it on the shelf."""
    shelf = Shelf(4)
    products = products_of(shelf)
    products.put(BaseRecord("new", (1, 0, 0)), *products.open("new"))
    products.state(2)
    states = products.states(range(5))
    assert [state is None for state in states] == [True, True, False, True, False]
    whole = products.read(range(5), states)
    assert [state.product_id for state in whole] == ["p0", "p1", "p2", "p3", "new"]
    assert products.ahead(range(5)).keys() == {0, 1, 3}


@given(
    records=st.lists(st.one_of(world.base_records(), world.offer_records()), max_size=60),
    filters=st.lists(world.filters, min_size=1, max_size=6),
    more=st.lists(st.one_of(world.base_records(), world.offer_records()), max_size=20),
)
@settings(max_examples=80)
def test_columns_out_of_a_file_filter_like_those_of_the_records(
    records: list[Record], filters: list[Filters], more: list[Record]
) -> None:
    """Before and after further records, which change cells of the restored columns."""
    engine = tiny_engine("exact")
    engine.apply(records)
    products, states = engine._products, engine.list_products(0, 1_000)
    with TemporaryDirectory() as folder:
        products_file(Path(folder) / PRODUCTS, states)
        shelf = ArrowShelf(Path(folder) / PRODUCTS)
    again = Products()
    again.adopt(shelf)
    assert again.read(range(len(states)), again.states(range(len(states)))) == states
    assert shelf.searchable().tolist() == [state.searchable for state in states]
    for step in ([], more):
        for record in step:
            for each in (products, again):
                put(each, record)
        bases = [products.state(slot).base for slot in range(len(products))]
        alive = np.array([base is not None and not base.deleted for base in bases], dtype=np.bool_)
        for each in filters:
            one, other = products.matching(each), again.matching(each)
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                assert np.array_equal(one & alive, other & alive)


def put(products: Products, record: Record) -> None:
    """Keep a record, unless it is stale."""
    slot = products.slot(record.product_id)
    was = None if slot is None else products.state(slot)
    if type(record) is OfferRecord:
        products.put_offer(record)
    elif products.judge(record, was) is Outcome.APPLIED:
        if slot is None or was is None:
            slot, was = products.open(record.product_id)
        products.put(record, slot, was)
    products.flush(1)


def products_file(path: Path, states: Sequence[ProductState]) -> None:
    """Write products as a snapshot does."""
    import pyarrow as pa

    with path.open("wb") as sink, pa.ipc.new_file(sink, schema()) as file:
        for start in range(0, len(states), BATCH):
            parts = [record_batch(states[at : at + 7]) for at in range(start, len(states), 7)]
            file.write_batch(concat_batches(parts))
