"""The state machine tests something: it finds each planted bug."""

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.index_machine import TwinMachine
from tests.support.index_mutants import MUTANTS, Plant
from tests.support.index_tiny import shrink

pytestmark = pytest.mark.timeout(1_800)  # the luck of the draw, on a machine that may be busy


@pytest.mark.parametrize("plant", MUTANTS)
def test_the_state_machine_finds(monkeypatch: pytest.MonkeyPatch, plant: Plant) -> None:
    """By an answer that differs from the twin's, or by what is wrong inside."""
    shrink(monkeypatch)
    plant(monkeypatch)
    quick = settings(
        max_examples=300, stateful_step_count=40, phases=[Phase.generate], database=None,
        report_multiple_bugs=False, print_blob=False,
    )  # fmt: skip
    with pytest.raises(AssertionError):
        run_state_machine_as_test(TwinMachine, settings=quick)
