"""What a worker tells of its index: everything, once, in pieces."""

import base64

import msgspec
import numpy as np

from streams.web.products import SLICE, ProductsQuery, product_lines
from tests.support.fakes import DIM, unit
from visualsearch.engine import Engine
from visualsearch.types import BaseRecord, ImageVector, OfferRecord, VectorsRecord


def engine(products: int) -> Engine:
    """Return an engine with so many products, each with one image."""
    made = Engine("fake", DIM)
    for number in range(products):
        name = f"p{number}"
        image = ImageVector("0", unit(name), url="http://h/0")
        made.apply([
            BaseRecord(name, (1, number, 0), title=name, tags=("x",), attributes={"c": "red"}),
            VectorsRecord(name, (1, number, 0), model="fake", images=(image,)),
        ])  # fmt: skip
    return made


def told(made: Engine, **query: str) -> list[dict[str, object]]:
    """Return the lines, decoded."""
    text = b"".join(product_lines(made, {0: 7}, ProductsQuery.parse(query.items())))
    return [msgspec.json.decode(line) for line in text.splitlines()]


def test_every_product_once_between_a_head_and_an_end() -> None:
    """More than a slice of them; the head has the log's positions, the end the count."""
    count = SLICE * 2 + 3
    head, *products, end = told(engine(count))
    assert head == {"index": {"model": "fake", "dim": DIM, "positions": {"0": 7}}}
    assert [p["product_id"] for p in products] == [f"p{n}" for n in range(count)]
    assert end == {"end": {"products": count}}


def test_a_product_is_told_whole_and_a_deleted_one_as_that() -> None:
    """Attributes, offer, images and the order of each kind."""
    made = engine(1)
    made.apply([
        OfferRecord("p0", (2, 0, 0), price=2.5),
        BaseRecord("gone", (3, 0, 3), deleted=True),
    ])  # fmt: skip
    _, live, gone, _ = told(made)
    assert live == {
        "product_id": "p0",
        "searchable": True,
        "base": {"deleted": False, "title": "p0", "description": None, "brand": None,
                 "category": None, "tags": ["x"], "attributes": {"c": "red"}, "url": None},
        "offer": {"deleted": False, "price": 2.5, "currency": None, "in_stock": None},
        "images": [{"image_id": "0", "kind": "catalog", "url": "http://h/0"}],
        "guessed": {},
        "orders": {"base": [1, 0, 0], "offer": [2, 0, 0], "vectors": [1, 0, 0]},
    }  # fmt: skip
    assert (gone["searchable"], gone["offer"], gone["images"]) == (False, None, [])
    assert gone["orders"] == {"base": [3, 0, 3], "offer": None, "vectors": None}


def test_vectors_one_product_and_a_limit_on_request() -> None:
    """Vectors are float16, little-endian; an unknown product is no product."""
    made = engine(3)
    _, product, _ = told(made, product_id="p1", vectors="1")
    vector = np.frombuffer(base64.b64decode(product["images"][0]["vector"]), "<f2")  # type: ignore[index,arg-type]
    assert np.allclose(vector, unit("p1"), atol=1e-3)
    assert [len(told(made, limit=str(n))) - 2 for n in (0, 2, 9)] == [0, 2, 3]
    assert len(told(made, product_id="nobody")) == 2


def test_the_engine_gives_products_in_slices_and_vectors_of_the_same_moment() -> None:
    """Past the last there is none."""
    made = engine(3)
    assert [state.product_id for state in made.list_products(1, 5)] == ["p1", "p2"]
    assert made.list_products(3, 5) == []
    state, rows = made.product_with_vectors("p2") or (None, None)
    assert state is not None
    assert rows is not None
    assert np.allclose(rows, [unit("p2")], atol=2e-5)  # as stored
    assert made.product_with_vectors("nobody") is None
