"""A writer, three searchers and the background graph writer at once; every answer is checked."""

import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from tests.strategies import clustered
from visualsearch.engine import Engine, Hooks, Layout
from visualsearch.index.planner import Costs, Tuning
from visualsearch.types import (
    Answer,
    BaseRecord,
    Filters,
    FloatArray,
    ImageVector,
    OfferRecord,
    Query,
    VectorsRecord,
)

SECONDS = 3.0
DIM = 32
STILL, MOVING = 150, 40
VECTORS = clustered(512, DIM, clusters=8, seed=3)


def image_number(product: int, version: int, image: int) -> int:
    """Return which vector a product's picture has in a version; the first one stays for ever."""
    version = version if image else 0
    return (product * 31 + version * 7 + image * 101) % len(VECTORS)


class Shop:
    """A catalogue whose every change has a number, noted before it begins and once it is done."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.begun = [0] * MOVING
        self.done = [0] * MOVING

    def open(self) -> None:
        """Apply the products that never change: category still, in stock."""
        for n in range(STILL):
            picture = ImageVector("only", VECTORS[n])
            self.engine.apply(
                [
                    BaseRecord(f"s{n}", (1, 0, 0), category="still"),
                    OfferRecord(f"s{n}", (1, 0, 0), price=5.0, in_stock=True),
                    VectorsRecord(f"s{n}", (1, 0, 0), model="m", images=(picture,)),
                ]
            )

    def change(self, product: int, rng: np.random.Generator) -> None:
        """Delete the product, or give it three new pictures and another price."""
        self.begun[product] += 1
        version, name = self.begun[product], f"m{product}"
        order = (version, 0, 0)
        if rng.random() < 0.3:
            self.engine.apply(
                [VectorsRecord(name, order, deleted=True), BaseRecord(name, order, deleted=True)]
            )
        else:
            pictures = tuple(
                ImageVector(f"{version}/{i}", VECTORS[image_number(product, version, i)])
                for i in range(3)
            )
            self.engine.apply(
                [
                    VectorsRecord(name, order, model="m", images=pictures),
                    OfferRecord(name, order, price=float(rng.integers(20)), in_stock=True),
                    BaseRecord(name, order, category="moving"),
                ]
            )
        self.done[product] = version


def check(shop: Shop, query: Query, before: list[int], answer: Answer) -> None:
    """Assert that each hit was true at some moment of the search, and that none is missing."""
    after = list(shop.begun)
    filters = query.filters
    assert len(answer.hits) == min(query.top_k, answer.plan.matches)
    if filters.category == ("still",):
        assert answer.plan.matches == STILL
    for hit in answer.hits:
        assert filters.price_max is None or hit.price is not None
        assert filters.price_max is None or hit.price <= filters.price_max
        assert not filters.category or hit.category in filters.category
        product = int(hit.product_id[1:])
        if hit.product_id.startswith("s"):
            assert hit.score == pytest.approx(float(query.vector @ VECTORS[product]), abs=1e-5)
            continue
        version = int(hit.image_id.split("/")[0])
        # An older version was replaced or deleted before the search began: it must be gone.
        assert before[product] <= version <= after[product]
        own: FloatArray = VECTORS[[image_number(product, version, i) for i in range(3)]]
        assert hit.score == pytest.approx(float((own @ query.vector).max()), abs=1e-5)


def all_queries(rng: np.random.Generator) -> Iterator[Query]:
    """Yield queries of every kind without end."""
    kinds = (Filters(), Filters(category=("still",)), Filters(price_max=9.0), Filters())
    while True:
        for filters in kinds:
            top_k = int(rng.choice([1, 10, 60]))
            yield Query(VECTORS[rng.integers(len(VECTORS))], filters, top_k)


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Let threads take turns a hundred times as often as usual."""
    former = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(former)


def run_together(
    jobs: list[Callable[[threading.Event], None]], seconds: float, failures: list[BaseException]
) -> None:
    """Run the jobs in threads until the time is over or one fails; collect their failures."""
    stop = threading.Event()

    def guarded(job: Callable[[threading.Event], None]) -> None:
        try:
            job(stop)
        except BaseException as error:
            failures.append(error)
            stop.set()

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    stop.wait(seconds)
    stop.set()
    for thread in threads:
        thread.join()


@pytest.mark.usefixtures("quick_switches")
def test_every_answer_under_concurrent_change_is_true_of_some_moment() -> None:
    """No dead product, no half set of pictures, right scores and counts, graphs included."""
    failures: list[BaseException] = []
    engine = Engine(
        "m",
        DIM,
        tuning=Tuning(graph_threshold=0, ef_min=32),
        costs=Costs(row_cached=1e6, row=1e6, segment=0.0, candidate=1e-6),
        layout=Layout(chunk_rows=64, segment_rows=200),
        hooks=Hooks(on_error=failures.append),
    )
    shop = Shop(engine)
    shop.open()
    engine.start()
    strategies: list[str] = []

    def write(stop: threading.Event) -> None:
        rng = np.random.default_rng(1)
        while not stop.wait(0.0005):
            shop.change(int(rng.integers(MOVING)), rng)

    def read(stop: threading.Event, seed: int) -> None:
        queries = all_queries(np.random.default_rng(seed))
        while not stop.is_set():
            query, before = next(queries), list(shop.done)
            answer = engine.search(query)
            check(shop, query, before, answer)
            strategies.append(answer.plan.strategy)

    run_together([write, *(partial(read, seed=n) for n in (2, 3, 4))], SECONDS, failures)
    engine.close()
    if failures:
        raise failures[0]
    assert strategies.count("graph") > 50
    assert sum(shop.done) > 50
    assert engine.stats().segments > 1
