"""The tests of the streams test something: each planted bug is found by the check that names it.

A check is what an ordinary test runs, with few examples and the same ones every time.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.property.test_dead_letter_order import REPLAYS
from tests.property.test_dead_letter_order import check_replays as check_replayed_events
from tests.property.test_group_commits import SEEDS, check_commits
from tests.property.test_in_order import STEPS as ACKNOWLEDGEMENTS
from tests.property.test_in_order import check_in_order
from tests.property.test_latest_order import WRITES, check_latest_order
from tests.property.test_log_healing import MODES, check_healing
from tests.property.test_log_ledger import STEPS as NOTES
from tests.property.test_log_ledger import check_ledger
from tests.property.test_log_search import SEARCHES, check_search
from tests.property.test_prefix_replay import check_replays
from tests.property.test_snapshot_replay import check_successor
from tests.support.feeding import InMemory
from tests.support.lane_acks import LaneAcksContract
from tests.support.side_by_side import SideBySideContract
from tests.support.stream_mutants import MUTANTS
from tests.support.stream_mutants.planting import Mutant


def examples(count: int, strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Run a check on the same examples every time; report the first that fails as it is."""
    quick = settings(
        max_examples=count, derandomize=True, database=None, phases=[Phase.generate],
        deadline=None, report_multiple_bugs=False, print_blob=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    quick(given(strategy)(check))()


class _Batches(InMemory, LaneAcksContract):
    pass


class _SideBySide(InMemory, SideBySideContract):
    pass


def _replaying_worker() -> None:
    from tests.unit.streams.indexer import test_healer as unit

    unit.test_a_worker_that_replays_notes_and_appends_nothing_before_it_met_every_end(unit.Clock())


def _crashed_readers() -> None:
    for mode in MODES:
        check_replays(random.Random(1), mode, 64, heals=False)


def _successor() -> None:
    for seed in range(12):
        check_successor(seed)


def _log_healing() -> None:
    for mode in MODES:
        check_healing(mode, 400)


CHECKS: dict[str, Callable[[], None]] = {
    "in_order": lambda: examples(800, ACKNOWLEDGEMENTS, check_in_order),
    "batches": lambda: asyncio.run(
        _Batches().test_nothing_is_acknowledged_while_nothing_can_be_written()
    ),
    "side_by_side": lambda: asyncio.run(
        _SideBySide().test_a_slow_one_keeps_back_offsets_not_work()
    ),
    "commits": lambda: examples(800, SEEDS, check_commits),
    "latest_order": lambda: examples(400, WRITES, check_latest_order),
    "replayed_events": lambda: examples(40, REPLAYS, check_replayed_events),
    "crashed_readers": _crashed_readers,
    "ledger": lambda: examples(800, NOTES, check_ledger),
    "search": lambda: examples(100, SEARCHES, check_search),
    "log_healing": _log_healing,
    "replaying_worker": _replaying_worker,
    "successor": _successor,
}


@pytest.mark.parametrize("check", CHECKS)
def test_without_a_planted_bug_nothing_is_found(check: str) -> None:
    """Or it would be no bug that is found below."""
    CHECKS[check]()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    """By an assertion, not by an accident of the wrong code."""
    with mutant.planted(), pytest.raises(AssertionError):
        CHECKS[mutant.check]()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_planted_bug_replaces_is_there(mutant: Mutant) -> None:
    """A function that is renamed or moved takes its planted bugs along, or this fails."""
    owner, name, held = mutant.place()
    with mutant.planted():
        assert vars(owner)[name] is not held
    assert vars(owner)[name] is held


def test_every_check_has_its_planted_bugs() -> None:
    """And no two bugs have one name."""
    assert {mutant.check for mutant in MUTANTS} == set(CHECKS)
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
