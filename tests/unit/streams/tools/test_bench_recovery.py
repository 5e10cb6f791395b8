"""`bench recovery` on very little: every figure is measured, by a process of its own too."""

import math

import pytest

from streams.tools.bench.amounts import EVERY, NAMES, RECOVERY, Amounts
from streams.tools.bench.context import Bench
from streams.tools.bench.data import generate_dataset
from streams.tools.bench.measurements import recovery as module
from streams.tools.bench.targets import TARGETS


def test_a_snapshot_and_a_restart_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand rows: they are scanned, and what lists would show is left out."""
    monkeypatch.setattr(module, "IDLE_S", 0.2)
    told: list[str] = []
    bench = Bench(generate_dataset(2_000, 20, 32), Amounts.of(2_000), report=told.append)
    measured = module.recovery(bench)
    figures = measured.figures
    assert all(math.isfinite(value) for value in figures.values())
    assert 0 < figures["imports s"] < figures["first answer s"] <= figures["swap s"]
    assert figures["restore s"] == pytest.approx(
        sum(value for name, value in figures.items() if name.startswith("restore s,"))
    )
    assert figures["bytes per vector, vectors.i16"] == 64
    assert figures["ivfpq bytes per vector"] == 0
    assert figures["searches while snapshotting"] > 0
    assert {row["recovery"] for row in measured.rows} == set(figures)
    assert len(told) >= 3


def test_it_is_a_command_of_its_own_and_held_to_bars() -> None:
    """`bench index` does not end the engine that the others share."""
    assert RECOVERY not in NAMES
    assert RECOVERY in EVERY
    promised = {target.figure for target in TARGETS if target.measurement == RECOVERY}
    assert {"first answer s", "ivfpq bytes per vector", "recall@100 before the swap"} <= promised
