"""Our engine, run as in a worker: records in, products out, a background writer."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from streams.config.process import trim_memory
from streams.tools.bench.clock import TimedSearches, time_searches
from streams.tools.bench.clustered import IntArray
from visualsearch.engine import Engine, Hooks
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

MODEL = "bench"
BATCH = 1_000  # records of one call of `apply`
POLL_S = 0.05
ASKED = 400  # queries that are searched for during a build, as many as rivals learn from
LONGEST_S = 7_200.0
NO_FILTER = Filters()
_failures: WeakKeyDictionary[Engine, list[Exception]] = WeakKeyDictionary()
Tags = Callable[[int], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ApplyTimes:
    """Seconds in `apply`: of the wall, and of the applying thread's core."""

    wall: float
    cpu: float


class EngineStuckError(RuntimeError):
    """The background writer does not come to an end, or failed."""

    code = "bench_stuck"


def new_engine(dim: int) -> Engine:
    """Return a running engine; `wait_until_idle` raises failures of its background writer."""
    failures: list[Exception] = []
    engine = Engine(MODEL, dim, hooks=Hooks(on_error=failures.append, on_freed=trim_memory))
    _failures[engine] = failures
    engine.start()
    return engine


def no_tags(_: int) -> tuple[str, ...]:
    """Give a row no tags."""
    return ()


def products(
    vectors: FloatArray, first: int = 0, tags: Tags = no_tags, order: int = 1
) -> Iterable[list[Record]]:
    """Yield batches of records of one product per vector; its id is the row's number."""
    for begin in range(0, len(vectors), BATCH // 2):
        batch: list[Record] = []
        for place in range(begin, min(len(vectors), begin + BATCH // 2)):
            row = first + place
            batch.append(
                BaseRecord(str(row), (order, 0, 0), title=f"Product {row}", tags=tags(row))
            )
            batch.append(vectors_record(row, vectors[place], order))
        yield batch


def single_batches(vectors: FloatArray, first: int) -> list[list[Record]]:
    """Return a batch per product."""
    return [batch for n in range(len(vectors)) for batch in products(vectors[n : n + 1], first + n)]


def vectors_record(row: int, vector: FloatArray, order: int) -> VectorsRecord:
    """Return the record of a product's one image, in half precision as the log holds it."""
    image = ImageVector("0", vector.astype(np.float16))
    return VectorsRecord(str(row), (order, 0, 0), model=MODEL, images=(image,))


def delete_records(row: int, order: int) -> tuple[Record, Record, Record]:
    """Return what the pipelines write for a delete: a tombstone of each kind."""
    at = (order, 0, 0)
    return (
        BaseRecord(str(row), at, deleted=True),
        OfferRecord(str(row), at, deleted=True),
        VectorsRecord(str(row), at, deleted=True, model=MODEL),
    )


def apply_batches(engine: Engine, batches: Iterable[Sequence[Record]]) -> ApplyTimes:
    """Apply the batches; return the time inside `apply`."""
    wall = cpu = 0.0
    for batch in batches:
        begin, core = time.perf_counter(), time.thread_time()
        engine.apply(batch)
        wall += time.perf_counter() - begin
        cpu += time.thread_time() - core
    return ApplyTimes(wall, cpu)


def wait_until_idle(
    engine: Engine,
    ask: Sequence[FloatArray] | FloatArray = (),
    watch: Callable[[Engine], object] | None = None,
) -> None:
    """Wait until graphs, lists and cost curves are finished.

    Meanwhile some of `ask` are searched for, as in production: the engine tunes itself on recent
    queries.
    """
    deadline = time.monotonic() + LONGEST_S
    quiet, asked = 0, 0
    while quiet < 2:  # twice: it may seem settled between two steps
        if asked < min(ASKED, len(ask)):
            engine.search(Query(ask[asked], top_k=100))
            asked += 1
        if failures := _failures[engine]:
            raise EngineStuckError(f"the background writer failed: {failures[0]!r}") from failures[
                0
            ]
        stats = engine.stats()
        still = engine.settled and not stats.fresh_rows and not stats.merging_rows
        quiet = quiet + 1 if still else 0
        if watch:
            watch(engine)
        if time.monotonic() > deadline:
            raise EngineStuckError(f"not settled within {LONGEST_S:,.0f} s: {stats}")
        time.sleep(POLL_S)


def ids_of(answer: Answer) -> IntArray:
    """Return the rows' numbers, best first."""
    return np.array([int(hit.product_id) for hit in answer.hits], dtype=np.int64)


def search_function(
    engine: Engine, k: int, target: float, filters: Filters = NO_FILTER
) -> Callable[[FloatArray], TimedSearches]:
    """Return a function that searches all queries, one by one, for k products."""

    def search(query: FloatArray) -> Answer:
        return engine.search(Query(query, filters, k, target))

    return lambda queries: time_searches(search, ids_of, queries)
