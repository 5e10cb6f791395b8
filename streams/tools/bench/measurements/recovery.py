"""Snapshot and restart: search latency during the write, and a new process's time to answer."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import numpy as np

from streams.tools.bench.context import TARGET, Bench, K, Measurement
from streams.tools.bench.measurements import restarted
from streams.tools.bench.measurements.under import WatchedSearches, p99, watch
from visualsearch.engine import Engine
from visualsearch.snapshot.manifest import CODER, LISTS, Manifest, read_manifest
from visualsearch.snapshot.write import write
from visualsearch.types import FloatArray

IDLE_S = 8.0  # of searches alone, before and after
LONGEST_S = 7_200


def recovery(bench: Bench) -> Measurement:
    """Write a snapshot during searches, then restore it in a new process."""
    queries, truth = bench.test_queries()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with bench.consume_engine() as engine:
            bench.report("a snapshot beside searches")
            beside = _beside(engine, folder, queries)
        del engine
        bench.close()  # the machine's memory is needed for the other process
        np.save(folder / "queries.npy", queries)
        np.save(folder / "truth.npy", truth)
        bench.report("a new process, from its start to the swap")
        started = _restarted(beside.path, folder)
        manifest = read_manifest(beside.path)
    figures = beside.figures() | _sizes(manifest) | started
    return Measurement([{"recovery": what, "figure": _rounded(figures[what])} for what in figures],
                    figures)  # fmt: skip


def _rounded(value: float) -> float:
    return round(value, 4 if value < 10 else 1)


@dataclass(slots=True)
class _Written:
    """A snapshot that was written while searches went on."""

    path: Path
    seconds: float = 0.0
    cpu_s: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)  # when each began
    idle: list[WatchedSearches] = field(default_factory=list)
    during: WatchedSearches = field(default_factory=WatchedSearches)

    def figures(self) -> dict[str, float]:
        alone = max(p99(each) for each in self.idle) if self.idle else float("nan")
        ends = [*list(self.steps.values())[1:], self.seconds]
        parts = zip(self.steps.items(), ends, strict=True)
        return {
            "snapshot s": self.seconds,
            "snapshot core s": self.cpu_s,
            **{f"snapshot s, {name}": end - begin for (name, begin), end in parts},
            "p99 idle ms": alone,
            "p99 while snapshotting ms": p99(self.during),
            "p99 while snapshotting to idle": p99(self.during) / alone,
            "searches while snapshotting": float(len(self.during.queries)),
        }


def _beside(engine: Engine, folder: Path, queries: FloatArray) -> _Written:
    """Search alone, during the write of a snapshot, and alone again."""
    written = _Written(folder)
    errors: list[Exception] = []

    def save() -> None:
        begin, core = time.perf_counter(), time.thread_time()

        def step(name: str) -> None:
            written.steps[name] = time.perf_counter() - begin

        try:
            written.path = write(engine, folder, source={}, created_at=time.time(), step=step)
        except Exception as error:
            errors.append(error)
        written.seconds = time.perf_counter() - begin
        written.cpu_s = time.thread_time() - core

    written.idle.append(_alone(engine, queries))
    thread = Thread(target=save, name="snapshot")
    thread.start()
    written.during = watch(engine, queries, thread.is_alive, lambda: 0, K, TARGET)
    thread.join()
    if errors:
        raise errors[0]
    written.idle.append(_alone(engine, queries))
    return written


def _alone(engine: Engine, queries: FloatArray) -> WatchedSearches:
    end = time.monotonic() + IDLE_S
    return watch(engine, queries, lambda: time.monotonic() < end, lambda: 0, K, TARGET)


def _sizes(manifest: Manifest) -> dict[str, float]:
    """Return bytes per vector: of all, of what FAISS needs, and of each file."""
    rows = max(1, manifest.rows)
    sizes = {name: file.bytes / rows for name, file in manifest.files.items()}
    return {
        "bytes per vector": manifest.bytes / rows,
        "ivfpq bytes per vector": sizes.get(LISTS, 0.0) + sizes.get(CODER, 0.0),
        **{f"bytes per vector, {name}": size for name, size in sizes.items()},
    }


def _restarted(path: Path, folder: Path) -> dict[str, float]:
    """Return what a process of its own measures of itself, from the moment of its start."""
    done = subprocess.run(  # noqa: S603 - a module of ours
        [sys.executable, "-m", restarted.__name__, path, folder, str(time.time())],
        stdout=subprocess.PIPE, check=True, timeout=LONGEST_S, env=os.environ,
    )  # fmt: skip
    figures: dict[str, float] = json.loads(done.stdout)
    return figures
