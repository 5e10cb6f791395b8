"""Pages of memory: huge ones for what a library allocates, and some before they are used.

A walk reads a kilobyte here and there of gigabytes; on pages of 4 kB each of these reads misses the
page tables' cache first. Linux gives huge pages to those that ask (`madvise`), which hnswlib does
not; glibc would ask for all of a process (`glibc.malloc.hugetlb`), but only by its environment.
"""

import ctypes
import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

MAPS = Path("/proc/self/maps")
LARGE_BYTES = 32 << 20  # blocks of so many are mapped by themselves, by any malloc
HUGE: int | None = getattr(mmap, "MADV_HUGEPAGE", None)  # Linux has it
POPULATE_WRITE = 23  # <linux/mman.h>, since 5.14

Range = tuple[int, int]  # addresses: the first, and the one behind the last


@contextmanager
def huge_pages() -> Iterator[None]:
    """Ask for huge pages for large blocks of memory that are taken meanwhile and not yet used.

    Not for smaller ones: these may lie among others of malloc's, and whatever of a huge page is
    freed and given back the system would fill again. It is a hint: where the system cannot give
    them, nothing happens.
    """
    if HUGE is None or not MAPS.exists():
        yield
        return
    before = anonymous(MAPS.read_text())
    yield
    advise = ctypes.CDLL(None).madvise
    for first, stop in beyond(anonymous(MAPS.read_text()), before):
        if stop - first >= LARGE_BYTES:
            advise(ctypes.c_void_p(first), ctypes.c_size_t(stop - first), HUGE)


def populate(ranges: Sequence[Range]) -> None:
    """Let the system put memory behind these whole pages now, not when they are first written to.

    What is in them stays as it is, and Python's lock is let go of. It is a hint, as above.
    """
    if HUGE is not None:
        advise = ctypes.CDLL(None).madvise
        for first, stop in ranges:
            advise(ctypes.c_void_p(first), ctypes.c_size_t(stop - first), POPULATE_WRITE)


def anonymous(maps: str) -> list[Range]:
    """Return the ranges that belong to no file, ascending, of a text like /proc/self/maps."""
    ranges = []
    for line in maps.splitlines():
        fields = line.split()
        if len(fields) == 5 and fields[1] == "rw-p":  # a sixth would be a name
            first, _, stop = fields[0].partition("-")
            ranges.append((int(first, 16), int(stop, 16)))
    return ranges


def beyond(after: Sequence[Range], before: Sequence[Range]) -> Iterator[Range]:
    """Yield the parts of `after` that are in no range of `before`; both ascend.

    The kernel makes one range of neighbours: what is new may have grown on to what was there.
    """
    for first, stop in after:
        at = first
        for known, end in before:
            if known < stop and end > at:
                if known > at:
                    yield at, known
                at = end
        if at < stop:
            yield at, stop
