"""The stress test tests something: it finds each planted bug."""

import time

import pytest

from tests.support.index_mutants import MUTANTS, Plant
from tests.support.index_stress import Stress
from tests.support.index_tiny import shrink

LONGEST = 60.0  # seconds to find a bug in


def stress_again_and_again() -> None:
    """Raise what a run has found; without any, end after a time."""
    begin = time.monotonic()
    while time.monotonic() - begin < LONGEST:
        Stress().run(3.0)


@pytest.mark.parametrize("plant", MUTANTS)
def test_the_stress_finds(monkeypatch: pytest.MonkeyPatch, plant: Plant) -> None:
    """By a wrong answer, by its recall, by what is wrong inside, or because hnswlib refuses it."""
    shrink(monkeypatch)
    plant(monkeypatch)
    with pytest.raises((AssertionError, RuntimeError)):
        stress_again_and_again()
