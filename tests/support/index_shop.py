"""A shop whose products change while it is searched: every answer is checked as it comes.

Some products never change, so that what an answer misses is known; the others change all the
time, by numbered versions, so that an answer that is true of no moment of its search is found out.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tests.support.index_storage import check_storage
from tests.support.strategies import SCORE_TOLERANCE, clustered
from visualsearch.engine import Engine
from visualsearch.types import (
    Answer,
    BaseRecord,
    Filters,
    FloatArray,
    ImageVector,
    OfferRecord,
    Query,
    Record,
    VectorsRecord,
)

STILL, MOVING = ("still",), ("moving",)
FEW_STILL = 7  # of them are cheap
PICTURES = 3  # of each moving product; the first one stays forever


@dataclass(slots=True)
class Tally:
    """What happened, and how many of the known true hits were found, by strategy."""

    answers: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    wanted: Counter[str] = field(default_factory=Counter)

    def recall(self, strategy: str) -> float:
        """Return the share of the true hits that answers by this strategy had; all of none is 1."""
        wanted = self.wanted[strategy]
        return self.found[strategy] / wanted if wanted else 1.0


class Shop:
    """`still` products of one image, and `moving` ones, whose changes are numbered.

    A number is noted in `begun` before the change, and in `done` once it is made.
    """

    def __init__(self, engine: Engine, *, still: int, moving: int, seed: int = 3) -> None:
        self.engine = engine
        self.vectors = clustered(2 * still + 12 * moving, engine.dim, clusters=8, seed=seed)
        self.still = still
        self.begun = [0] * moving
        self.done = [0] * moving
        self.tally = Tally()
        self.stored = 0  # rows that were asked for so far, at least

    def open(self) -> None:
        """Apply the products that never change, a few cheap ones, and the first of the others."""
        records: list[Record] = []
        for n in range(self.still):
            price = 5.0 if n < FEW_STILL else 50.0
            records += [
                BaseRecord(f"s{n}", (1, 0, 0), category=STILL[0]),
                OfferRecord(f"s{n}", (1, 0, 0), price=price, in_stock=True),
                self._pictured(f"s{n}", 1, {"only": self.vectors[n]}),
            ]
        for product in range(len(self.begun)):
            self.begun[product] = 1
            records += self._version(product, price=1.0)
            self.done[product] = 1
        self.engine.apply(records)
        self.stored = self.still + PICTURES * len(self.begun)

    def _pictured(self, name: str, version: int, vectors: dict[str, FloatArray]) -> VectorsRecord:
        images = tuple(ImageVector(image_id, vector) for image_id, vector in vectors.items())
        return VectorsRecord(name, (version, 0, 0), model="m", images=images)

    def _version(self, product: int, price: float) -> list[Record]:
        """Return what makes the product searchable in its newest version."""
        version, name = self.begun[product], f"m{product}"
        order = (version, 0, 0)
        own = {f"{version}/{i}": self.picture(product, version, i) for i in range(PICTURES)}
        return [
            self._pictured(name, version, own),
            OfferRecord(name, order, price=price, in_stock=True),
            BaseRecord(name, order, category=MOVING[0]),
        ]

    def picture(self, product: int, version: int, image: int) -> FloatArray:
        """Return an image's vector; the first one is the same in every version."""
        number = product * 31 + (version * 7 + image * 101 if image else 0)
        return self.vectors[number % len(self.vectors)]

    def change(self, product: int, rng: np.random.Generator) -> None:
        """Delete the product, hide it, or give it three images and another price.

        Its new images must be found by the very next search.
        """
        self.begun[product] += 1
        version, name = self.begun[product], f"m{product}"
        order, fate = (version, 0, 0), rng.random()
        if fate < 0.15:
            gone = [VectorsRecord(name, order, deleted=True), BaseRecord(name, order, deleted=True)]
            self.engine.apply(gone)
        elif fate < 0.3:
            self.engine.apply([BaseRecord(name, order, deleted=True)])
        else:
            self.engine.apply(self._version(product, price=float(rng.integers(20))))
            self.stored += PICTURES - 1  # the first one may have kept its row
        self.done[product] = version
        shown = fate >= 0.3
        self._look_at_once(name, self.picture(product, version, PICTURES - 1), shown=shown)

    def _look_at_once(self, name: str, vector: FloatArray, *, shown: bool) -> None:
        """Search for what has just been changed, among the moving products alone, and all."""
        filters = Filters(category=MOVING) if sum(self.done) % 2 else Filters()
        answer = self.engine.search(Query(vector, filters, 10))
        own = [hit for hit in answer.hits if hit.product_id == name]
        assert shown or not own, f"{name} is gone, and found"
        if shown:
            self.tally.wanted["own"] += 1
            self.tally.found["own"] += bool(own)

    def ask(self, query: Query) -> None:
        """Search and check the answer."""
        before = list(self.done)
        answer = self.engine.search(query)
        self._check(query, before, answer)
        self.tally.answers[answer.plan.strategy] += 1

    def _check(self, query: Query, before: list[int], answer: Answer) -> None:
        """Assert that each hit was true at some moment of the search, and that none is missing."""
        after = list(self.begun)
        assert len(answer.hits) == min(query.top_k, answer.plan.matches)
        assert len({hit.product_id for hit in answer.hits}) == len(answer.hits)
        assert [hit.score for hit in answer.hits] == sorted(
            (hit.score for hit in answer.hits), reverse=True
        )
        filters = query.filters
        for hit in answer.hits:
            assert filters.price_max is None or hit.price is not None
            assert filters.price_max is None or hit.price <= filters.price_max
            assert not filters.category or hit.category in filters.category
            product = int(hit.product_id[1:])
            if hit.product_id.startswith("s"):
                own = self.vectors[product : product + 1]
            else:
                version = int(hit.image_id.split("/")[0])
                # An older one was replaced or deleted before the search began: it must be gone.
                assert before[product] <= version <= after[product], "a dead picture is found"
                own = np.array([self.picture(product, version, i) for i in range(PICTURES)])
            assert abs(hit.score - float((own @ query.vector).max())) < SCORE_TOLERANCE
        if filters == Filters(category=STILL):
            assert answer.plan.matches == self.still
            self._count_still(query, answer, self.still)
        elif filters == Filters():
            self._count_still(query, answer, self.still)

    def _count_still(self, query: Query, answer: Answer, still: int) -> None:
        """Count the still products as good as the last hit, which the answer must hold."""
        last = answer.hits[-1].score + 2 * SCORE_TOLERANCE
        scores = self.vectors[:still] @ query.vector
        due = {f"s{n}" for n in np.flatnonzero(scores > last)}
        names = {hit.product_id for hit in answer.hits}
        assert answer.plan.strategy != "exact" or due <= names, "a scan misses a product"
        self.tally.wanted[answer.plan.strategy] += len(due)
        self.tally.found[answer.plan.strategy] += len(due & names)

    def queries(self, rng: np.random.Generator) -> Iterator[Query]:
        """Yield queries of every kind without end."""
        kinds = (Filters(), Filters(category=STILL), Filters(price_max=9.0), Filters(), CHEAP)
        while True:
            for filters in kinds:
                vector = self.vectors[rng.integers(len(self.vectors))]
                yield Query(vector, filters, int(rng.choice([1, 10, 60])))

    # Jobs: each runs in a thread of its own until it is told to stop

    def write(self, stop: threading.Event, pause: float = 0.0005) -> None:
        """Change one product after the other."""
        rng = np.random.default_rng(1)
        while not stop.wait(pause):
            self.change(int(rng.integers(len(self.begun))), rng)

    def read(self, stop: threading.Event, seed: int) -> None:
        """Search without pause."""
        queries = self.queries(np.random.default_rng(seed))
        while not stop.is_set():
            self.ask(next(queries))

    def audit(self, stop: threading.Event, pause: float) -> None:
        """Look inside again and again."""
        while not stop.wait(pause):
            check_storage(self.engine)
            self.tally.answers["audits"] += 1


CHEAP = Filters(category=STILL, price_max=9.0)
