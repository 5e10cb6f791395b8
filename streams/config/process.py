"""What a process that runs a model on a CPU should be told before NumPy and torch are loaded."""

import ctypes
import gc
import os
import sys

from visualsearch.index.pages import LARGE_BYTES  # and with it neither of them

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # <malloc.h>
KEPT_BYTES = 1_000_000_000
SWITCH_S = 0.0001
FULL = 2  # the oldest generation of the garbage collector


def give_back() -> None:
    """Return freed memory to the system: a rebuilt graph leaves hundreds of megabytes behind."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _keep_survivors(phase: str, info: dict[str, int]) -> None:
    """Let a full collection look only at what is new since the one before."""
    if phase == "stop" and info["generation"] == FULL:
        gc.freeze()


def tune() -> None:
    """Set thread and memory behaviour, where the environment does not say otherwise.

    - One BLAS thread: searches run side by side, and two threads per exact scan were 25 times
      slower on a busy machine.
    - OpenMP threads sleep while they wait: spinning ones made model calls up to 5 times slower
      when the cores were shared.
    - Python threads take turns fifty times as often: a search that has called into C waits for the
      thread that applies records, each time that it comes back, and that is some fifteen times.
    - A full garbage collection visits what is new since the last one: among 200,000 products it
      held up every search for 80 ms.
    - glibc keeps the model's large buffers instead of returning them after each call: 9 to 16 ms
      of page faults per picture. What is larger, graphs and rows, has pages of its own, which all
      go back when it is freed.
    - All threads share one heap, of which `malloc_trim` gives back all that is free: of the heaps
      that each thread would have, it keeps the last block, 50 MB where graphs had been rebuilt.
    - NumPy asks for no huge pages (it would for blocks from 4 MB on): whatever of one is freed and
      given back, the system fills again. Who needs them asks (`visualsearch.index.pages`).
    """
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.setswitchinterval(SWITCH_S)
    if _keep_survivors not in gc.callbacks:
        gc.callbacks.append(_keep_survivors)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
