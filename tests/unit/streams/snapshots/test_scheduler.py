"""When a snapshot is taken, and that nothing that goes wrong with one is felt."""

import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from streams.snapshots import scheduler as keeper_module
from streams.snapshots import take as module
from streams.snapshots.scheduler import (
    FIRST_RETRY_S,
    SnapshotRefusedError,
    SnapshotScheduler,
    SnapshotTriggers,
)
from streams.snapshots.source import read_source
from streams.snapshots.store import SnapshotStore, StoreError
from streams.snapshots.take import SnapshotTaker
from tests.support.snapshot_parts import Clock, engine_with, fresh_metrics, taking, value
from tests.support.waiting import until
from visualsearch.client.tail import Position
from visualsearch.snapshot.errors import SnapshotError
from visualsearch.snapshot.folder import list_snapshots
from visualsearch.snapshot.manifest import read_manifest
from visualsearch.snapshot.write import write

BY_CLOCK = SnapshotTriggers(60.0, 0, at_stop=False)
BY_CHANGES = SnapshotTriggers(0.0, 100, at_stop=False)
NEVER = SnapshotTriggers(0.0, 0, at_stop=False)
AT_STOP = SnapshotTriggers(0.0, 0, at_stop=True)


class Stage:
    """A scheduler whose thread is the test's own."""

    def __init__(
        self, folder: Path, triggers: SnapshotTriggers, store: SnapshotStore | None
    ) -> None:
        self.folder = folder
        self.clock = Clock()
        self.metrics = fresh_metrics()
        self.taking = taking(engine_with(3), folder, self.metrics, self.clock, store)
        self.scheduler = self.make(triggers)

    def make(self, triggers: SnapshotTriggers, **more: Any) -> SnapshotScheduler:
        """Return a scheduler of this worker."""
        return SnapshotScheduler(
            self.taking, triggers, self.metrics, clock=self.clock, now=self.clock, **more
        )

    def pass_time(self, seconds: float) -> None:
        """Let time pass and the scheduler look."""
        self.clock.s += seconds
        self.scheduler.run_due()

    def apply(self, partition: int, records: int) -> None:
        """Say that the reader has applied more of a partition."""
        reader = self.taking._reader
        at = reader._positions[partition]
        reader._positions[partition] = Position(at.offset + records, at.leader_epoch)

    def outcomes(self, outcome: str) -> float:
        """Return how many snapshots came to this."""
        return value(self.metrics, "snapshots_total", outcome=outcome)


Make = Callable[..., Stage]


@pytest.fixture
def stage(tmp_path: Path) -> Make:
    """Give a maker of stages."""
    return lambda triggers, store=None: Stage(tmp_path / "here", triggers, store)


def test_the_clock_takes_one_when_something_has_changed(stage: Make) -> None:
    """And none while nothing has."""
    on = stage(BY_CLOCK)
    on.pass_time(59.0)
    assert list_snapshots(on.folder) == []
    on.pass_time(2.0)
    assert len(list_snapshots(on.folder)) == 1
    on.pass_time(600.0)
    assert len(list_snapshots(on.folder)) == 1
    assert on.scheduler.age_s() == 0.0
    on.apply(1, 1)
    assert on.scheduler.age_s() == 600.0
    on.pass_time(61.0)
    assert len(list_snapshots(on.folder)) == 2
    assert on.scheduler.age_s() == 0.0
    assert on.outcomes("taken") == 2


def test_changes_take_one_when_they_are_many_enough(stage: Make) -> None:
    """Counted over all partitions, since the newest one."""
    on = stage(BY_CHANGES)
    on.apply(0, 87)
    on.pass_time(10.0)
    assert list_snapshots(on.folder) == []
    on.apply(1, 1)
    on.pass_time(10.0)
    assert len(list_snapshots(on.folder)) == 1
    on.apply(1, 99)
    on.pass_time(10.0)
    assert len(list_snapshots(on.folder)) == 1


def test_the_newest_three_are_kept(stage: Make) -> None:
    """The folder does not grow."""
    on = stage(BY_CLOCK)
    for _ in range(5):
        on.apply(0, 1)
        on.pass_time(61.0)
    assert len(list_snapshots(on.folder)) == 3
    assert on.outcomes("taken") == 5


def test_old_ones_that_stay_are_no_failure(stage: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new one is whole, and is told."""
    on = stage(NEVER)

    def held(_: SnapshotTaker) -> None:
        raise PermissionError("held")

    monkeypatch.setattr(SnapshotTaker, "prune", held)
    asked = on.scheduler.request()
    on.scheduler.run_due()
    assert list_snapshots(on.folder) == [asked.result(0).path]
    assert on.outcomes("failed") == 0


def test_offsets_are_noted_before_the_index_is_copied(
    stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is applied during the copy is applied again at a restore, never passed over."""
    on = stage(NEVER)

    def copying(*arguments: Any, **options: Any) -> Any:
        on.apply(0, 1000)
        on.taking._ledger.mark_stale(b"base:late", 0, (9, 9, 9))
        return write(*arguments, **options)

    monkeypatch.setattr(module, "write", copying)
    on.taking._ledger.mark_stale(b"base:early", 1, (1, 1, 1))
    taken = on.taking.take(lambda *_: None)
    source = read_source(read_manifest(taken.path).source)
    assert [at.offset for at in source.positions] == [5, 7]
    assert [each.raw_key for each in source.dirty] == [b"base:early"]
    assert read_manifest(taken.path).products == 3


def test_one_that_is_asked_for_is_taken_and_reported(stage: Make) -> None:
    """At once, changed or not, with its progress; two who ask at the same time get the same."""
    on = stage(NEVER)
    told: list[str] = []
    first = on.scheduler.request(lambda step, _, __: told.append(step))
    second = on.scheduler.request()
    on.scheduler.run_due()
    assert first.result(0).path == second.result(0).path == list_snapshots(on.folder)[0]
    assert told
    assert first.result(0).as_dict()["products"] == 3


def test_before_the_log_is_replayed_none_is_taken(stage: Make) -> None:
    """Half an index is no good start."""
    on = stage(BY_CLOCK)
    on.taking._reader.caught_up.clear()
    on.pass_time(600.0)
    assert list_snapshots(on.folder) == []
    with pytest.raises(SnapshotRefusedError) as raised:
        on.scheduler.request().result(0)
    assert raised.value.code == "not_ready"


def test_a_failure_is_counted_and_the_next_one_is_tried_in_its_time(
    stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is not asked again every half second."""
    on = stage(SnapshotTriggers(60.0, 1, at_stop=False))
    calls = []

    def full(_: Any) -> Any:
        calls.append(1)
        raise SnapshotError("no space left", code="disk_full")

    monkeypatch.setattr(SnapshotTaker, "take", lambda _, progress, __: full(progress))
    on.pass_time(61.0)
    for _ in range(8):
        on.pass_time(0.5)
    assert len(calls) == 1
    asked = on.scheduler.request()
    on.scheduler.run_due()
    assert getattr(asked.exception(0), "code", None) == "disk_full"
    assert on.outcomes("failed") == 2
    monkeypatch.undo()
    on.pass_time(61.0)
    assert len(list_snapshots(on.folder)) == 1


def test_an_upload_that_fails_is_tried_with_pauses_that_double(
    stage: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The local snapshot stays, others are taken meanwhile, and the newest goes up at last."""
    store = SnapshotStore((tmp_path / "far").as_uri())
    on = stage(BY_CLOCK, store)
    attempts = []

    def away(_: SnapshotStore, snapshot: Path, *__: Any) -> bool:
        attempts.append((on.clock.s, snapshot))
        raise StoreError("nobody answers")

    monkeypatch.setattr(SnapshotStore, "upload", away)
    on.pass_time(61.0)
    for _ in range(100):
        on.pass_time(0.5)
    times = [at for at, _ in attempts]
    assert [round(b - a) for a, b in pairwise(times)] == [5, 10, 20]
    assert len(list_snapshots(on.folder)) == 1
    assert on.outcomes("upload_failed") == 4
    on.apply(0, 1)
    on.pass_time(61.0)
    monkeypatch.undo()
    on.pass_time(20 * FIRST_RETRY_S)
    assert store.listed() == [list_snapshots(on.folder)[0].name]
    assert on.outcomes("uploaded") == 1


def test_a_store_that_is_away_does_not_hold_up_a_stop(
    stage: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within its pause it is not asked again; the next start copies what is missing."""
    store = SnapshotStore((tmp_path / "far").as_uri())
    on = stage(SnapshotTriggers(60.0, 0, at_stop=True), store)
    attempts = []

    def away(_: SnapshotStore, snapshot: Path, *__: Any) -> bool:
        attempts.append(snapshot)
        raise StoreError("nobody answers")

    monkeypatch.setattr(SnapshotStore, "upload", away)
    on.pass_time(61.0)
    on.apply(0, 1)
    on.clock.s += 1.0
    on.scheduler.start()
    on.scheduler.close(30.0)
    assert len(list_snapshots(on.folder)) == 2
    assert len(attempts) == 1


def test_the_snapshot_that_it_began_with_is_uploaded_too(stage: Make, tmp_path: Path) -> None:
    """The one taken at the last stop had no time for it."""
    store = SnapshotStore((tmp_path / "far").as_uri())
    on = stage(NEVER, store)
    taken = on.taking.take(lambda *_: None)
    on.scheduler = on.make(NEVER, newest=taken)
    on.scheduler.run_due()
    assert store.listed() == [taken.path.name]


def test_the_last_one_is_taken_when_told_to_stop(
    stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless nothing has changed, or it is not wished; without pauses for the searches."""
    rests: list[None] = []
    monkeypatch.setattr(keeper_module, "yield_to_searches", lambda: rests.append(None))
    for triggers, count in ((NEVER, 0), (AT_STOP, 1)):
        on = stage(triggers)
        on.scheduler.start()
        on.scheduler.close(30.0)
        assert len(list_snapshots(on.folder)) == count
        assert not rests
        with pytest.raises(SnapshotRefusedError) as raised:
            on.scheduler.request().result(0)
        assert raised.value.code == "stopping"
    stage(BY_CLOCK).pass_time(61.0)
    assert rests


def test_a_last_one_that_takes_too_long_is_given_up(
    stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline of a stop holds, who asked is told, and nothing half is left."""
    on = stage(AT_STOP)
    begun, go_on = threading.Event(), threading.Event()
    take = SnapshotTaker.take

    def slow(self: SnapshotTaker, progress: Any, pause: Any) -> Any:
        begun.set()
        go_on.wait(30.0)
        return take(self, progress, pause)

    monkeypatch.setattr(SnapshotTaker, "take", slow)
    asked = on.scheduler.request()
    on.scheduler.start()
    begun.wait(30.0)
    on.scheduler.close(0.05)
    assert getattr(asked.exception(0), "code", None) == "stopping"
    on.clock.s += 1.0
    go_on.set()
    on.scheduler._thread.join(30.0)
    assert not on.scheduler._thread.is_alive()
    assert list_snapshots(on.folder) == []
    assert [path for path in on.folder.iterdir() if path.is_dir()] == []


async def test_an_error_when_a_snapshot_is_due_leaves_the_thread_alive(
    stage: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged and counted, and the next snapshot is taken."""
    monkeypatch.setattr(keeper_module, "TICK_S", 0.01)
    on = stage(NEVER)
    failures = iter([PermissionError("the folder cannot be seen")])
    due = SnapshotScheduler._due

    def failing(scheduler: SnapshotScheduler, *, stopping: bool) -> bool:
        if (error := next(failures, None)) is not None:
            raise error
        return due(scheduler, stopping=stopping)

    monkeypatch.setattr(SnapshotScheduler, "_due", failing)
    on.scheduler.start()
    await until(lambda: on.outcomes("failed") == 1)
    assert on.scheduler.request().result(20).path.is_dir()
    on.scheduler.close(10.0)
