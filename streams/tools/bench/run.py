"""Run the requested measurements in their order."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from math import isfinite
from typing import Any

from streams.tools.bench import host
from streams.tools.bench.amounts import EVERY
from streams.tools.bench.context import TARGET, Bench, K, Measurement
from streams.tools.bench.rivals import missing_rivals
from streams.tools.bench.store import Store
from streams.tools.bench.targets import verdicts

Started = Callable[[str], object]


def measure(
    bench: Bench, names: Sequence[str], store: Store, started: Started = lambda _: None
) -> dict[str, Any]:
    """Return new and stored measurements and the verdicts, as JSON values."""
    results: dict[str, dict[str, Any]] = {}
    try:
        for name in (known for known in EVERY if known in names):
            started(name)
            before = store.get(name)
            results[name] = before or _measured(bench, name, store)
            results[name]["resumed"] = before is not None
    finally:
        bench.close()
    figures = {name: result["figures"] for name, result in results.items()}
    return {
        "host": host.describe_host(),
        "data": describe_data(bench),
        "left_out": list(missing_rivals().values()),
        "results": results,
        "verdicts": [asdict(verdict) for verdict in verdicts(figures, bench.size)],
    }


def settings(bench: Bench) -> dict[str, Any]:
    """Return everything that the figures depend on besides the data."""
    return {"amounts": bench.amounts.as_dict(), "threads": bench.threads, "rivals": bench.rivals()}


def describe_data(bench: Bench) -> dict[str, Any]:
    """Return the dataset's sizes, origin and checksum."""
    data = bench.data
    return {
        "n": bench.size,
        "d": bench.dim,
        "k": K,
        "recall_target": TARGET,
        "queries": len(data.queries),
        "made": "clustered" if data.source else "from a file",
        "checksum": data.checksum,
    }


def _measured(bench: Bench, name: str, store: Store) -> dict[str, Any]:
    function: Callable[[Bench], Measurement] = getattr(
        import_module(f"streams.tools.bench.measurements.{name}"), name
    )
    machine = host.describe_host()
    begin = time.perf_counter()
    measured = function(bench)
    seconds = round(time.perf_counter() - begin, 1)
    about = {"host": machine, "data": describe_data(bench), "seconds": seconds}
    return store.put(name, _finite(measured), about)


def _finite(measured: Measurement) -> Measurement:
    """Return it without NaN and infinities, which JSON lacks."""
    rows = [
        {what: None if isinstance(cell, float) and not isfinite(cell) else cell
         for what, cell in row.items()}
        for row in measured.rows
    ]  # fmt: skip
    kept = {name: float(value) for name, value in measured.figures.items() if isfinite(value)}
    return Measurement(rows, kept)


def prepare() -> None:
    """Set this process up as a worker is; call it before NumPy is loaded."""
    from streams.config.process import tune_process

    tune_process()
