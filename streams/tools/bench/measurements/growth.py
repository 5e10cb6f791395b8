"""How the cost of a search grows with the rows, at the same recall."""

import numpy as np

from streams.tools.bench import ours
from streams.tools.bench.amounts import SIZES
from streams.tools.bench.clock import pooled
from streams.tools.bench.context import TARGET, Bench, K, Measurement
from streams.tools.bench.truth import nearest, recall


def growth(bench: Bench) -> Measurement:
    """Measure the first rows, and more of them, up to all."""
    result = Measurement([])
    sizes = {rows for rows in (*SIZES.values(), bench.amounts.grown_from) if rows < bench.size}
    queries, _ = bench.test_queries()
    costs: dict[int, float] = {}
    for rows in sorted(sizes | {bench.size}):
        engine = bench.engine(rows)
        bench.report(f"growth, {rows:,} rows")
        truth, _ = nearest(bench.data.vectors[:rows], queries, K)
        side = ours.search_function(engine, K, TARGET)
        side(queries[:20])
        rounds = [side(queries) for _ in range(bench.amounts.rounds)]
        figures = pooled(rounds).figures()
        costs[rows] = float(np.median([np.mean(one.cpu) for one in rounds]))
        share = recall(rounds[0].found, truth, K)
        result.figures[f"recall {rows}"] = share
        result.figures[f"p99 {rows}"] = figures["p99_ms"]
        result.rows.append(
            {
                "rows": rows,
                "recall": round(share, 4),
                "ms": round(figures["mean_ms"], 3),
                "p99 ms": round(figures["p99_ms"], 3),
                "cpu ms": round(costs[rows], 3),
                "segments": engine.stats().segments,
                "cost to the smallest": round(costs[rows] / costs[min(costs)], 2),
            }
        )
        if rows not in (bench.size, bench.amounts.churned):
            with bench.consume_engine(rows):
                pass  # closes it: no other measurement needs it
    if SIZES["200k"] in costs:
        result.figures["cost to 200k"] = costs[bench.size] / costs[SIZES["200k"]]
    return result
