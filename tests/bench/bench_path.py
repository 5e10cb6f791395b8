"""The whole path on this machine: the demonstration's figures, and the promises they are held to.

Numbers, not correctness: a busy machine misses them without a defect. Run with `make bench`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
# name, path into the figures, milliseconds promised on two cores with nothing beside
PROMISES: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("create fresh p99", ("freshness_ms", "create", "p99"), 1500),
    ("offer fresh p99", ("freshness_ms", "offer", "p99"), 300),
    ("delete fresh p99", ("freshness_ms", "delete", "p99"), 300),
    ("search by words p99", ("search_ms", "words", "p99"), 150),
    ("search by photo p99", ("search_ms", "photo", "p99"), 400),
    ("phone photo to 40 hits", ("phone_photo_to_40_ms",), 2000),
)


@pytest.mark.timeout(600)
def test_figures_of_the_path(tmp_path: Path) -> None:
    """Run the demonstration and print each figure beside what is promised."""
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "demo", "--once", "--json"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout)
    print(f"\n{figures['products']} products loaded in {figures['load_s']} s; "
          f"everything in {figures['total_s']} s")  # fmt: skip
    for name, path, promised in PROMISES:
        value: Any = figures
        for step in path:
            value = value[step]
        verdict = "ok" if value <= promised else "MISSED"
        print(f"{name:26} {value:8.1f} ms  promised {promised:6.0f} ms  {verdict}")
