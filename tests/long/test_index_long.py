"""Half an hour of stress and of random histories; `make test-long` says what was done.

`VISUALSEARCH_LONG_MINUTES` sets the time, which the four runs share.
"""

import os
import time
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.index_machine import SEEN, TwinMachine
from tests.support.index_stress import Stress
from tests.support.index_tiny import MACHINE, STRESS, shrink
from visualsearch.engine import Layout

MINUTES = float(os.environ.get("VISUALSEARCH_LONG_MINUTES", "30"))
SHARE = MINUTES * 60.0 / 4
LARGE = Layout(
    chunk_rows=4_096, segment_rows=2_000, most_rows=16_000, piece_rows=512, coder_rows=2_048,
    threads=1, probe_share=0.05,
)  # fmt: skip

pytestmark = pytest.mark.timeout(MINUTES * 60.0 + 1_200)


def test_stress_of_a_tiny_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every border is met thousands of times."""
    shrink(monkeypatch)
    stress = Stress(STRESS)
    stress.run(SHARE)
    print(f"\ntiny stress, {SHARE:.0f} s:", stress.told())
    assert stress.enough(), stress.told()


def test_stress_of_a_large_index() -> None:
    """Tens of thousands of rows, sizes and steps as in earnest but for the graphs."""
    stress = Stress(LARGE, dim=64, still=12_000, moving=6_000, audit_pause=3.0)
    stress.run(SHARE)
    print(f"\nlarge stress, {SHARE:.0f} s:", stress.told())
    assert stress.enough(), stress.told()


@pytest.mark.parametrize("larger", [1, 4])
def test_random_histories(monkeypatch: pytest.MonkeyPatch, larger: int) -> None:
    """The state machine, until the time is over, with layouts of two sizes."""
    shrink(monkeypatch)
    layout = replace(
        MACHINE, segment_rows=16 * larger, most_rows=64 * larger, piece_rows=8 * larger
    )
    monkeypatch.setattr(TwinMachine, "layout", layout)
    done: Counter[str] = Counter()
    begin = time.monotonic()
    while time.monotonic() - begin < SHARE:
        SEEN.clear()
        course = settings(max_examples=50, stateful_step_count=50 * larger, print_blob=True)
        run_state_machine_as_test(TwinMachine, settings=course)
        done += SEEN
        done["histories"] += 50
    print(f"\nhistories of layout x{larger}, {SHARE:.0f} s:", dict(done))
    assert min(done[way] for way in ("exact", "graph", "ivfpq", "empty")) > 0
