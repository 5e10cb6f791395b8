"""Memory of the index alone, in a process of its own: steady, and at the peak of a merge."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streams.config.process import tune_process
from streams.tools.bench import host, ours
from streams.tools.bench.context import Bench, Measurement
from visualsearch.engine import Engine, Layout

LONGEST_S = 7_200
DELETED_OF = 4  # one of so many is deleted: above the share at which a graph is rebuilt
PART = 5_000  # vectors that are read from the file at once


class MemoryUnknownError(RuntimeError):
    """The system does not tell a process's memory."""

    code = "bench_memory_unknown"


def memory(bench: Bench) -> Measurement:
    """Build the index in a process that holds nothing else."""
    if host.resident_bytes() is None:
        raise MemoryUnknownError(
            "memory is read from /proc/self/status: run `--only memory` on Linux"
        )
    bench.close()  # the machine's memory is needed for the other process
    bench.report("memory, in a process of its own")
    with tempfile.TemporaryDirectory() as folder:
        vectors, queries = Path(folder) / "vectors.npy", Path(folder) / "queries.npy"
        np.save(vectors, bench.data.vectors)
        np.save(queries, bench.data.halves()[0])
        done = subprocess.run(  # noqa: S603 - this very module
            [sys.executable, "-m", __name__, vectors, queries],
            stdout=subprocess.PIPE, check=True, timeout=LONGEST_S, env=os.environ,
        )  # fmt: skip
    figures: dict[str, float] = json.loads(done.stdout)
    return Measurement(
        [{"memory": name, "bytes per vector": round(value)} for name, value in figures.items()],
        figures,
    )


@dataclass(slots=True)
class _MergePeak:
    """The most memory that was seen while a merge was going on."""

    bytes: int = 0

    def look(self, engine: Engine) -> None:
        if engine.stats().merging_rows:
            self.bytes = max(self.bytes, host.resident_bytes() or 0)


def _child(vectors_file: str, queries_file: str) -> dict[str, float]:
    """Return bytes per vector."""
    vectors = np.load(vectors_file, mmap_mode="r")
    queries = np.load(queries_file)
    count = len(vectors)
    engine = ours.new_engine(vectors.shape[1])
    empty = host.trimmed_bytes() or 0
    merges = _MergePeak()
    with host.Peak.sampled() as peak:
        for begin in range(0, count, PART):
            part = np.array(vectors[begin : begin + PART])
            for batch in ours.products(part, begin):
                engine.apply(batch)
                merges.look(engine)
        del part, batch
        ours.wait_until_idle(engine, queries, merges.look)
    steady = host.resident_bytes() or 0
    trimmed = host.trimmed_bytes() or 0
    # A rebuild is at its largest when a graph of full size has lost what makes it due.
    gone = range(0, min(count, Layout().most_rows), DELETED_OF)
    for row in gone:
        engine.apply(ours.delete_records(row, order=2))
    ours.wait_until_idle(engine, queries, merges.look)
    engine.close()
    figures = {
        "steady": (steady - empty) / count,
        "steady, free pages given back": (trimmed - empty) / count,
        "peak of all": (peak.bytes - empty) / count,
    }
    if merges.bytes:
        figures["peak of a merge"] = (merges.bytes - empty) / count
    return figures


if __name__ == "__main__":
    tune_process()
    print(json.dumps(_child(*sys.argv[1:])))
