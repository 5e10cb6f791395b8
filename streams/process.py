"""What a process that runs a model on a CPU should be told before NumPy and torch are loaded."""

import ctypes
import gc
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
KEPT_BYTES = 1_000_000_000
SWITCH_S = 0.0001


def give_back() -> None:
    """Return freed memory to the system: a rebuilt graph leaves hundreds of megabytes behind.

    What is there now, products mostly, the garbage collector need not visit again: with a million
    of them a full collection holds up every search for half a second.
    """
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def tune() -> None:
    """Set thread and memory behaviour, where the environment does not say otherwise.

    - One BLAS thread: searches run side by side, and two threads per exact scan were 25 times
      slower on a busy machine.
    - OpenMP threads sleep while they wait: spinning ones made model calls up to 5 times slower
      when the cores were shared.
    - Python threads take turns fifty times as often: a search that has called into C waits for the
      thread that applies records, each time that it comes back, and that is some fifteen times.
    - glibc keeps the model's large buffers instead of returning them after each call: 9 to 16 ms
      of page faults per picture.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.setswitchinterval(SWITCH_S)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
