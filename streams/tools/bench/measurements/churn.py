"""Churn: compare an index after many changes with a fresh build of the same contents."""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from streams.config.process import tune_process
from streams.tools.bench import ours
from streams.tools.bench.amounts import Amounts
from streams.tools.bench.clock import percentile, pooled, ratio, run_alternating
from streams.tools.bench.context import SEED, TARGET, Bench, K, Measurement
from streams.tools.bench.data import Dataset
from streams.tools.bench.host import trimmed_bytes
from streams.tools.bench.measurements.under import sample_searches, watch
from streams.tools.bench.truth import nearest, recall
from visualsearch.engine import Engine
from visualsearch.types import FloatArray, Query, Record

TURNOVERS = (1, 3)
EF = 200  # at which recall is compared: a plan may ask for more of one index than of the other
TIE = 1e-4  # of scores that stand for ids: those of rows as they are stored
LEFT = 0.001  # of the rows: those that the last searches still keep from being used again
MOST_FRESH = 8_000  # changes pause above so many rows without a graph: a steady load


def churn(bench: Bench) -> Measurement:
    """Replace the vectors of products, then delete a quarter of them during searches."""
    result = Measurement([])
    for turnovers in TURNOVERS:
        bench.report(f"{turnovers} x turned over, in a process of its own")
        # In this process an index would reuse freed memory, and seem too small.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            done = pool.submit(churn_products, bench.data, bench.amounts, turnovers).result()
        result.rows.extend(done.rows)
        result.figures.update(done.figures)
    _compaction(bench, result)
    return result


def churn_products(data: Dataset, amounts: Amounts, turnovers: int) -> Measurement:
    """Replace the vectors of random products so often; compare with a fresh build.

    It is for a process that holds no other index.
    """
    tune_process()
    bench, result = Bench(data, amounts), Measurement([])
    size = bench.amounts.churned
    vectors = bench.data.vectors[:size].copy()
    rng = np.random.default_rng(SEED + turnovers)
    # Before the first look at the memory: what BLAS takes to draw them, 27 MB a thread, stays.
    replacements = [bench.data.more(size, 200 + round_number) for round_number in range(turnovers)]
    empty = trimmed_bytes() or 0
    engine, _ = bench.build_engine(vectors)
    # Not that of the fresh build below: it takes what this one's building has left to the process.
    built = trimmed_bytes() or 0
    begin = time.perf_counter()
    for round_number, new in enumerate(replacements):
        rows = rng.integers(0, size, size)  # some twice, some not at all
        for n in range(0, size, 256):
            part, given = rows[n : n + 256], new[n : n + 256]
            records: list[Record] = [
                ours.vectors_record(int(row), vector, 2 + round_number)
                for row, vector in zip(part, given, strict=True)
            ]
            while engine.stats().fresh_rows > MOST_FRESH:
                time.sleep(0.01)
            engine.apply(records)
            vectors[part] = given  # the last of the same row wins in both
    ours.wait_until_idle(engine, bench.data.halves()[0])
    took = time.perf_counter() - begin
    turned = trimmed_bytes() or 0
    fresh, _ = bench.build_engine(vectors)
    pair = _Pair(engine, fresh, turned - empty, built - empty)
    _compare(bench, result, pair, vectors, (turnovers, took))
    engine.close()
    fresh.close()
    return result


@dataclass(frozen=True, slots=True)
class _Pair:
    """An engine that saw many changes, one that did not; bytes of the first, and before them."""

    turned: Engine
    fresh: Engine
    turned_bytes: int
    fresh_bytes: int


def _compare(
    bench: Bench, result: Measurement, pair: _Pair, vectors: FloatArray, after: tuple[int, float]
) -> None:
    turnovers, took = after
    queries, _ = bench.test_queries()
    truth, scores = nearest(vectors, queries, K)
    sides = {
        "turned over": ours.search_function(pair.turned, K, TARGET),
        "fresh build": ours.search_function(pair.fresh, K, TARGET),
    }
    rounds = run_alternating(sides, queries, bench.amounts.rounds)
    recalls = {name: recall(done[0].found, truth, K) for name, done in rounds.items()}
    slower = 1 / ratio(rounds["turned over"], rounds["fresh build"])
    memory = pair.turned_bytes / max(pair.fresh_bytes, 1)
    result.figures.update(
        {
            f"recall lost {turnovers}x": _recall(pair.fresh, queries, scores)
            - _recall(pair.turned, queries, scores),
            f"time ratio {turnovers}x": slower,
            f"memory ratio {turnovers}x": memory,
        }
    )
    for name, engine, size in (
        ("turned over", pair.turned, pair.turned_bytes),
        ("fresh build", pair.fresh, pair.fresh_bytes),
    ):
        stats, figures = engine.stats(), pooled(rounds[name]).figures()
        result.rows.append(
            {
                "what": f"{turnovers}x, {name}",
                "products": stats.products,
                "recall": round(recalls[name], 4),
                "ms": round(figures["mean_ms"], 3),
                "cpu ms": round(figures["cpu_ms"], 3),
                "p99 ms": round(figures["p99_ms"], 3),
                "segments": stats.segments,
                "dead": round(stats.dead_ratio, 3),
                "rows stored": stats.rows,
                "bytes/product": round(size / max(1, stats.products)),
                "changes/s": round(turnovers * len(vectors) / took)
                if name == "turned over"
                else "",
            }
        )


def _recall(engine: Engine, queries: FloatArray, scores: FloatArray) -> float:
    """Return the recall of graph searches at a fixed ef, whatever the engine would plan."""
    trial = engine.trial()
    shares = [
        np.count_nonzero(trial.walk(Query(query, top_k=K), EF) >= best[-1] - TIE) / K
        for query, best in zip(queries, scores, strict=True)
    ]
    return float(np.mean(np.minimum(shares, 1.0)))


def _compaction(bench: Bench, result: Measurement) -> None:
    """Delete many products during searches; measure the time until their rows are gone."""
    count = bench.amounts.deletes
    with bench.consume_engine() as engine:
        bench.report(f"{count:,} deletes, until compacted")
        gone = np.random.default_rng(SEED + 9).permutation(bench.size)[:count]
        queries, _ = bench.test_queries()
        kept = np.setdiff1d(np.arange(bench.size), gone)
        truth, _ = nearest(bench.data.vectors, queries, K, kept)
        idle = ours.search_function(engine, K, TARGET)(queries).figures()
        records = [record for row in gone for record in ours.delete_records(int(row), 9)]
        begin = time.perf_counter()
        ours.apply_batches(
            engine, [records[n : n + ours.BATCH] for n in range(0, len(records), ours.BATCH)]
        )
        applied = time.perf_counter() - begin
        went_on = _until_compacted(engine)
        watched = watch(engine, queries, went_on, lambda: 0, K, TARGET)
        took = time.perf_counter() - begin
        stats = engine.stats()
        looked = sample_searches(len(watched.queries))
        answers = [watched.searched.found[n] for n in looked]
        asked = [watched.queries[n] for n in looked]
        share = recall(answers, truth[asked], K) if asked else float("nan")
        result.figures.update(
            {
                "compacted s": took,
                "dead after compaction": stats.dead_ratio,
                "compacting recall": share,
                "compacting p99 to idle": percentile(watched.searched.wall or [0.0], 99)
                / idle["p99_ms"],
            }
        )
        result.rows.append(
            {
                "what": f"{count:,} deletes of {bench.size:,}",
                "applied s": round(applied, 2),
                "compacted s": round(took, 1),
                "products": stats.products,
                "rows stored": stats.rows,
                "dead": round(stats.dead_ratio, 3),
                "recall": round(share, 4),
                "p99 ms": round(percentile(watched.searched.wall or [0.0], 99), 3),
                "idle p99 ms": round(idle["p99_ms"], 3),
            }
        )


def _until_compacted(engine: Engine) -> Callable[[], bool]:
    """Return a function that tells whether compaction goes on; it looks at every 20th call.

    Cost curves, measured again afterwards, are not waited for. A few dead rows stay.
    """
    looks = iter(range(10**9))
    quiet = 0

    def going_on() -> bool:
        nonlocal quiet
        if next(looks) % 20:
            return True
        stats = engine.stats()
        over = stats.rows - stats.vectors <= LEFT * stats.rows or engine.settled
        quiet = quiet + 1 if over and not stats.merging_rows and not stats.fresh_rows else 0
        return quiet < 2

    return going_on
