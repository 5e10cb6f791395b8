"""An index so small that a few records meet all of its borders, and every way to search it."""

from collections.abc import Callable
from itertools import count
from math import inf

import pytest

from visualsearch.engine import Layout
from visualsearch.index import coding, measure, upkeep
from visualsearch.index.curve import EFS

MACHINE = Layout(
    chunk_rows=8, segment_rows=16, most_rows=64, piece_rows=8, coder_rows=24, threads=1,
    probe_share=0.5, probe_core=inf, backlog_s=0.0,
)  # fmt: skip
STRESS = Layout(
    chunk_rows=64, segment_rows=48, most_rows=400, piece_rows=32, coder_rows=64, threads=1,
    probe_share=0.2, probe_core=inf, backlog_s=0.0,
)  # fmt: skip


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure with few queries, and take small steps."""
    monkeypatch.setattr(measure, "QUERIES", 8)
    monkeypatch.setattr(measure, "AT_ONCE", 3)
    monkeypatch.setattr(measure, "EFS", EFS[2:])  # so few queries say little of narrow beams
    monkeypatch.setattr(measure, "BLOCKS", 1)
    monkeypatch.setattr(coding, "STEP_ROWS", 8)
    monkeypatch.setattr(upkeep, "PART_ROWS", 8)
    monkeypatch.setattr(upkeep, "UNCODED_MOST", 8)


def rising_clock() -> Callable[[], float]:
    """Return a clock by which whatever is measured later costs more.

    So scans are dear, graphs are cheap and lists a little less so, on any machine.
    """
    return map(float, (n * n for n in count(1_000))).__next__
