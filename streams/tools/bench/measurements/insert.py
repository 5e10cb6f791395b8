"""New products while searches go on: bursts, a steady rate, and as fast as graphs are built."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from streams.tools.bench import ours
from streams.tools.bench.clock import TimedSearches, percentile, pooled
from streams.tools.bench.context import TARGET, Bench, K, Measurement, TableRow
from streams.tools.bench.measurements.under import Feeder, GrowingTruth, WatchedSearches, p99, watch
from streams.tools.bench.truth import nearest
from visualsearch.engine import Engine
from visualsearch.types import FloatArray, Query

MANY_FRESH = 20_000
BUSY_FRESH = (1_000, 8_000)  # while inserting flat out the writer always has as much to do
QUERY_COUNT = 200  # queries that are asked over and over
RIVAL = "hnswlib-m16"
PACED_BATCH = 20  # products
FLAT_ROUNDS = 4  # a p99 of few searches varies from round to round
K_SEEN = 10


def insert(bench: Bench) -> Measurement:
    """Measure one after the other on the same engine, which grows."""
    result = Measurement([])
    with bench.consume_engine() as engine:
        session = _Session(bench, engine, result)
        session.visible()
        session.idle()
        session.sustained()
        session.flat_out()
        session.burst()
    _alone(bench, result)
    _rival(bench, result)
    return result


class _InsertRound(NamedTuple):
    """Searches before and beside an insert."""

    idle: TimedSearches
    busy: WatchedSearches
    recall: float
    moved: int  # rows that went into graphs
    feeder: Feeder


class _Session:
    """An engine that grows from one measurement to the next."""

    def __init__(self, bench: Bench, engine: Engine, result: Measurement) -> None:
        self.bench = bench
        self.engine = engine
        self.result = result
        self.queries = bench.test_queries()[0][:QUERY_COUNT]
        self.vectors = [bench.data.vectors]
        self.rows = bench.size
        self.parts = 100

    def new(self, count: int) -> FloatArray:
        """Return vectors that are not in the index."""
        self.parts += 1
        return self.bench.data.more(count, self.parts)

    def visible(self) -> None:
        """Upsert one by one; the very next search must find it."""
        self.bench.report("upserts, each looked for at once")
        new = self.new(self.bench.amounts.upserts)
        seen, took = 0, []
        for batch in ours.single_batches(new, self.rows):
            begin = time.perf_counter()
            self.engine.apply(batch)
            took.append(1e3 * (time.perf_counter() - begin))
            row = self.rows + len(took) - 1
            answer = self.engine.search(Query(new[len(took) - 1], top_k=K_SEEN))
            seen += row in ours.ids_of(answer)
        self._add_vectors(new)
        self.result.figures["visible"] = seen / len(new)
        self.result.rows.append(
            {
                "what": "upsert, then search for it",
                "products": len(new),
                "found": f"{seen} of {len(new)}",
                "p50 ms": round(percentile(took, 50), 3),
                "p99 ms": round(percentile(took, 99), 3),
            }
        )

    def idle(self) -> None:
        """Search while nothing happens."""
        self._row("idle", self._idle_searches(), self._truth(self.queries[:0]), 1, None)

    def _idle_searches(self) -> WatchedSearches:
        """Search once the index is settled and the caches are warm."""
        ours.wait_until_idle(self.engine)
        ours.search_function(self.engine, K, TARGET)(self.queries)
        left = iter(range(4 * len(self.queries)))
        return watch(
            self.engine, self.queries, lambda: next(left, None) is not None, lambda: 0, K, TARGET
        )

    def sustained(self) -> None:
        """Insert at a steady rate; the graphs must keep up."""
        amounts = self.bench.amounts
        count = int(amounts.sustained_rate * amounts.sustained_s)
        self.bench.report(f"{amounts.sustained_rate} new products a second")
        new = self.new(count)
        batches = [
            batch
            for begin in range(0, count, PACED_BATCH)
            for batch in ours.products(new[begin : begin + PACED_BATCH], self.rows + begin)
        ]
        feeder = Feeder(self.engine, batches, pause_s=PACED_BATCH / amounts.sustained_rate)
        watched, growing = self._beside(feeder, new, lambda: feeder.running)
        fresh = watched.fresh
        rate = feeder.products / feeder.wall_s
        third = max(1, len(fresh) // 3)
        grown = float(np.mean(fresh[-third:])) - float(np.mean(fresh[third : 2 * third]))
        self.result.figures.update(
            {
                "sustained/s": rate,
                "sustained fresh at the end": fresh[-1],
                "sustained fresh growth": grown,
            }
        )
        self._row("steady rate", watched, growing, PACED_BATCH, feeder)

    def flat_out(self) -> None:
        """Insert as fast as the graphs take the rows, and not at all, in turn."""
        self.bench.report("inserting flat out")
        rounds = [self._flat_round() for _ in range(FLAT_ROUNDS)]
        feeders = [each.feeder for each in rounds]
        idle = p99(WatchedSearches(pooled([each.idle for each in rounds])))
        busy = pooled([each.busy.searched for each in rounds])
        fresh = [rows for each in rounds for rows in each.busy.fresh]
        recalled = float(np.mean([each.recall for each in rounds]))
        row = self._add(f"flat out, {FLAT_ROUNDS} times", busy, fresh, recalled, feeders)
        row["idle p99 ms"] = round(idle, 3)
        seconds = sum(feeder.wall_s for feeder in feeders)
        self.result.figures.update(
            {
                "flat out into graphs/s": sum(each.moved for each in rounds) / seconds,
                "flat out p99 to idle": p99(WatchedSearches(busy)) / idle,
                "flat out recall": recalled,
            }
        )

    def _flat_round(self) -> _InsertRound:
        idle = self._idle_searches().searched
        new = self.new(self.bench.amounts.flat_most)
        batches = list(ours.products(new, self.rows))
        least, most = BUSY_FRESH

        def room() -> bool:
            return self.engine.stats().fresh_rows < most

        feeder = Feeder(self.engine, batches, may_go_on=room)
        before = self.engine.stats().rows
        seconds = self.bench.amounts.flat_s
        watched, growing = self._beside(
            feeder, new, lambda: feeder.running and feeder.elapsed_s < seconds
        )
        stats = self.engine.stats()
        moved = stats.rows - before - stats.fresh_rows
        busy = watched.with_fresh_rows(least)
        recalled = growing.mean_recall(busy, len(batches[0]) // 2, K)
        return _InsertRound(idle, busy, recalled, moved, feeder)

    def burst(self) -> None:
        """Apply many at once; search while most of them are fresh."""
        ours.wait_until_idle(self.engine)
        self.bench.report("a burst")
        new = self.new(self.bench.amounts.burst)
        batches = list(ours.products(new, self.rows))
        per_batch = len(batches[0]) // 2
        feeder = Feeder(self.engine, batches)

        def busy() -> bool:
            return feeder.running or self.engine.stats().fresh_rows > MANY_FRESH

        watched, growing = self._beside(feeder, new, busy)
        many = watched.with_fresh_rows(MANY_FRESH)
        recalled = self._row(f"burst, > {MANY_FRESH:,} fresh", many, growing, per_batch, feeder)
        rate = len(new) / feeder.inside_s
        self.result.figures.update(
            {
                "burst/s": rate,
                "burst/cpu-s": len(new) / max(feeder.cpu_s, 1e-9),
                "burst p99": p99(many),
                "burst recall": recalled,
            }
        )

    def _beside(
        self, feeder: Feeder, new: FloatArray, go_on: Callable[[], bool]
    ) -> tuple[WatchedSearches, GrowingTruth]:
        """Search beside the feeder, and return the exact answers for what it was adding."""
        growing = self._truth(new)
        with feeder:
            watched = watch(self.engine, self.queries, go_on, lambda: feeder.done, K, TARGET)
        self._add_vectors(new[: feeder.products])
        return watched, growing

    def _truth(self, new: FloatArray) -> GrowingTruth:
        ids = np.empty((len(self.queries), 0), dtype=np.int64)
        scores = np.empty((len(self.queries), 0), dtype=np.float32)
        first = 0
        for part in self.vectors:
            found, cosines = nearest(part, self.queries, K)
            ids = np.concatenate([ids, found + first], axis=1)
            scores = np.concatenate([scores, cosines], axis=1)
            first += len(part)
        return GrowingTruth(ids, scores, self.queries @ new.T, self.rows)

    def _add_vectors(self, new: FloatArray) -> None:
        self.vectors.append(new)
        self.rows += len(new)

    def _row(
        self,
        what: str,
        watched: WatchedSearches,
        growing: GrowingTruth,
        per_batch: int,
        feeder: Feeder | None,
    ) -> float:
        """Add a row; return the recall."""
        recalled = growing.mean_recall(watched, per_batch, K)
        feeders = [feeder] if feeder else []
        self._add(what, watched.searched, watched.fresh, recalled, feeders)
        return recalled

    def _add(
        self,
        what: str,
        searched: TimedSearches,
        fresh: Sequence[int],
        recalled: float,
        feeders: Sequence[Feeder],
    ) -> TableRow:
        row: TableRow = {"what": what, "searches": len(fresh), "recall": round(recalled, 4)}
        if fresh:
            figures = searched.figures()
            row |= {
                "p50 ms": round(figures["p50_ms"], 3),
                "p99 ms": round(figures["p99_ms"], 3),
                "cpu ms": round(figures["cpu_ms"], 3),
                "fresh, mean": round(float(np.mean(fresh))),
                "fresh, most": max(fresh),
            }
        if feeders:
            products = sum(feeder.products for feeder in feeders)
            wall = max(sum(feeder.wall_s for feeder in feeders), 1e-9)
            inside = max(sum(feeder.inside_s for feeder in feeders), 1e-9)
            row |= {
                "products": products,
                "products/s": round(products / wall),
                "in apply, /s": round(products / inside),
            }
        self.result.rows.append(row)
        return row


def _alone(bench: Bench, result: Measurement) -> None:
    """Apply a burst to an empty index whose writer works, with nobody searching."""
    bench.report("a burst, nobody searching")
    batches = list(ours.products(bench.data.more(bench.amounts.burst, 998)))
    engine = ours.new_engine(bench.dim)
    took = ours.apply_batches(engine, batches)
    engine.close()
    rate = bench.amounts.burst / took.wall
    result.figures["burst/s"] = rate
    result.rows.append(
        {
            "what": "burst, nobody searching",
            "products": bench.amounts.burst,
            "products/s": round(rate),
            "products/cpu-s": round(bench.amounts.burst / max(took.cpu, 1e-9)),
        }
    )


def _rival(bench: Bench, result: Measurement) -> None:
    """Tell how fast a bare graph of this size takes rows."""
    bench.rival(RIVAL)
    for threads, rate in bench.built[RIVAL].adds.items():
        result.figures[f"{RIVAL} adds/s {threads} threads"] = rate
        result.rows.append(
            {"what": f"{RIVAL}, add_items, {threads} threads", "products/s": round(rate)}
        )
