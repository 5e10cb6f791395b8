"""Writers, searchers and the background writer at once; every answer is checked."""

import pytest

from tests.support.index_stress import Stress
from tests.support.index_tiny import shrink

SECONDS = 3.0


def test_every_answer_under_concurrent_change_is_true_of_some_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No dead product, no half set of images, right scores and counts; graphs, lists, merges."""
    shrink(monkeypatch)
    stress = Stress()
    stress.run(SECONDS)
    print("stress:", stress.told())
    assert stress.enough(), stress.told()
