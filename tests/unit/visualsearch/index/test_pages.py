"""Huge pages for what hnswlib allocates: which addresses they are asked for, and that they are."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visualsearch.index import pages
from visualsearch.index.pages import HUGE, Range, anonymous, beyond, huge_pages

ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
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
    """Return ranges of numbers that follow each other, as the kernel merges neighbors."""
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


# A process of its own: others' threads in this one may give graphs back meanwhile.
ASKED = """
import re
from pathlib import Path
from visualsearch.index.graph import Segment, Shape

def asked_kb():
    smaps = Path("/proc/self/smaps").read_text()
    areas = re.findall(r"^Size: +(\\d+) kB.*?^VmFlags:(.*?)$", smaps, re.M | re.S)
    return sum(int(kb) for kb, flags in areas if "hg" in flags.split())

before = asked_kb()
graphs = [Segment(512, {rows}, Shape(links=4, build_ef=8), 1)]
print(asked_kb() - before)
"""


def test_a_graph_asks_for_them() -> None:
    """For the block of its vectors and links; a small one shares its pages with what is freed.

    Whether they come is the system's to say: it refuses while its memory is in pieces.
    """
    if HUGE is None or not ENABLED.exists():
        pytest.skip("this system has no huge pages")
    assert _asked_kb(4_096) == 0
    assert 20_000 * 2 <= _asked_kb(20_000) <= 50_000  # 2 kB of a row are its vector


def _asked_kb(rows: int) -> int:
    code = ASKED.replace("{rows}", str(rows))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_system_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to ask, and nothing asked."""
    monkeypatch.setattr(pages, "MAPS", Path("/nowhere"))
    monkeypatch.setattr("ctypes.CDLL", lambda _: 1 / 0)
    with huge_pages():
        taken = bytearray(1)
    assert taken
