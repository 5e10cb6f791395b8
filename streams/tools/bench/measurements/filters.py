"""Filters: random, near the queries and far from them, against filtering with hnswlib."""

import time
from collections import Counter
from collections.abc import Iterator

import numpy as np

from streams.tools.bench import ours
from streams.tools.bench.clock import TimedSearches, time_searches
from streams.tools.bench.clustered import IntArray
from streams.tools.bench.context import SEED, TARGET, Bench, FilterRows, K, Measurement, TableRow
from streams.tools.bench.rivals import Hnswlib
from streams.tools.bench.truth import nearest, recall
from visualsearch.engine import Engine
from visualsearch.types import Filters, FloatArray, OfferRecord, Query

CALLBACK_EF = 200
OVER_FETCH = 1.5  # times what the filter's share asks for, then four times as much


def filters(bench: Bench) -> Measurement:
    """Measure recall, hits and time of every filter, with queries chosen for it."""
    result = Measurement([])
    engine = bench.engine()
    rival = bench.rival("hnswlib-m16")
    if not isinstance(rival, Hnswlib):
        raise TypeError(rival)
    for kept in bench.filters:
        for title, queries in _queries_of(bench, kept):
            bench.report(f"filter {title}")
            rows = np.flatnonzero(kept.mask)
            truth, _ = nearest(bench.data.vectors, queries, K, rows)
            _measure_engine(result, engine, kept, (title, queries, truth))
            few = bench.amounts.slow
            for how, search in (("callback", _callback), ("over-fetch", _over_fetch)):
                done = search(rival, kept, queries[:few])
                _add(result, f"hnswlib {how}", (title, kept, done, truth[:few]), "")
    return result


def _queries_of(bench: Bench, kept: FilterRows) -> list[tuple[str, FloatArray]]:
    """Return the queries of a filter: any for a random one, else similar and dissimilar ones."""
    queries, truth = bench.test_queries()
    count = bench.amounts.filtered
    if kept.name.startswith("random"):
        return [(kept.name, queries[:count])]
    near = bench.data.near(np.flatnonzero(kept.mask), count, SEED)
    far = np.argsort(kept.mask[truth].mean(axis=1), kind="stable")[:count]
    return [(f"{kept.name}, query near", near), (f"{kept.name}, query far", queries[far])]


def _measure_engine(
    result: Measurement, engine: Engine, kept: FilterRows, asked: tuple[str, FloatArray, IntArray]
) -> None:
    title, queries, truth = asked
    wanted = Filters(tags=(kept.name,))
    search = ours.search_function(engine, K, TARGET, wanted)
    search(queries[:10])
    done = search(queries)
    plans = Counter(
        engine.search(Query(query, wanted, K, TARGET)).plan.strategy for query in queries[:10]
    )
    plan = ", ".join(name for name, _ in plans.most_common())
    share, hits = _add(result, "ours", (title, kept, done, truth), plan)
    changed = _after_a_change(engine, wanted, queries).figures()
    result.rows[-1]["p50 after a change"] = round(changed["p50_ms"], 3)
    figures = done.figures()
    result.figures[f"p50 after a change {title}"] = changed["p50_ms"]
    result.figures[f"recall {title}"] = share
    result.figures[f"hits {title}"] = hits
    result.figures[f"p50 {title}"] = figures["p50_ms"]
    result.figures[f"p99 {title}"] = figures["p99_ms"]


def _after_a_change(engine: Engine, wanted: Filters, queries: FloatArray) -> TimedSearches:
    """Apply an offer before each search: it invalidates what searches with one filter share."""

    def changing() -> Iterator[FloatArray]:
        for query in queries:
            engine.apply([OfferRecord("of no product", (time.time_ns(), 0, 0), price=1.0)])
            yield query

    return time_searches(
        lambda query: engine.search(Query(query, wanted, K, TARGET)), ours.ids_of, changing()
    )


def _add(
    result: Measurement, whose: str, of: tuple[str, FilterRows, TimedSearches, IntArray], plan: str
) -> tuple[float, float]:
    """Add a row; return the recall, and the least number of hits as a share of the expected."""
    title, kept, done, truth = of
    wanted = truth.shape[1]
    share = recall(done.found, truth, K)
    hits = min(len(ids) for ids in done.found) / wanted
    figures = done.figures()
    row: TableRow = {
        "filter": title,
        "rows": int(np.count_nonzero(kept.mask)),
        "index": whose,
        "plan": plan,
        "recall": round(share, 4),
        "least hits": f"{min(len(ids) for ids in done.found)} of {wanted}",
        "p50 ms": round(figures["p50_ms"], 3),
        "p99 ms": round(figures["p99_ms"], 3),
        "cpu p50": round(figures["cpu_p50_ms"], 3),
    }
    result.rows.append(row)
    return share, hits


def _callback(rival: Hnswlib, kept: FilterRows, queries: FloatArray) -> TimedSearches:
    """Search with a Python filter."""
    keeps = kept.mask.tolist().__getitem__
    k = min(K, int(np.count_nonzero(kept.mask)))
    rival.graph.set_ef(CALLBACK_EF)

    def search(query: FloatArray) -> IntArray:
        try:
            labels, _ = rival.graph.knn_query(query, k=k, num_threads=1, filter=keeps)
        except RuntimeError:  # fewer than k within its beam: it has no shorter answer
            return np.empty(0, dtype=np.int64)
        found: IntArray = labels[0].astype(np.int64)
        return found

    return time_searches(search, lambda found: found, queries)


def _over_fetch(rival: Hnswlib, kept: FilterRows, queries: FloatArray) -> TimedSearches:
    """Fetch more and more rows, and keep the matching ones, until there are enough."""
    count = len(kept.mask)
    matching = int(np.count_nonzero(kept.mask))
    wanted = min(K, matching)

    def search(query: FloatArray) -> IntArray:
        fetch = min(count, round(OVER_FETCH * wanted * count / matching))
        while True:
            try:
                found = rival.search(query, fetch, fetch)
            except RuntimeError:  # more than it can reach
                return np.empty(0, dtype=np.int64)
            found = found[kept.mask[found]]
            if len(found) >= wanted or fetch >= count // 2:
                return found[:wanted]
            fetch = min(count // 2, 4 * fetch)

    return time_searches(search, lambda found: found, queries)
