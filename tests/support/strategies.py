"""Shared hypothesis strategies: records, filters and queries over a small world of products.

Vectors are drawn by index from seeded clusters, for random uniform ones are unlike any
embedding and hypothesis cannot shrink a thousand floats.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from visualsearch.types import (
    BaseRecord,
    Filters,
    FloatArray,
    Guess,
    ImageVector,
    OfferRecord,
    Query,
    Record,
    VectorsRecord,
)

MODEL = "test-model"
DIM = 24
POOL = 160
CATEGORIES = ("shoes", "bags/clutches", "bags/totes")
FILTERED = (*CATEGORIES, "bags", "bag")  # a tree, a leaf of it, and what no product has
BRANDS = ("acme", "zenith")
TAGS = ("new", "sale", "organic")
PRICES = (0.0, 10.0, 19.99, 60.0)
SCORE_TOLERANCE = 3e-5  # rows are 16-bit integers and a scale; at 512 dimensions it is 1e-5


def clustered(count: int, dim: int, *, clusters: int, seed: int) -> FloatArray:
    """Return unit rows around a few centers, with some exact duplicates, shape (count, dim)."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, dim)) + 0.7  # a common direction, as embeddings have
    rows = centres[rng.integers(clusters, size=count)] + 0.6 * rng.normal(size=(count, dim))
    twins = rng.integers(count, size=max(1, count // 40))
    rows[rng.integers(count, size=len(twins))] = rows[twins]
    unit: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


@cache
def pool() -> FloatArray:
    """Return the vectors that records and queries are made of."""
    return clustered(POOL, DIM, clusters=6, seed=7)


product_ids = st.sampled_from([f"p{n:02d}" for n in range(14)])
orders = st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(0, 1))
guesses = st.dictionaries(
    st.sampled_from(["colour", "size", "category"]),
    st.builds(Guess, st.sampled_from(["red", "m", "shoes"]), st.sampled_from([0.5, 0.9])),
    max_size=2,
)
vector_numbers = st.integers(0, POOL - 1)
attributes = st.dictionaries(
    st.sampled_from(["colour", "size"]), st.sampled_from(["red", "blue", "m"]), max_size=2
)


@st.composite
def images(draw: st.DrawFn) -> tuple[ImageVector, ...]:
    """Draw up to three images; float16 as the log carries them, or float32."""
    numbers = draw(st.lists(vector_numbers, max_size=3))
    dtype = draw(st.sampled_from([np.float16, np.float32]))
    kinds = st.sampled_from(["catalog", "lifestyle"])
    return tuple(
        ImageVector(f"i{n}", pool()[number].astype(dtype), draw(kinds), f"http://x/{number}.jpg")
        for n, number in enumerate(numbers)
    )


@st.composite
def base_records(draw: st.DrawFn) -> BaseRecord:
    """Draw what a product is, or its delete marker."""
    product_id, order = draw(product_ids), draw(orders)
    if draw(st.integers(0, 4)) == 0:
        return BaseRecord(product_id, order, deleted=True)
    return BaseRecord(
        product_id,
        order,
        title=draw(st.sampled_from(["A", "B"])),
        brand=draw(st.none() | st.sampled_from(BRANDS)),
        category=draw(st.none() | st.sampled_from(CATEGORIES)),
        tags=tuple(draw(st.lists(st.sampled_from(TAGS), max_size=3))),
        attributes=draw(attributes),
    )


@st.composite
def offer_records(draw: st.DrawFn) -> OfferRecord:
    """Draw an offer, in part or wholly unknown, or its delete marker."""
    product_id, order = draw(product_ids), draw(orders)
    if draw(st.integers(0, 6)) == 0:
        return OfferRecord(product_id, order, deleted=True)
    price = draw(st.none() | st.sampled_from(PRICES))
    return OfferRecord(product_id, order, False, price, "EUR", draw(st.none() | st.booleans()))


@st.composite
def vectors_records(draw: st.DrawFn) -> VectorsRecord:
    """Draw a set of images, a delete marker, or one that an index must refuse."""
    product_id, order = draw(product_ids), draw(orders)
    fate = draw(st.integers(0, 11))
    if fate == 0:
        return VectorsRecord(product_id, order, deleted=True)
    if fate == 1:
        return VectorsRecord(product_id, order, model="another-model", images=draw(images()))
    if fate == 2:
        unusable = [np.zeros(DIM), np.full(DIM, np.nan), np.ones(DIM), pool()[0][:-1]]
        bad = ImageVector("bad", draw(st.sampled_from(unusable)))
        return VectorsRecord(product_id, order, model=MODEL, images=(*draw(images()), bad))
    return VectorsRecord(product_id, order, False, MODEL, draw(images()), draw(guesses))


def pictures(numbers: Sequence[int]) -> tuple[ImageVector, ...]:
    """Return catalog images of these vectors."""
    return tuple(ImageVector(f"i{n}", pool()[number]) for n, number in enumerate(numbers))


def catalogue(seed: int, products: Sequence[str]) -> list[Record]:
    """Return searchable products of one to three images."""
    rng = np.random.default_rng(seed)
    applied: list[Record] = []
    for product_id in products:
        numbers = rng.integers(POOL, size=rng.integers(1, 4)).tolist()
        category, price = str(rng.choice(CATEGORIES)), float(rng.choice(PRICES))
        applied += [
            BaseRecord(product_id, (0, 0, 0), category=category),
            OfferRecord(product_id, (0, 0, 0), price=price, in_stock=True),
            VectorsRecord(product_id, (0, 0, 0), model=MODEL, images=pictures(numbers)),
        ]
    return applied


def latest(product_id: str) -> st.SearchStrategy[Record]:
    """Draw a change that counts, for no order is later: images mostly, or it comes or goes."""
    order = (7, 0, 0)
    numbers = st.lists(vector_numbers, min_size=1, max_size=3)
    pictured = numbers.map(
        lambda some: VectorsRecord(product_id, order, model=MODEL, images=pictures(some))
    )
    others = st.sampled_from(
        [
            VectorsRecord(product_id, order, deleted=True),
            BaseRecord(product_id, order, deleted=True),
            BaseRecord(product_id, order, category=CATEGORIES[0]),
        ]
    )
    return st.one_of(pictured, pictured, others)


records: st.SearchStrategy[Record] = st.one_of(
    vectors_records(), base_records(), vectors_records(), offer_records()
)


def _rarely(default: object, given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw the default mostly: if every clause were given, nothing would ever match."""
    return st.integers(0, 3).flatmap(lambda n: given if n == 3 else st.just(default))


filters = st.builds(
    Filters,
    category=_rarely((), st.lists(st.sampled_from(FILTERED), max_size=2).map(tuple)),
    brand=_rarely((), st.lists(st.sampled_from(BRANDS), max_size=2).map(tuple)),
    tags=_rarely((), st.lists(st.sampled_from(TAGS), max_size=2).map(tuple)),
    price_min=_rarely(None, st.sampled_from(PRICES)),
    price_max=_rarely(None, st.sampled_from(PRICES)),
    in_stock=_rarely(None, st.booleans()),
    attributes=_rarely({}, attributes),
    exclude=_rarely(frozenset(), st.frozensets(product_ids, max_size=3)),
    image_kind=_rarely(None, st.sampled_from(["catalog", "lifestyle"])),
)


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Draw a query; half of them without filters, for these take another way."""
    vector = pool()[draw(vector_numbers)] + 0.2 * pool()[draw(vector_numbers)]
    chosen = draw(filters) if draw(st.booleans()) else Filters()
    return Query(vector / np.linalg.norm(vector), chosen, draw(st.integers(1, 12)))
