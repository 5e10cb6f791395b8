"""Updates of offers, attributes and deletes: rates, and their effect on searches."""

from collections.abc import Iterator, Sequence

import numpy as np

from streams.tools.bench import ours
from streams.tools.bench.clock import TimedSearches, pooled, ratio
from streams.tools.bench.clustered import IntArray
from streams.tools.bench.context import SEED, TARGET, Bench, K, Measurement
from streams.tools.bench.measurements.under import Feeder
from streams.tools.bench.truth import recall
from visualsearch.engine import Engine
from visualsearch.types import BaseRecord, OfferRecord, Record

PACED_RATE, PACED_BATCH = 5_000, 50  # records a second, beside searches
ROUNDS = 12  # times as many as elsewhere: a p99 is of a few of the searches
CHANGED = 50_000  # products, more than are changed while each query is searched for once
DELETED = 20_000


def updates(bench: Bench) -> Measurement:
    """Measure the rates alone, then searches with and without updates in turn."""
    result = Measurement([])
    with bench.consume_engine() as engine:
        rng = np.random.default_rng(SEED)
        for what in ("offers", "attributes"):
            bench.report(f"{what} alone")
            rates, by_core = [], []
            for version in range(bench.amounts.rounds):
                rows = rng.integers(0, bench.size, bench.amounts.updates)
                batches = list(changes(bench, what, rows, 2 + version))
                took = ours.apply_batches(engine, batches)
                rates.append(len(rows) / took.wall)
                by_core.append(len(rows) / max(took.cpu, 1e-9))
            result.figures[f"{what}/s"] = float(np.median(rates))
            result.rows.append(
                {
                    "what": f"{what}, alone",
                    "records/s": round(np.median(rates)),
                    "records/cpu-s": round(np.median(by_core)),
                }
            )
        for title, pause_s in (("at a pace", PACED_BATCH / PACED_RATE), ("flat out", 0.0)):
            _beside(bench, engine, result, (title, pause_s))
        _deletes(bench, engine, result)
    return result


def changes(bench: Bench, what: str, rows: IntArray, order: int) -> Iterator[list[Record]]:
    """Yield batches of offers, or of bases with other attributes, for these products."""
    at = (order, 0, 0)
    for begin in range(0, len(rows), ours.BATCH):
        part = [int(row) for row in rows[begin : begin + ours.BATCH]]
        if what == "offers":
            yield [OfferRecord(str(n), at, price=float(n % 97), in_stock=True) for n in part]
        else:
            yield [
                BaseRecord(str(n), at, title=f"Product {n}", brand=f"b{order}", tags=bench.tags(n))
                for n in part
            ]


def _beside(bench: Bench, engine: Engine, result: Measurement, how: tuple[str, float]) -> None:
    """Search with and without offers being changed, in turn."""
    title, pause_s = how
    bench.report(f"offers {title}, and searches")
    queries, truth = bench.test_queries()
    side = ours.search_function(engine, K, TARGET)
    alone: list[TimedSearches] = []
    beside: list[TimedSearches] = []
    applied, seconds = 0, 0.0
    size = PACED_BATCH if pause_s else ours.BATCH
    rows = np.arange(min(bench.size, CHANGED))
    side(queries[:20])
    for version in range(ROUNDS * bench.amounts.rounds):
        alone.append(side(queries))
        batches = _cut(changes(bench, "offers", rows, 10 + version), size)
        with Feeder(engine, batches, pause_s=pause_s) as feeder:
            done = TimedSearches()
            for query in queries:
                one = side(query[None])
                done.wall += one.wall
                done.cpu += one.cpu
                done.found += one.found
                if not feeder.running:
                    break
        beside.append(done)
        applied += feeder.done * size
        seconds += feeder.wall_s
    idle, busy = pooled(alone).figures(), pooled(beside).figures()
    found = beside[0].found
    result.figures[f"p99 {title} to idle"] = busy["p99_ms"] / idle["p99_ms"]
    result.rows.append(
        {
            "what": f"offers {title}, beside searches",
            "records/s": round(applied / max(seconds, 1e-9)),
            "recall": round(recall(found, truth[: len(found)], K), 4),
            "p50 ms": round(busy["p50_ms"], 3),
            "p99 ms": round(busy["p99_ms"], 3),
            "idle p99 ms": round(idle["p99_ms"], 3),
            "throughput of idle": round(ratio(beside, alone), 3),
            "by cpu": round(ratio(beside, alone, "cpu"), 3),
        }
    )


def _cut(batches: Iterator[list[Record]], size: int) -> Sequence[list[Record]]:
    """Return the records in batches of another size."""
    return [
        batch[begin : begin + size] for batch in batches for begin in range(0, len(batch), size)
    ]


def _deletes(bench: Bench, engine: Engine, result: Measurement) -> None:
    """Delete products, each by its three tombstones; none may be found afterwards."""
    bench.report("deletes")
    count = min(DELETED, bench.size // 4)
    gone = np.random.default_rng(SEED + 1).permutation(bench.size)[:count]
    records = [record for row in gone for record in ours.delete_records(int(row), 50)]
    batches = [records[n : n + ours.BATCH] for n in range(0, len(records), ours.BATCH)]
    took = ours.apply_batches(engine, batches)
    found = ours.search_function(engine, K, TARGET)(bench.test_queries()[0]).found
    dead = int(np.isin(np.concatenate(found), gone).sum())
    result.figures.update({"deletes/s": len(records) / took.wall, "dead ones found": dead})
    result.rows.append(
        {
            "what": "deletes",
            "records/s": round(len(records) / took.wall),
            "records/cpu-s": round(len(records) / max(took.cpu, 1e-9)),
            "products/s": round(count / took.wall),
            "dead ones found": dead,
        }
    )
