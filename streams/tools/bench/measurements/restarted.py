"""The process that a snapshot is restored in: it measures itself and prints JSON.

Nothing heavy is imported before the clock is looked at: imports are a part of a restart.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

LONGEST_S = 7_000.0
POLL_S = 0.05
FEW, MANY = 10, 100


def main(path: Path, folder: Path, started: float) -> dict[str, float]:
    """Return seconds since `started` (since 1970) to each event, and what was found meanwhile."""
    from streams.config.process import tune_process

    tune_process()
    import faiss  # noqa: F401
    import hnswlib  # noqa: F401
    import numpy as np
    import pyarrow.compute  # noqa: F401

    from visualsearch.engine import Hooks
    from visualsearch.snapshot.manifest import read_manifest
    from visualsearch.snapshot.read import restore
    from visualsearch.types import Query

    queries = np.load(folder / "queries.npy")
    figures = {"imports s": time.time() - started}
    failures: list[Exception] = []
    manifest = read_manifest(path)
    restored = restore(
        path, model=manifest.model, dim=manifest.dim, hooks=Hooks(on_error=failures.append)
    )
    engine = restored.engine
    figures["restore s"] = sum(restored.seconds.values())
    figures |= {f"restore s, {step}": seconds for step, seconds in restored.seconds.items()}
    engine.search(Query(queries[0], top_k=MANY))
    figures["first answer s"] = time.time() - started
    engine.start()
    figures |= _answers(engine, queries, np.load(folder / "truth.npy"))
    while engine.active_strategy == "ivfpq":
        if failures or time.time() > started + LONGEST_S:
            raise SystemExit(f"no swap: {failures or engine.stats()}")
        time.sleep(POLL_S)
    figures["swap s"] = time.time() - started
    engine.close()
    return figures


def _answers(engine: Any, queries: Any, truth: Any) -> dict[str, float]:
    """Return recall and times of the answers by lists, while the graphs are being built."""
    import numpy as np

    from visualsearch.types import Query

    shares: dict[int, list[float]] = {FEW: [], MANY: []}
    took: list[float] = []
    for vector, best in zip(queries, truth, strict=True):
        for k, each in shares.items():
            begin = time.perf_counter()
            answer = engine.search(Query(vector, top_k=k))
            seconds = time.perf_counter() - begin
            if answer.plan.strategy != "ivfpq":
                continue
            if k == MANY:
                took.append(seconds)
            found = [int(hit.product_id) for hit in answer.hits]
            each.append(len(np.intersect1d(found, best[:k])) / min(k, len(best)))
    if not took:  # so small that a scan is cheaper
        return {}
    return {
        **{f"recall@{k} before the swap": float(np.mean(each)) for k, each in shares.items()},
        "answers before the swap": float(len(took)),
        "p50 before the swap ms": 1e3 * float(np.percentile(took, 50)),
        "p99 before the swap ms": 1e3 * float(np.percentile(took, 99)),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))))
