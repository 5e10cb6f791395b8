"""Process tuning for models on a CPU, to be applied before NumPy and torch are loaded."""

import ctypes
import gc
import os
import sys

from visualsearch.index.pages import LARGE_BYTES  # and with it neither of them

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # <malloc.h>
KEPT_BYTES = 1_000_000_000
SWITCH_S = 0.0001
FULL = 2  # the oldest generation of the garbage collector


def trim_memory() -> None:
    """Return freed memory to the system (malloc_trim), such as that of a replaced graph."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _freeze_survivors(phase: str, info: dict[str, int]) -> None:
    """Limit full collections to objects that are new since the last one."""
    if phase == "stop" and info["generation"] == FULL:
        gc.freeze()


def tune_process() -> None:
    """Set thread and memory behavior, unless the environment sets it.

    - One BLAS thread: searches run concurrently, and two threads per exact scan were 25 times
      slower on a busy machine.
    - OpenMP threads sleep while they wait: spinning ones made model calls up to 5 times slower
      when the cores were shared.
    - The switch interval is 50 times shorter: a search returns from C about 15 times, and each time
      it waits for the thread that applies records.
    - A full garbage collection visits what is new since the last one: among 200,000 products it
      held up every search for 80 ms.
    - glibc keeps the model's large buffers instead of returning them after each call: 9 to 16 ms
      of page faults per image. Larger blocks, graphs and rows, are mapped separately and all
      go back when it is freed.
    - All threads share one heap, which `malloc_trim` can return completely. Of per-thread heaps it
      keeps the last block, 50 MB after graph rebuilds.
    - NumPy requests no huge pages: the system refills a partly freed one.
      `visualsearch.index.pages` requests them where they help.
    """
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.setswitchinterval(SWITCH_S)
    if _freeze_survivors not in gc.callbacks:
        gc.callbacks.append(_freeze_survivors)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
