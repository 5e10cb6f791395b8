"""Huge pages for what hnswlib allocates: which addresses they are asked for, and that they come."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visualsearch.index import pages
from visualsearch.index.graph import Segment, Shape
from visualsearch.index.pages import HUGE, Range, anonymous, beyond, huge_pages

ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
PAGE_KB = 2_048
MAPPED = """\
00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/dbus-daemon
00e03000-00e24000 rw-p 00000000 00:00 0 [heap]
35b1800000-35b1820000 rw-p 00000000 00:00 0
35b1a21000-35b1a22000 rw-p 00000000 08:02 135522 /usr/lib64/ld-2.15.so
7f2b00000000-7f2b40000000 ---p 00000000 00:00 0
7f2c00000000-7f2c40000000 rw-p 00000000 00:00 0
7fffb2c0d000-7fffb2c2e000 rw-p 00000000 00:00 0 [stack]
"""


def test_what_belongs_to_no_file() -> None:
    """Neither files nor the heap, the stack, or what may not be written."""
    assert anonymous(MAPPED) == [(0x35B1800000, 0x35B1820000), (0x7F2C00000000, 0x7F2C40000000)]


def _ranges(bytes_: set[int]) -> list[Range]:
    """Return ranges of numbers that follow each other, as the kernel merges neighbours."""
    ranges: list[Range] = []
    for at in sorted(bytes_):
        if ranges and ranges[-1][1] == at:
            ranges[-1] = (ranges[-1][0], at + 1)
        else:
            ranges.append((at, at + 1))
    return ranges


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_what_is_new(before: set[int], after: set[int]) -> None:
    """Every address that was in no range before, and no other, grown on or gone as they may be."""
    found = list(beyond(_ranges(after), _ranges(before)))
    assert all(first < stop for first, stop in found)
    numbers = [at for first, stop in found for at in range(first, stop)]
    assert sorted(numbers) == sorted(after - before)
    assert len(numbers) == len(set(numbers))


def _huge_kb() -> int:
    rolled = Path(f"/proc/{os.getpid()}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rolled.splitlines() if "AnonHuge" in line)


def test_a_graph_lies_on_them() -> None:
    """The one block of its vectors and links, as it fills."""
    if HUGE is None or not ENABLED.exists() or "[never]" in ENABLED.read_text():
        pytest.skip("this system gives no huge pages")
    dim, rows = 512, 8_192
    vectors = np.zeros((rows, dim), dtype=np.float32)
    vectors[np.arange(rows), np.arange(rows) % dim] = 1.0
    # Over 32 MB: less may come from what glibc has kept, which belongs to others too.
    graph = Segment(dim, 3 * rows, Shape(links=4, build_ef=8), 1)
    before = _huge_kb()
    graph.add(np.arange(rows), vectors)
    # Of the 17 MB that are used; some may be missing where memory is in pieces.
    assert _huge_kb() - before >= 3 * PAGE_KB


def test_a_system_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to ask, and nothing asked."""
    monkeypatch.setattr(pages, "MAPS", Path("/nowhere"))
    monkeypatch.setattr("ctypes.CDLL", lambda _: 1 / 0)
    with huge_pages():
        taken = bytearray(1)
    assert taken
