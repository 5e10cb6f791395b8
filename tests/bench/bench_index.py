"""The engine beside bare hnswlib and a bare NumPy scan: `python -m tests.bench.bench_index`.

Clustered vectors, one thread. The bare ones know no products, filters, updates or deletes: the
ratio is the price of those.
"""

import argparse
import platform
import time
from collections.abc import Callable, Sequence

import hnswlib
import numpy as np

from tests.strategies import clustered
from visualsearch.engine import Engine
from visualsearch.index.graph import BUILD_EF, LINKS
from visualsearch.index.planner import Tuning
from visualsearch.types import (
    BaseRecord,
    Filters,
    FloatArray,
    ImageVector,
    OfferRecord,
    Query,
    Record,
    VectorsRecord,
)

EF = Tuning().ef_min
TOP_K = 20
ORDER = (1, 0, 0)
Search = Callable[[FloatArray], Sequence[int]]


def records(vectors: FloatArray) -> list[Record]:
    """Return one product per vector: category by tenths, price by number."""
    made: list[Record] = []
    for n, vector in enumerate(vectors):
        image = ImageVector("i", vector)
        made.append(BaseRecord(str(n), ORDER, category=f"c{n % 10}"))
        made.append(OfferRecord(str(n), ORDER, price=float(n), in_stock=True))
        made.append(VectorsRecord(str(n), ORDER, model="m", images=(image,)))
    return made


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that the work took."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def measure(search: Search, queries: FloatArray, truth: list[set[int]]) -> tuple[float, ...]:
    """Return p50 ms, p99 ms and recall of one kind of search."""
    for query in queries[:20]:
        search(query)
    took, good = [], 0
    for query, wanted in zip(queries, truth, strict=True):
        begin = time.perf_counter()
        got = search(query)
        took.append(1e3 * (time.perf_counter() - begin))
        good += len(wanted & set(got))
    p50, p99 = np.percentile(took, [50, 99])
    return float(p50), float(p99), good / sum(map(len, truth))


def numpy_search(vectors: FloatArray, allowed: np.ndarray | None = None) -> Search:
    """Return a scan of all rows, or of the allowed ones gathered before."""
    rows = vectors if allowed is None else np.ascontiguousarray(vectors[allowed])

    def search(query: FloatArray) -> Sequence[int]:
        scores = rows @ query
        top = np.argpartition(scores, -TOP_K)[-TOP_K:]
        top = top[np.argsort(-scores[top])]
        return top.tolist() if allowed is None else allowed[top].tolist()

    return search


def engine_search(engine: Engine, filters: Filters) -> Search:
    """Return a search of the engine, its product ids as numbers."""

    def search(query: FloatArray) -> Sequence[int]:
        return [int(h.product_id) for h in engine.search(Query(query, filters, TOP_K)).hits]

    return search


def main() -> None:
    """Build all three over the same vectors, search them, print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--queries", type=int, default=300)
    options = parser.parse_args()
    n, dim = options.rows, options.dim
    every = clustered(n + options.queries, dim, clusters=200, seed=1)
    vectors, queries = every[:n], every[n:]

    engine = Engine("m", dim)
    bare = hnswlib.Index(space="ip", dim=dim)
    bare.init_index(max_elements=n, M=LINKS, ef_construction=BUILD_EF)
    bare.set_ef(EF)
    made = records(vectors)
    applied = timed(lambda: engine.apply(made))
    fresh = measure(
        engine_search(engine, Filters()), queries[:50], truth_of(vectors, None, queries[:50])
    )

    def drain() -> None:
        while engine.index_pending():
            pass

    indexed = timed(drain)
    built = timed(lambda: bare.add_items(vectors, np.arange(n), num_threads=1))
    offers: list[Record] = [
        OfferRecord(str(i), (2, 0, 0), price=float(i), in_stock=True) for i in range(n)
    ]
    offered = timed(lambda: engine.apply(offers))

    print(f"{n} rows x {dim}, top {TOP_K}, ef {EF}, one thread, {platform.processor()}")
    print(f"apply {3 * n / applied:,.0f} records/s · offers {n / offered:,.0f}/s")
    print(f"graph {n / indexed:,.0f} rows/s, bare {n / built:,.0f} rows/s: {indexed / built:.2f}x")
    print(f"all rows fresh: p50 {fresh[0]:.2f} ms, recall {fresh[2]:.3f}\n")
    print(f"{'search':34}{'p50 ms':>8}{'p99 ms':>8}{'recall':>8}{'x bare':>8}  strategy")

    def bare_search(query: FloatArray) -> Sequence[int]:
        labels, _ = bare.knn_query(query, k=TOP_K, num_threads=1)
        return labels[0].tolist()

    number = np.arange(n)
    for title, filters, allowed in (
        ("no filter", Filters(), None),
        ("in stock (all match)", Filters(in_stock=True), number),
        ("price, half match", Filters(price_max=n / 2 - 1), number[: n // 2]),
        ("category, a tenth match", Filters(category=("c3",)), number[3::10]),
        (
            "category and price, 1 % match",
            Filters(("c3",), price_max=n / 10),
            number[3 : n // 10 : 10],
        ),
    ):
        truth = truth_of(vectors, allowed, queries)
        scan = measure(numpy_search(vectors, allowed), queries, truth)
        if allowed is None:
            walk = measure(bare_search, queries, truth)
            row("bare hnswlib", walk, walk[0], "")
            row("bare NumPy scan", scan, scan[0], "")
        base = walk[0] if allowed is None else scan[0]
        strategy = engine.search(Query(queries[0], filters, TOP_K)).plan.strategy
        row(title, measure(engine_search(engine, filters), queries, truth), base, strategy)
    print("\n'x bare' is against hnswlib without a filter, against a scan of the matches with one")


def truth_of(
    vectors: FloatArray, allowed: np.ndarray | None, queries: FloatArray
) -> list[set[int]]:
    """Return the exact answers."""
    search = numpy_search(vectors, allowed)
    return [set(search(query)) for query in queries]


def row(title: str, figures: tuple[float, ...], base: float, strategy: str) -> None:
    """Print one line of the table."""
    p50, p99, recall = figures
    print(f"{title:34}{p50:8.2f}{p99:8.2f}{recall:8.3f}{p50 / base:8.2f}  {strategy}")


if __name__ == "__main__":
    main()
