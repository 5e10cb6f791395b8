"""The machine that was measured on, and this process's memory."""

import ctypes
import gc
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Event, Thread

SAMPLED_S = 0.02
PACKAGES = ("hnswlib", "faiss-cpu", "faiss-gpu", "usearch", "numpy")


def describe_host() -> dict[str, object]:
    """Return cores, load average of this moment, processor and versions."""
    return {
        "cores": cores(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "processor": _processor(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def resident_bytes() -> int | None:
    """Return the resident memory that is this process's own; pages of mapped files are not.

    None where the system does not tell.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("RssAnon:"):
            return 1024 * int(line.split()[1])
    return None


def trimmed_bytes() -> int | None:
    """Return `resident_bytes` after free memory was returned to the system."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return resident_bytes()


class Peak:
    """The peak of the sampled resident memory."""

    def __init__(self) -> None:
        self.bytes = 0
        self._done = Event()

    def _watch(self) -> None:
        while not self._done.wait(SAMPLED_S):
            self.bytes = max(self.bytes, resident_bytes() or 0)

    @classmethod
    @contextmanager
    def sampled(cls) -> Iterator["Peak"]:
        """Sample the memory 50 times a second."""
        peak = cls()
        watcher = Thread(target=peak._watch, daemon=True)
        watcher.start()
        try:
            yield peak
        finally:
            peak._done.set()
            watcher.join()
